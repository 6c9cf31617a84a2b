"""What a training run is: one frozen, nested, serialisable value."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from agent.config import AgentConfig
from training.checkpoint_errors import CheckpointError
from training.environment_config import GymnasiumConfig, MicroRTSConfig, StarCraft2Config
from training.league import LeagueConfig
from training.learner_config import LearnerConfig

CONFIG_VERSION = 1

T = typing.TypeVar("T")


class ConfigError(ValueError):
    """A config that asks for what does not exist or does not fit together."""


@contextmanager
def config_checked() -> Iterator[None]:
    """Turn what is wrong with settings into a ConfigError; what is wrong with a checkpoint is passed on.

    Raises:
        ConfigError: in place of a plain ValueError.
    """
    try:
        yield
    except (ConfigError, CheckpointError):
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class ActorConfig:
    """The processes that play."""

    num_actors: Annotated[int, tyro.conf.arg(aliases=("--actors",))] = 2
    """Ray actors; 0 plays in the learner's process, deterministically."""
    games_per_actor: int = 32
    """Environments that each actor steps together."""
    unroll_length: int = 64
    """Steps of each unroll."""
    queue_size: int = 2
    """Unrolls (of a whole actor) that may wait for the learner while the next are played; 0 keeps policy lag least."""
    unroll_timeout_seconds: float = 300.0
    """An actor that takes longer for one unroll is replaced."""
    max_rss_mib: float = 4096.0
    """An actor that holds more memory is replaced."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.num_actors < 0:
            raise ValueError(f"actors must be 0 (play in the learner's process) or more, got {self.num_actors}")
        if self.queue_size < 0:
            raise ValueError(f"actors.queue_size must be 0 or more, got {self.queue_size}")
        for name in ("games_per_actor", "unroll_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"actors.{name} must be at least 1, got {getattr(self, name)}")
        for name in ("unroll_timeout_seconds", "max_rss_mib"):
            if not getattr(self, name) > 0:
                raise ValueError(f"actors.{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Matches that measure the agent."""

    opponents: tuple[str, ...] = ()
    """Built-in AIs to play against at the end of training."""
    games: int = 100
    """Games against each, half of them on each side; without opponents, episodes."""
    max_steps: int = 2000
    """Game steps after which a match is a draw."""
    modes: tuple[Literal["sampled", "greedy"], ...] = ("sampled",)
    """Draw actions from the policy, or take the most likely ones."""
    games_at_once: int = 50
    """Matches stepped together in each process."""
    untrained_baseline: bool = False
    """Also play the same matches with the same network before any training, to compare with."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("games", "max_steps", "games_at_once"):
            if getattr(self, name) < 1:
                raise ValueError(f"evaluation.{name} must be at least 1, got {getattr(self, name)}")
        if not self.modes:
            raise ValueError("evaluation.modes must name at least one of sampled and greedy, got none")


_AT_LEAST_ONE = (
    "total_steps",
    "unrolls_per_update",
    "checkpoint_interval_updates",
    "keep_checkpoints",
    "learner_threads",
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run."""

    recipe: str
    """What to start from; `perceiver-star recipes` lists them."""
    hardware: tyro.conf.Suppress[str]
    """What the recipe is for."""
    environment: MicroRTSConfig | StarCraft2Config | GymnasiumConfig
    """What is played."""
    agent: AgentConfig = field(default_factory=lambda: AgentConfig.of_size("small"))
    """The network."""
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """How it learns."""
    actors: ActorConfig = field(default_factory=ActorConfig)
    """How it plays."""
    league: LeagueConfig = field(default_factory=LeagueConfig)
    """Whom it meets."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """How it is measured."""
    total_steps: int = 10_000_000
    """Game steps to train for."""
    max_minutes: float | None = None
    """Stop after this many minutes of training, even if steps are left; the learning rate then follows the clock."""
    unrolls_per_update: int = 2
    """Unrolls (of a whole actor) that make one batch."""
    checkpoint_interval_updates: int = 200
    """Updates between checkpoints."""
    keep_checkpoints: int = 5
    """Checkpoints that are kept."""
    seed: int = 1
    """Of weights, games, action noise and minibatches."""
    init: str | None = None
    """A run or checkpoint whose weights this one begins with, such as one of `imitate`; all else begins anew."""
    teacher: str | None = None
    """A run or checkpoint whose policy `learner.teacher-kl-cost` holds this one to; by default the one of `init`."""
    device: str = "auto"
    """Where the learner runs: cpu, cuda, or auto (cuda where there is one)."""
    learner_threads: int = 1
    """CPU threads of the learner."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")
        if self.max_minutes is not None and self.max_minutes <= 0:
            raise ValueError(f"max_minutes must be positive, got {self.max_minutes}")
        if self.max_minutes is not None and self.actors.num_actors == 0:
            raise ValueError(
                f"max_minutes is {self.max_minutes:g}, but without actors equal seeds are to give equal runs, whatever "
                "the clock says: give the length in steps, such as --max-minutes None --total-steps 1000000"
            )


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """Return the config as plain JSON values, with its format version."""
    return {"config_version": CONFIG_VERSION, **dataclasses.asdict(config)}


def from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """Return the config that `to_dict` wrote.

    Raises:
        ValueError: if it was written by a newer version, or fields are unknown or missing.
    """
    values = dict(values)
    version = values.pop("config_version", None)
    if version != CONFIG_VERSION:
        raise ValueError(
            f"expected a config of version {CONFIG_VERSION}, got {version}: use the software that wrote it"
        )
    return dataclass_from_dict(TrainConfig, values)


def dataclass_from_dict(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return the dataclass, and those in it, that `dataclasses.asdict` turned into plain JSON values.

    Raises:
        ValueError: if fields are unknown or missing.
    """
    hints = typing.get_type_hints(kind)
    unknown = set(values) - set(hints)
    if unknown:
        raise ValueError(f"unknown {kind.__name__} fields {sorted(unknown)}; there are {sorted(hints)}")
    try:
        return kind(**{name: _convert(hints[name], value) for name, value in values.items()})
    except TypeError as error:
        raise ValueError(f"cannot build {kind.__name__}: {error}") from error


def _convert(hint: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        options = [hint] if dataclasses.is_dataclass(hint) else list(typing.get_args(hint))
        for option in options:
            if dataclasses.is_dataclass(option) and _kind_matches(option, value):
                return dataclass_from_dict(typing.cast(type, option), value)
        raise ValueError(f"expected one of {options}, got {dict(value)}")
    if isinstance(value, list) and any(
        typing.get_origin(option) is tuple or isinstance(option, types.GenericAlias)
        for option in (hint, *typing.get_args(hint))
    ):
        return tuple(value)
    return value


def _kind_matches(option: Any, value: Mapping[str, Any]) -> bool:
    kind = {entry.name: entry.default for entry in dataclasses.fields(option)}.get("kind")
    return kind is None or value.get("kind", kind) == kind
