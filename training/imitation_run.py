"""A run of behaviour cloning: from a recording to the weights that did best on games that it did not learn from."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from agent.agent import Agent
from training.checkpoint_compatibility import check_compatible
from training.config import TrainConfig, config_checked
from training.demonstration_choice import Choice, ChosenGame, choose_games, repeated_games
from training.demonstration_streams import DemonstrationStreams
from training.demonstrations import Demonstrations
from training.environment_config import EnvironmentConfig, MicroRTSConfig
from training.environments import check_opponents
from training.imitation import ImitationLearner, Tally
from training.imitation_config import IMITATION_KEY, ImitationConfig
from training.imitation_streams import held_out_streams, training_streams
from training.loop import Update
from training.metrics import CompositeLogger
from training.progress_line import ImitationLine, ProgressLine
from training.run import begin, has_checkpoint, make_agent, resolve_device
from training.run_directory import prepare_run_directory
from training.saved_run import SavedRun

_logger = logging.getLogger(__name__)
_LOG_INTERVAL_UPDATES = 20


@dataclass
class Best:
    """The best weights so far: their loss on held-out games, when that was, and how many measurements ago."""

    loss: float = math.inf
    step: int = 0
    measurements_since: int = 0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)

    def compare(self, loss: float, step: int, agent: Agent) -> None:
        """Take in a measurement."""
        self.measurements_since += 1
        if loss < self.loss:
            weights = {name: value.detach().cpu().clone() for name, value in agent.state_dict().items()}
            self.loss, self.step, self.measurements_since, self.weights = loss, step, 0, weights


@dataclass(kw_only=True)
class ImitationRun(SavedRun):
    """A run that is ready to imitate, or has done so.

    Its steps are those of recorded players at which they had something to decide.

    Attributes:
        imitation: what is imitated.
        demonstrations: the recording.
        choice: the games of it that are learnt from and measured on.
        streams: where the run is in the games that it learns from.
        best: what it did best on the others; the agent has these weights once the run has ended.
        ended: whether there is nothing left to do.
    """

    learner: ImitationLearner
    imitation: ImitationConfig
    demonstrations: Demonstrations
    choice: Choice
    streams: DemonstrationStreams
    best: Best = field(default_factory=Best)
    ended: bool = False

    @property
    def complete(self) -> bool:
        """Whether the run has ended, by its passes, steps or time, or because it did not get better."""
        return self.ended

    @property
    def ending(self) -> str:
        """What is said of a run that is complete."""
        if self._is_patient:
            return super().ending
        patience = self.imitation.patience
        return f"{super().ending}: the held-out loss has not fallen for {patience} measurements (--patience)"

    @property
    def schedule(self) -> TrainConfig:
        """The config with the number of steps that will be made at most: its own, or those of all passes."""
        steps = self.imitation.passes * self.choice.num_train_steps
        return replace(self.config, total_steps=min(self.config.total_steps, steps))

    def settings(self) -> dict[str, Any]:
        """Return the run's settings as plain values, as its directory holds them."""
        return {**super().settings(), IMITATION_KEY: asdict(self.imitation)}

    def progress_line(self) -> ProgressLine:
        """Return what tells how far the run is."""
        return ImitationLine(self.schedule, self.progress)

    def training_state(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside weights and settings."""
        return {
            **super().training_state(),
            "streams": self.streams.state_dict(),
            "best": {**vars(self.best)},
            "ended": self.ended,
            "games": _fingerprint(self.choice.train) + _fingerprint(self.choice.held_out),
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Go on from what `training_state` returned.

        Raises:
            ValueError: if the recording or the choice of games is another one.
        """
        train, held_out = _fingerprint(self.choice.train), _fingerprint(self.choice.held_out)
        if state["games"][: len(train)] != train:
            raise ValueError("the games to learn from are not those that the run began with: begin a new run")
        if state["games"][len(train) :] != held_out:
            raise ValueError(
                "the games to measure on are not those that the run began with, and losses would not compare: go on "
                "with the same --held-out-steps, or begin a new run"
            )
        super().load_training_state(state)
        self.streams.load_state_dict(state["streams"])
        self.best = Best(**state["best"])
        # With more passes, steps, minutes or patience than it ended by, it goes on from its best weights.
        self.ended = bool(state["ended"]) and not self._has_more()

    def train(self, report: Callable[[Update], None], stop: threading.Event) -> None:
        """Imitate until the passes, steps or minutes are used up, nothing gets better or `stop` is set, and save.

        Args:
            report: called now and then.
            stop: looked at after every update.

        Raises:
            OSError: if the disk is full; the last checkpoint stays good.
            RecordingError: if the recording is damaged.
        """
        metrics = self.loggers()
        try:
            self._loop(metrics, report, stop)
            if not stop.is_set():
                self._end(metrics, report)
        finally:
            metrics.close()
        self.save()

    def _loop(self, metrics: CompositeLogger, report: Callable[[Update], None], stop: threading.Event) -> None:
        schedule, tally, logged = self.schedule, Tally(), (self.progress.seconds, self.progress.game_steps)
        while self._is_patient and self.progress.share(schedule) < 1.0 and not stop.is_set():
            start = time.perf_counter()
            batch = self.streams.next()
            if batch is None:
                return
            tally.add(self.learner.update(batch, self.progress.share(schedule)))
            self.progress.updates += 1
            self.progress.game_steps += batch.num_steps
            self.progress.decisions += int(batch.observations.decision_counts.sum())
            self.progress.seconds += time.perf_counter() - start
            if self.progress.updates % _LOG_INTERVAL_UPDATES == 0:
                figures = {f"imitation/{name}": value for name, value in self._named(tally.take_means()).items()}
                seconds, steps = self.progress.seconds - logged[0], self.progress.game_steps - logged[1]
                logged = (self.progress.seconds, self.progress.game_steps)
                learning_rate = self.config.learner.learning_rate_at(self.progress.share(schedule))
                figures |= {"charts/SPS": steps / seconds, "charts/learning_rate": learning_rate}
                self._log(figures, metrics, report)
            if self.progress.updates % self.config.checkpoint_interval_updates == 0:
                self.measure(metrics, report)
                if self._is_patient:
                    self.save()

    @property
    def _is_patient(self) -> bool:
        return self.best.measurements_since < self.imitation.patience

    def _has_more(self) -> bool:
        return self._is_patient and self.streams.has_more and self.progress.share(self.schedule) < 1.0

    def measure(self, metrics: CompositeLogger, report: Callable[[Update], None]) -> None:
        """Measure on held-out games, log it and note the weights if they are the best so far."""
        start = time.perf_counter()
        streams = held_out_streams(self.demonstrations, self.choice, self.config, self.imitation)
        found = self._named(self.learner.evaluate(iter(streams.next, None), streams.num_streams))
        self.best.compare(found["policy_loss"], self.progress.game_steps, self.agent)
        self.progress.seconds += time.perf_counter() - start
        figures = {f"held_out/{name}": value for name, value in found.items()}
        self._log({**figures, "held_out/best_policy_loss": self.best.loss}, metrics, report)

    def _end(self, metrics: CompositeLogger, report: Callable[[Update], None]) -> None:
        """Measure what was not measured yet, and go back to the best weights."""
        if self.progress.updates % self.config.checkpoint_interval_updates or not self.best.weights:
            self.measure(metrics, report)
        self.agent.load_state_dict(self.best.weights)
        self.ended = True

    def _log(self, figures: dict[str, float], metrics: CompositeLogger, report: Callable[[Update], None]) -> None:
        metrics.log(self.progress.game_steps, figures)
        report(Update(self.progress, figures))

    def _named(self, figures: dict[str, float]) -> dict[str, float]:
        """Return figures of the action's parts under the names that the game gives them."""
        names = part_names(self.config.environment)
        return {"/".join(names.get(part, part) for part in name.split("/")): value for name, value in figures.items()}


def open_imitation(
    config: TrainConfig,
    imitation: ImitationConfig,
    run_path: Path | str,
    *,
    resume: bool = False,
    allow_version_mismatch: bool = False,
) -> ImitationRun:
    """Return a run that is ready to imitate: everything that can be refused is refused here.

    Args:
        config: the game, the network, the learner's step sizes, discounts and costs of values, and the evaluation.
        imitation: what is imitated.
        run_path: the run directory.
        resume: go on from the newest checkpoint there that is not damaged, if there is one.
        allow_version_mismatch: go on even if the recording or the weights are of another build of the game.

    Raises:
        ConfigError: if what is asked for does not exist or does not fit together.
        RecordingError: if there is no recording, or it is damaged.
        RunDirectoryError: if the directory holds something else, or another process has a run in it.
        CheckpointError: if the checkpoint to go on from is damaged or does not fit.
        GameError: if the game is not installed.
        OSError: if the directory is not writable or the disk is full.
    """
    goes_on = resume and has_checkpoint(run_path)
    demonstrations = Demonstrations(imitation.data)
    with config_checked():
        identity, agent = make_agent(config, goes_on=goes_on, allow_version_mismatch=allow_version_mismatch)
        check_opponents(config.environment, config.evaluation.opponents)
        _check_recording(demonstrations, identity, allow_version_mismatch)
        _warn_of_other_lengths(demonstrations, config)
        choice = choose_games(
            demonstrations.player_games,
            imitation,
            values=config.learner.value_cost > 0,
            repeats=repeated_games(demonstrations),
        )
        streams, device = training_streams(demonstrations, choice, config, imitation), resolve_device(config.device)
        learner = ImitationLearner(agent, config.learner, num_streams=streams.num_streams, device=device)
    run = ImitationRun(
        config=config,
        directory=prepare_run_directory(run_path, resume=resume),
        identity=identity,
        agent=agent,
        learner=learner,
        imitation=imitation,
        demonstrations=demonstrations,
        choice=choice,
        streams=streams,
    )
    begin(run, goes_on=goes_on, allow_version_mismatch=allow_version_mismatch)
    return run


def part_names(config: EnvironmentConfig) -> dict[str, str]:
    """Return the game's names of the components of an action."""
    if not isinstance(config, MicroRTSConfig):
        return {}
    from envs.microrts.layout import ACTION_COMPONENTS

    return {f"component_{index}": name for index, name in enumerate(ACTION_COMPONENTS)}


def _check_recording(demonstrations: Demonstrations, identity: dict[str, Any], allow_mismatch: bool) -> None:
    manifest = demonstrations.manifest
    game, layout = dict(manifest.game), asdict(manifest.spec)
    if not manifest.spec.num_value_scalars:  # replays do not tell what the opponent sees; the values do without
        layout["num_value_scalars"] = identity["layout"]["num_value_scalars"]
    # Replays are of many maps and versions: their recording names none.
    expected = {"game": {name: identity["game"].get(name) for name in game}, "layout": identity["layout"]}
    check_compatible({"game": game, "layout": layout}, expected, allow_mismatch, what="recording")


def _warn_of_other_lengths(demonstrations: Demonstrations, config: TrainConfig) -> None:
    """Warn where games in play are longer or shorter than recorded ones: players see the share of them that is over."""
    recorded = demonstrations.manifest.max_steps
    if not isinstance(config.environment, MicroRTSConfig) or recorded is None:
        return
    played = {"environment": config.environment.max_steps, "evaluation": config.evaluation.max_steps}
    if other := [f"--{name}.max-steps is {steps}" for name, steps in played.items() if steps != recorded]:
        _logger.warning(
            "recorded games end after %d steps, but %s: agents see which share of a game is over, and would take one "
            "step for another; give %d, or record with other --max-steps",
            recorded,
            " and ".join(other),
            recorded,
        )


def _fingerprint(games: Sequence[ChosenGame]) -> list[list[float]]:
    """Return what tells games that are chosen apart from others."""
    return [[game.index, game.weight, game.num_steps] for game in games]
