"""The options of `evaluate` and `watch`, and what they ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from agent.interface import AgentSpec
from training.config import ConfigError, EvaluationConfig, TrainConfig, config_checked
from training.contestants import AgentContestant, RandomContestant, ScriptedContestant
from training.environment_config import (
    EnvironmentConfig,
    GymnasiumConfig,
    MicroRTSConfig,
    StarCraft2Config,
    is_scored,
)
from training.environments import check_opponents, place_of
from training.episode_evaluation import EpisodeBatch, plan_episodes
from training.evaluation import MatchBatch, plan_matches
from training.game_gifs import OUR_NAME, GifJob
from training.run import environment_spec, load_agent
from training.starcraft2_games import on_map

DEFAULT_MAP = "maps/8x8/basesWorkers8x8A.xml"
ALL_OPPONENTS = "all"
RANDOM_AGENT = "random"


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Play matches against the game's own AIs, on both sides, and report win rates."""

    checkpoint: Path | None = None
    """A run directory or a checkpoint in it."""
    agent: str | None = None
    """In place of a checkpoint: `random`, or the name of an AI of µRTS."""
    game: Literal["microrts", "starcraft2"] = "microrts"
    """What is played without a checkpoint; with one, it is the game that it was trained on."""
    opponents: tuple[str, ...] = (ALL_OPPONENTS,)
    """Names of AIs; `all` are those that answer at once (AIs that search for a while go by name only)."""
    map_name: Annotated[str | None, tyro.conf.arg(name="map")] = None
    """The map; by default the one that the checkpoint was trained on, or maps/8x8/basesWorkers8x8A.xml, or Simple64."""
    games: int = 100
    """Games against each opponent in each mode, half of them on each side."""
    modes: tuple[Literal["sampled", "greedy"], ...] = ("sampled", "greedy")
    """Draw actions from the policy, or take the most likely ones."""
    max_steps: int | None = None
    """Game steps after which a match is a draw; by default as at the end of the checkpoint's training, or 2000, or
    28800 in StarCraft II. Of a Gymnasium environment, steps after which an episode ends; by default its time limit, or
    27000 where it has none."""
    seed: int = 0
    """Of games and actions; equal seeds play equal games, however many processes there are."""
    output: Path | None = None
    """A file for the results as JSON. Until all are there, they are kept beside it, in FILE.unfinished."""
    resume: bool = False
    """Go on with an evaluation that was interrupted, with what FILE.unfinished keeps of it."""
    workers: int | None = None
    """Processes; by default one for each usable core."""
    games_at_once: int | None = None
    """Games that a process steps together, 50 by default and few in StarCraft II. Against AIs that search, 5 keep all
    cores busy to the end. Other numbers give other games."""
    allow_version_mismatch: bool = False
    """Play even if the game is another build than the one that the checkpoint was trained with."""


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """Play one game and write it to a GIF."""

    checkpoint: Path | None = None
    """A run directory or a checkpoint in it."""
    agent: str | None = None
    """In place of a checkpoint: `random`."""
    opponent: str = "CoacAI"
    """Name of an AI."""
    output: Path = Path("game.gif")
    """The file to write."""
    map_path: Annotated[str | None, tyro.conf.arg(name="map")] = None
    """The map; by default the one that the checkpoint was trained on, or maps/8x8/basesWorkers8x8A.xml."""
    seed: int = 0
    """Of the game and the actions."""
    side: Literal[0, 1] = 0
    """Which player the agent is."""
    greedy: bool = False
    """Take the most likely actions in place of drawing them."""
    max_steps: int | None = None
    """Game steps after which the game is a draw."""
    max_frames: int = 150
    """Pictures, spread evenly over the game."""
    allow_version_mismatch: bool = False
    """Play even if the game is another build than the one that the checkpoint was trained with."""


@dataclass(frozen=True)
class Evaluation:
    """What was asked for: who plays, by name, and matches, or episodes where there are no opponents."""

    players: dict[str, AgentContestant | RandomContestant | ScriptedContestant]
    matches: list[MatchBatch]
    episodes: list[EpisodeBatch]


@config_checked()
def prepare_evaluation(options: EvaluateOptions) -> Evaluation:
    """Return what `evaluate` asks for.

    Raises:
        ConfigError: if they cannot be played, or a map or an AI does not exist.
        CheckpointError: if the checkpoint is damaged or does not fit the game.
    """
    if options.resume and options.output is None:
        raise ConfigError("--resume goes on with what is kept beside the --output: give it too")
    if not options.opponents or options.games < 1 or not options.modes:
        raise ConfigError("there is nothing to play: give at least one opponent, game and mode")
    if options.workers is not None and options.workers < 1:
        raise ConfigError(f"workers must be at least 1, got {options.workers}")
    if options.seed < 0:
        raise ConfigError(f"seed must be 0 or more, got {options.seed}")
    name, player, trained = _player(options, options.map_name)
    if isinstance(player, ScriptedContestant) and options.game != "microrts":
        raise ConfigError(f"the AIs of {options.game} play against agents only: give --checkpoint or --agent random")
    environment = _environment(options.map_name, trained, options.game)
    if isinstance(environment, StarCraft2Config):
        environment = replace(environment, max_steps=options.max_steps or environment.max_steps)
    evaluation = EvaluationConfig(
        opponents=_expanded(options.opponents, options.game if trained is None else trained.environment.kind),
        games=options.games,
        modes=options.modes,
        max_steps=_max_steps(options.max_steps, trained, options.game),
        games_at_once=_games_at_once(options.games_at_once, environment, trained),
    )
    if is_scored(environment):
        if options.opponents != (ALL_OPPONENTS,):
            raise ConfigError(f"{environment.map_name} has no opponents: leave --opponents out")
        assert not isinstance(player, ScriptedContestant)
        episodes = plan_episodes(
            environment,
            evaluation,
            {name: player},
            place=place_of(environment),
            seed=options.seed,
            max_steps=options.max_steps,
        )
        return Evaluation({name: player}, [], episodes)
    assert not isinstance(environment, GymnasiumConfig)
    _check_fit(player, environment_spec(environment))
    check_opponents(environment, evaluation.opponents)
    matches = plan_matches(environment, evaluation, {name: player}, place=place_of(environment), seed=options.seed)
    return Evaluation({name: player}, matches, [])


@config_checked()
def prepare_gif(options: WatchOptions) -> tuple[AgentContestant | RandomContestant, GifJob]:
    """Return the player and the game that `watch` asks for.

    Raises:
        ConfigError: if it cannot be played, or a map or an AI does not exist.
        CheckpointError: if the checkpoint is damaged or does not fit the game.
    """
    if options.checkpoint is None and options.agent is None:
        raise ConfigError("who plays? give either --checkpoint or --agent random")
    name, player, trained = _player(options, options.map_path)
    if isinstance(player, ScriptedContestant):
        raise ConfigError("watch shows what an agent sees: give --checkpoint, or --agent random")
    if options.output.suffix.lower() != ".gif":
        raise ConfigError(f"the game is written as a GIF: expected an --output that ends in .gif, got {options.output}")
    if options.seed < 0:
        raise ConfigError(f"seed must be 0 or more, got {options.seed}")
    if options.max_frames < 2:
        raise ConfigError(f"max_frames must be at least 2, got {options.max_frames}")
    environment = _environment(options.map_path, trained)
    if not isinstance(environment, MicroRTSConfig):
        raise ConfigError(f"only games of µRTS can be drawn, and this agent was trained on {environment.map_name}")
    _check_fit(player, environment_spec(environment))
    check_opponents(environment, [options.opponent])
    return player, GifJob(
        player=name,
        title=RANDOM_AGENT if trained is None else OUR_NAME,
        environment=replace(environment, max_steps=_max_steps(options.max_steps, trained)),
        opponent=options.opponent,
        side=options.side,
        mode="greedy" if options.greedy else "sampled",
        seed=options.seed,
        path=options.output,
        max_frames=options.max_frames,
    )


def _player(
    options: EvaluateOptions | WatchOptions, map_name: str | None
) -> tuple[str, AgentContestant | RandomContestant | ScriptedContestant, TrainConfig | None]:
    """Return name, player, and the config that it was trained with."""
    checkpoint, agent = options.checkpoint, options.agent
    if (checkpoint is None) == (agent is None):
        raise ConfigError("who plays? give either --checkpoint, or --agent random, or --agent NAME of an AI")
    if checkpoint is not None:
        mismatch = options.allow_version_mismatch
        trained, config, _ = load_agent(checkpoint, allow_version_mismatch=mismatch, on_own_map=map_name is None)
        return str(checkpoint), AgentContestant(trained), config
    assert agent is not None
    if agent == RANDOM_AGENT:
        return agent, RandomContestant(), None
    check_opponents(MicroRTSConfig(), [agent])
    return agent, ScriptedContestant(agent), None


def _environment(map_name: str | None, trained: TrainConfig | None, game: str = "microrts") -> EnvironmentConfig:
    """Return the environment that an agent was trained on, or a game's own, on the map that was asked for."""
    if trained:
        environment = trained.environment
    else:
        environment = StarCraft2Config() if game == "starcraft2" else MicroRTSConfig(map_path=DEFAULT_MAP)
    if map_name is None:
        return environment
    if isinstance(environment, GymnasiumConfig):
        raise ConfigError(f"{environment.env_id} has no maps: leave --map out")
    if isinstance(environment, StarCraft2Config):
        return on_map(environment, map_name)
    return replace(environment, map_path=map_name)


def _max_steps(given: int | None, trained: TrainConfig | None, game: str = "microrts") -> int:
    if given is not None and given < 1:
        raise ConfigError(f"max_steps must be at least 1, got {given}")
    default = StarCraft2Config().max_steps if game == "starcraft2" else 2000
    return given or (trained.evaluation.max_steps if trained else default)


def _games_at_once(given: int | None, environment: EnvironmentConfig, trained: TrainConfig | None) -> int:
    if given is not None:
        return given
    if isinstance(environment, StarCraft2Config):  # whose games are processes of a gigabyte or more
        return trained.evaluation.games_at_once if trained else 2
    return EvaluationConfig().games_at_once


def _check_fit(player: AgentContestant | RandomContestant | ScriptedContestant, spec: AgentSpec) -> None:
    if isinstance(player, AgentContestant):
        player.check(spec)


def _expanded(opponents: tuple[str, ...], game: str) -> tuple[str, ...]:
    from envs.microrts.ais import FAST_AIS
    from envs.starcraft2.names import DIFFICULTIES

    everyone = tuple(DIFFICULTIES) if game == "starcraft2" else FAST_AIS
    names: list[str] = []
    for opponent in opponents:
        names += everyone if opponent == ALL_OPPONENTS else [opponent]
    return tuple(dict.fromkeys(names))
