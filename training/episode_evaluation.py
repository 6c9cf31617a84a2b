"""Seeded episodes of environments that know no opponents, and the mean return in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import EvaluationConfig
from training.environment_config import EnvironmentConfig, as_measured
from training.environments import make_environment
from training.evaluation import modes_of
from training.policies import Player, play_episodes

Array = NDArray[Any]

_Z95 = 1.96
_LONGEST_EPISODE = 27_000  # of environments that set no limit: half an hour of an Atari game at four frames a step


@dataclass(frozen=True, kw_only=True)
class EpisodeBatch:
    """Episodes of one player in one mode that are played together; a job for `run_jobs`."""

    player: str
    environment: EnvironmentConfig
    place: str
    mode: str
    num_games: int
    seed: int
    max_steps: int | None = None

    def run(self, players: Mapping[str, Player]) -> Array:
        """Play the episodes and return their returns, [num_games] without those whose game failed."""
        config = as_measured(self.environment, self.player, self.mode)
        environment = make_environment(config, self.num_games, seed=self.seed)
        limit = self.max_steps
        if limit is None and not getattr(environment, "has_time_limit", True):
            limit = _LONGEST_EPISODE  # a policy that goes nowhere would go there for ever
        try:
            policy = players[self.player].policy(environment, self.mode)
            return play_episodes(environment, policy, seed=self.seed, max_steps=limit).returns
        finally:
            environment.close()


@dataclass(frozen=True)
class ReturnResult:
    """Returns of a player's episodes in one mode."""

    player: str
    place: str
    mode: str
    returns: Array

    @property
    def mean(self) -> float:
        """The mean return; nan where all games failed."""
        return float(self.returns.mean()) if len(self.returns) else math.nan

    @property
    def half_width(self) -> float:
        """Half the width of the mean's 95 % interval, by the normal approximation; nan for a single episode."""
        count = len(self.returns)
        return _Z95 * float(self.returns.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan

    @property
    def figures(self) -> dict[str, float]:
        """Mean, its interval, smallest and largest; not finite where there are too few episodes to tell."""
        return {
            "mean_return": self.mean,
            "low": self.mean - self.half_width,
            "high": self.mean + self.half_width,
            "min_return": float(self.returns.min(initial=math.inf)),
            "max_return": float(self.returns.max(initial=-math.inf)),
        }

    def to_row(self) -> dict[str, Any]:
        """Return the result as a row of evaluation.json."""
        return {
            "agent": self.player,
            "environment": self.place,
            "mode": self.mode,
            "episodes": len(self.returns),
            **{name: value if math.isfinite(value) else None for name, value in self.figures.items()},
        }


def plan_episodes(
    environment: EnvironmentConfig,
    config: EvaluationConfig,
    players: Mapping[str, Player],
    *,
    place: str | None = None,
    seed: int = 0,
    max_steps: int | None = None,
) -> list[EpisodeBatch]:
    """Return the episodes that a config asks for; all players meet the same ones.

    Args:
        environment: what is played.
        config: games and modes; its opponents and step limit do not apply.
        players: by name.
        place: what tables say was played; the environment's name by default.
        seed: of episodes and actions.
        max_steps: game steps after which an episode ends; by default when the environment ends it, or after 27,000
            where that has no time limit.
    """
    firsts = range(0, config.games, config.games_at_once)
    return [
        EpisodeBatch(
            player=name,
            environment=environment,
            place=environment.map_name if place is None else place,
            mode=mode,
            num_games=min(config.games_at_once, config.games - first),
            seed=int(np.random.SeedSequence([seed, first]).generate_state(1)[0]),
            max_steps=max_steps,
        )
        for name, player in players.items()
        for mode in modes_of(player, config)
        for first in firsts
    ]


def return_results(batches: Sequence[EpisodeBatch], returns: Sequence[Array]) -> list[ReturnResult]:
    """Return the results of each player and mode, in the order of the plan."""
    merged: dict[tuple[str, str, str], list[Array]] = {}
    for batch, played in zip(batches, returns, strict=True):
        merged.setdefault((batch.player, batch.place, batch.mode), []).append(played)
    return [ReturnResult(*key, np.concatenate(parts)) for key, parts in merged.items()]


def return_metrics(results: Sequence[ReturnResult]) -> dict[str, float]:
    """Return the figures for TensorBoard where there are any; the first mode goes by the plain name."""
    metrics: dict[str, float] = {}
    for result in results:
        if not len(result.returns):
            continue
        name = "evaluation/episodic_return"
        metrics[f"{name}_{result.mode}" if name in metrics else name] = result.mean
    return metrics


def return_table(results: Sequence[ReturnResult]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of text, one row a player and mode."""
    header = ["agent", "mode", "episodes", "mean return", "95 %", "lowest", "highest"]
    rows = []
    for result in results:
        mean, low, high, *extremes = (f"{each:.1f}" if math.isfinite(each) else "-" for each in result.figures.values())
        interval = "-" if low == "-" else f"{low}-{high}"
        rows.append([result.player, result.mode, str(len(result.returns)), mean, interval, *extremes])
    return header, rows
