"""A training run from start to finish: run directory, main loop, checkpoints."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.agent import Agent
from agent.config import AgentConfig
from agent.interface import AgentSpec
from training.checkpoint import Checkpoint, load_checkpoint
from training.checkpoint_compatibility import check_compatible, with_later_fields
from training.checkpoint_paths import latest_checkpoint
from training.config import TrainConfig, config_checked, from_dict
from training.environment_config import NO_OPPONENT, EnvironmentConfig, GymnasiumConfig
from training.environments import (
    check_opponents,
    check_seats,
    game_build,
    league_of,
    make_environment,
    spec_of,
)
from training.league import League
from training.learner import Learner
from training.loop import EpisodeStatistics, Progress, Update, training_loop
from training.machine import describe_environment
from training.metrics import CompositeLogger
from training.run_directory import RunDirectory, RunDirectoryError, prepare_run_directory
from training.saved_run import SavedRun, mismatch_reported
from training.sources import ActorError, ExperienceSource, LocalSource


@dataclass(kw_only=True)
class TrainingRun(SavedRun):
    """A run that is ready to train, or has trained."""

    learner: Learner
    league: League
    statistics: EpisodeStatistics = field(default_factory=EpisodeStatistics)

    def training_state(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside weights and settings."""
        episodes = self.statistics.state_dict()
        return {**super().training_state(), "league": self.league.state_dict(), "episodes": episodes}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Go on from what `training_state` returned."""
        super().load_training_state(state)
        if "league" in state:  # a checkpoint from before there were leagues has none
            self.league.load_state_dict(state["league"])
        met = {NO_OPPONENT, *getattr(self.config.environment, "opponents", ())}
        episodes = state.get("episodes", {})
        self.statistics.load_state_dict({name: of_name for name, of_name in episodes.items() if name in met})

    def train(self, report: Callable[[Update], None], stop: threading.Event) -> None:
        """Train until the config's steps or minutes are used up or `stop` is set, and save.

        Args:
            report: called after every update.
            stop: looked at after every update.

        Raises:
            OSError: if the disk is full; the last checkpoint stays good.
            ActorError: if actors cannot be started or kept running; what was learnt is saved.
        """
        with (
            contextlib.closing(self.loggers()) as metrics,
            contextlib.closing(self._source(stop)) as source,
        ):
            try:
                self._loop(source, metrics, report, stop)
            except ActorError:
                # A signal to the whole process group ends the actors too.
                if not stop.is_set():
                    self.save()
                    raise
        self.save()

    def _source(self, stop: threading.Event) -> ExperienceSource:
        seed = episode_seed(self.config, self.progress)
        return make_source(self.config, self.agent, self.league, seed, stop)

    def _loop(
        self,
        source: ExperienceSource,
        metrics: CompositeLogger,
        report: Callable[[Update], None],
        stop: threading.Event,
    ) -> None:
        source.restart(episode_seed(self.config, self.progress))
        for update in training_loop(
            self.config, self.agent, self.learner, source, self.progress, self.league, self.statistics
        ):
            metrics.log(self.progress.game_steps, update.metrics)
            report(update)
            if stop.is_set():
                return
            if self.progress.updates % self.config.checkpoint_interval_updates == 0:
                self.save()
                # A resumed run begins its episodes anew, so a deterministic one must do so here too.
                source.restart(episode_seed(self.config, self.progress))


def open_run(
    config: TrainConfig, run_path: Path | str, *, resume: bool = False, allow_version_mismatch: bool = False
) -> TrainingRun:
    """Return a run that is ready to train: everything that can be refused is refused here.

    Args:
        config: the run.
        run_path: the run directory.
        resume: go on from the newest checkpoint there that is not damaged, if there is one.
        allow_version_mismatch: go on even if the game is another build.

    Raises:
        ConfigError: if the config asks for what does not exist or does not fit together.
        RunDirectoryError: if the directory holds something else, or another process has a run in it.
        CheckpointError: if the checkpoint to go on from is damaged or does not fit.
        GameError: if the game is not installed.
        OSError: if the directory is not writable or the disk is full.
    """
    goes_on = resume and has_checkpoint(run_path)
    with config_checked():
        identity, agent = make_agent(config, goes_on=goes_on, allow_version_mismatch=allow_version_mismatch)
        check_opponents(config.environment, config.evaluation.opponents)
        by_need = config.league.deal == "prioritised"
        check_seats(config.environment, config.actors.games_per_actor, max(1, config.actors.num_actors), by_need)
        teacher = _teacher(config, goes_on, allow_version_mismatch)
        device = resolve_device(config.device)
        learner = Learner(agent, config.learner, device=device, seed=config.seed, teacher=teacher)
    run = TrainingRun(
        config=config,
        directory=prepare_run_directory(run_path, resume=resume),
        identity=identity,
        agent=agent,
        learner=learner,
        league=league_of(config.environment, config.league),
    )
    begin(run, goes_on=goes_on, allow_version_mismatch=allow_version_mismatch)
    return run


def has_checkpoint(run_path: Path | str) -> bool:
    """Return whether there is a checkpoint in a run directory."""
    return latest_checkpoint(RunDirectory(Path(run_path)).checkpoints) is not None


def make_agent(
    config: TrainConfig, *, goes_on: bool, allow_version_mismatch: bool = False
) -> tuple[dict[str, Any], Agent]:
    """Return what a run's checkpoints must agree with, and its agent: new, or with the weights of `config.init`.

    Args:
        config: the run.
        goes_on: whether the weights come from the run's own checkpoint.
        allow_version_mismatch: begin with other weights even if they are of another build of the game.
    """
    torch.set_num_threads(config.learner_threads)
    torch.manual_seed(config.seed)
    identity, spec = identify(config)
    agent = Agent(spec, config.agent)
    if config.init is not None and not goes_on:
        _initialise(agent, config.init, identity, allow_version_mismatch)
    return identity, agent


def begin(run: SavedRun, *, goes_on: bool, allow_version_mismatch: bool) -> None:
    """Restore a run that goes on, and write down what it is.

    Raises:
        CheckpointError: if no checkpoint can be used.
        RunDirectoryError: if the run was to begin, and there is a checkpoint by now.
    """
    if goes_on:
        run.restore(allow_version_mismatch)
    elif latest_checkpoint(run.directory.checkpoints):
        raise RunDirectoryError(f"another process had a run in {run.directory.path} until now: give the command again")
    run.directory.write_config(run.settings())
    run.directory.write_environment(describe_environment(run.identity["game"]))


def _initialise(agent: Agent, path: str, identity: dict[str, Any], allow_version_mismatch: bool) -> None:
    """Give an agent the weights of a checkpoint."""
    checkpoint = load_checkpoint(path, with_training_state=False)
    check_compatible(with_later_fields(checkpoint.metadata), identity, allow_version_mismatch)
    with mismatch_reported(checkpoint):
        agent.load_state_dict(checkpoint.weights)


def _teacher(config: TrainConfig, goes_on: bool, allow_version_mismatch: bool) -> Agent | None:
    if config.teacher is not None and not config.learner.has_teacher and not goes_on:  # a run may let go of it
        raise ValueError(
            f"the teacher {config.teacher} would teach nothing: give --learner.teacher-kl-cost, such as 0.1, or leave "
            "--teacher out"
        )
    path = config.teacher or config.init
    if path is None or not config.learner.has_teacher:
        return None
    return load_agent(path, allow_version_mismatch=allow_version_mismatch)[0]


def run_training(
    config: TrainConfig,
    run_path: Path | str,
    *,
    resume: bool = False,
    allow_version_mismatch: bool = False,
    report: Callable[[Update], None] = lambda update: None,
    stop: threading.Event | None = None,
) -> TrainingRun:
    """Train as the config says, leave everything in a run directory, and return the run.

    Arguments and errors are those of `open_run` and `TrainingRun.train`; a run that is complete is left as it is.
    """
    run = open_run(config, run_path, resume=resume, allow_version_mismatch=allow_version_mismatch)
    if not run.complete:
        run.train(report, stop or threading.Event())
    return run


def episode_seed(config: TrainConfig, progress: Progress) -> int:
    """Return the seed of the episodes that begin at this point of a run."""
    return int(np.random.SeedSequence([config.seed, progress.updates]).generate_state(1)[0])


def identify(config: TrainConfig) -> tuple[dict[str, Any], AgentSpec]:
    """Return what a checkpoint must agree with (game build, layout, network), and the agent's view of the game."""
    spec = environment_spec(config.environment)
    identity = {"game": game_build(config.environment), "layout": asdict(spec), "agent": asdict(config.agent)}
    return identity, spec


def environment_spec(config: EnvironmentConfig) -> AgentSpec:
    """Return the agent's view of a game.

    Raises:
        ValueError: if there is no such game, map or opponent, or the agent can't play it.
    """
    check_opponents(config)
    # A game of self-play has two rows.
    environment = make_environment(config, 1 if isinstance(config, GymnasiumConfig) else 2, seed=0)
    try:
        return spec_of(environment)
    finally:
        environment.close()


def make_source(
    config: TrainConfig, agent: Agent, league: League, seed: int, stop: threading.Event
) -> ExperienceSource:
    """Return the experience source that the config asks for; once `stop` is set, it keeps nobody waiting.

    The seed is that of actors' games; those in this process begin by `restart`.
    """
    if config.actors.num_actors == 0:
        return LocalSource(config, agent, league)
    from training.actors import RaySource

    return RaySource(config, league, seed=seed, stop=stop)


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is CUDA where there is one.

    Raises:
        ValueError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for, but torch finds no CUDA device: use --device cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # not every device that torch knows is there, or holds numbers
    except (RuntimeError, AssertionError) as error:
        cause = str(error).partition("\n")[0]
        raise ValueError(f"cannot compute on {name!r}, expected cpu, cuda, cuda:1, ... or auto: {cause}") from error
    return device


def load_agent(
    path: Path | str, *, allow_version_mismatch: bool = False, on_own_map: bool = True
) -> tuple[Agent, TrainConfig, Checkpoint]:
    """Return the agent of a checkpoint on the CPU, the config that it was trained with, and the checkpoint.

    Args:
        path: anything that `load_checkpoint` takes.
        allow_version_mismatch: warn in place of refusing where the game is another build.
        on_own_map: whether the game must be there on the map that the agent was trained on, with the same layout.

    Raises:
        CheckpointError: if there is none, it is damaged, or the game has changed since.
        ConfigError: if its game can't be made here.
    """
    checkpoint = load_checkpoint(path, with_training_state=False)
    with mismatch_reported(checkpoint):
        config = from_dict(checkpoint.metadata["config"])
        agent_config = AgentConfig(**checkpoint.metadata["agent"])
    stored = with_later_fields(checkpoint.metadata)
    with config_checked():
        identity = identify(config)[0] if on_own_map else {"game": game_build(config.environment)}
    check_compatible(stored, identity, allow_version_mismatch)
    with mismatch_reported(checkpoint):
        agent = Agent(AgentSpec.from_json(stored["layout"]), agent_config)
        agent.load_state_dict(checkpoint.weights)
    return agent.eval(), config, checkpoint
