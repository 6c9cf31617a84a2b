"""Seeded matches on both sides, and what they say about strength.

Matches are planned as batches, each with a seed that depends on nothing but what it is, so that it does not matter
where and in which order they are played.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.errors import GameCrashedError, GameStartError
from training.config import EvaluationConfig
from training.environment_config import MatchConfig
from training.policies import Player
from training.statistics import WinRate

logger = logging.getLogger(__name__)

Array = NDArray[Any]

UNKNOWN_FINGERPRINT = -1


class Contestant(Protocol):
    """One whose strength is measured."""

    @property
    def modes(self) -> tuple[str, ...]:
        """The ways in which it can play."""
        ...

    def play(self, batch: MatchBatch) -> Array:
        """Return int [games, 2]: outcomes as the contestant sees them, +1, 0 or -1, and fingerprints of the games.

        Games with equal fingerprints are repeats, but for UNKNOWN_FINGERPRINT.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class MatchBatch:
    """Games of one contestant against one opponent, on one side and in one mode, that are played together."""

    contestant: str
    environment: MatchConfig
    place: str
    opponent: str
    side: int
    mode: str
    num_games: int
    seed: int

    def run(self, contestants: Mapping[str, Contestant]) -> Array:
        """Play the games and return what `play` tells of them; none, with a warning, where the game or its AI fails."""
        try:
            return contestants[self.contestant].play(self)
        except GameStartError:
            raise
        except GameCrashedError as error:
            logger.warning("%d games against %s are dropped: %s", self.num_games, self.opponent, error)
            return np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class MatchResult:
    """Outcomes of a contestant's games against one opponent in one mode, on one side or (None) on both.

    Attributes:
        different_games: games without repeats, None where that is not told. Two players that draw nothing at random
            play the same game again and again, of which the interval of the win rate knows nothing.
    """

    contestant: str
    opponent: str
    place: str
    side: int | None
    mode: str
    result: WinRate
    different_games: int | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the result as a row of evaluation.json."""
        return {
            "agent": self.contestant,
            "opponent": self.opponent,
            "map": self.place,
            "side": self.side,
            "mode": self.mode,
            **self.result.to_row(),
            "different_games": self.different_games,
        }


def plan_matches(
    environment: MatchConfig,
    config: EvaluationConfig,
    contestants: Mapping[str, Contestant],
    *,
    place: str | None = None,
    seed: int = 0,
) -> list[MatchBatch]:
    """Return the matches that a config asks for: every contestant, opponent, mode and side.

    All contestants meet the same games: a batch's seed depends on `seed`, its side and its number only.

    Args:
        environment: map and rules; the config's step limit takes the place of its own.
        config: opponents, games, modes.
        contestants: by name.
        place: what tables say was played on; the map by default.
        seed: of games and actions.
    """
    place = environment.map_name if place is None else place
    sides = environment.sides
    environment = replace(environment, max_steps=config.max_steps)
    batches = []
    for name, contestant in contestants.items():
        modes = modes_of(contestant, config)
        for opponent in dict.fromkeys(config.opponents):  # a second time, it would play the same games
            for mode in modes:
                for index, side in enumerate(sides):
                    games = (config.games + len(sides) - 1 - index) // len(sides)
                    for first in range(0, games, config.games_at_once):
                        batches.append(
                            MatchBatch(
                                contestant=name,
                                environment=environment,
                                place=place,
                                opponent=opponent,
                                side=side,
                                mode=mode,
                                num_games=min(config.games_at_once, games - first),
                                seed=int(np.random.SeedSequence([seed, side, first]).generate_state(1)[0]),
                            )
                        )
    return batches


def modes_of(player: Player | Contestant, config: EvaluationConfig) -> tuple[str, ...]:
    """Return the modes that a config asks of a player: where it can play in none of them, its own first one."""
    return tuple(mode for mode in dict.fromkeys(config.modes) if mode in player.modes) or player.modes[:1]


def match_results(batches: Sequence[MatchBatch], games: Sequence[Array]) -> list[MatchResult]:
    """Return the results of each contestant, opponent, mode and side, in the order of the plan.

    Args:
        batches: what was planned.
        games: what `Contestant.play` returned for each batch.
    """
    merged: dict[tuple[str, str, str, int, str], list[Array]] = {}
    for batch, played in zip(batches, games, strict=True):
        key = (batch.contestant, batch.opponent, batch.place, batch.side, batch.mode)
        merged.setdefault(key, []).append(played)
    return [
        MatchResult(*key, _win_rate(np.concatenate(parts)[:, 0]), _different_games(parts))
        for key, parts in merged.items()
    ]


def _different_games(parts: Sequence[Array]) -> int | None:
    games = np.concatenate(parts)
    return None if (games[:, 1] == UNKNOWN_FINGERPRINT).any() else len(np.unique(games, axis=0))


def _win_rate(outcomes: Array) -> WinRate:
    wins, losses = int((outcomes > 0).sum()), int((outcomes < 0).sum())
    return WinRate(games=len(outcomes), wins=wins, draws=len(outcomes) - wins - losses, losses=losses)


def both_sides(results: Iterable[MatchResult]) -> list[MatchResult]:
    """Return the results with the two sides added up."""
    merged: dict[tuple[str, str, str, str], list[MatchResult]] = {}
    for result in results:
        merged.setdefault((result.contestant, result.opponent, result.place, result.mode), []).append(result)
    return [_sum(parts) for parts in merged.values()]


def _sum(parts: Sequence[MatchResult]) -> MatchResult:
    rates = [part.result for part in parts]
    different = [part.different_games for part in parts if part.different_games is not None]
    return replace(
        parts[0],
        side=None,
        result=WinRate(
            games=sum(rate.games for rate in rates),
            wins=sum(rate.wins for rate in rates),
            draws=sum(rate.draws for rate in rates),
            losses=sum(rate.losses for rate in rates),
        ),
        different_games=sum(different) if len(different) == len(parts) else None,
    )


def result_metrics(results: Iterable[MatchResult]) -> dict[str, float]:
    """Return the figures of a contestant's results for TensorBoard, both sides together.

    The first mode goes by the plain name, `evaluation/win_rate/<opponent>`; others have it in theirs.
    """
    metrics: dict[str, float] = {}
    for total in both_sides(results):
        name = "evaluation/win_rate"
        if f"{name}/{total.opponent}" in metrics:
            name = f"{name}_{total.mode}"
        metrics[f"{name}/{total.opponent}"] = total.result.win_rate
        metrics[f"{name}_low/{total.opponent}"] = total.result.low
        metrics[f"{name}_high/{total.opponent}"] = total.result.high
        metrics[f"{name}_games/{total.opponent}"] = float(total.result.games)
    return metrics


def mean_win_rate(results: Iterable[MatchResult]) -> float:
    """Return the mean over opponents and modes in which games were played; nan without any."""
    return float(np.mean([total.result.win_rate for total in both_sides(results) if total.result.games] or [math.nan]))


def result_table(
    results: Sequence[MatchResult], baseline: Sequence[MatchResult] = (), *, baseline_name: str = "untrained"
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of text: each opponent and mode, both sides together, and the win rate on each.

    Where there is only one mode, or one side, it has no column.

    Args:
        results: of one contestant, side by side.
        baseline: of another one against the same opponents; its win rates become the last column.
        baseline_name: heads that column.
    """
    sides = sorted({result.side for result in results if result.side is not None})
    header = ["opponent", "mode", "games", "W", "D", "L", "win rate", "95 %"]
    if len(sides) > 1:
        header += [f"side {side}" for side in sides]
    rows = []
    for total in both_sides(results):
        parts = [part for part in results if (part.opponent, part.mode) == (total.opponent, total.mode)]
        on_sides = [_percent(part.result) for part in sorted(parts, key=lambda part: part.side or 0)]
        rate = total.result
        counts = [_games(total), *(str(count) for count in (rate.wins, rate.draws, rate.losses))]
        interval = f"{100 * rate.low:.0f}-{100 * rate.high:.0f}"
        rows.append(
            [total.opponent, total.mode, *counts, _percent(rate), interval, *(on_sides if len(sides) > 1 else [])]
        )
    if baseline:
        header.append(baseline_name)
        rates = {(total.opponent, total.mode): _percent(total.result) for total in both_sides(baseline)}
        rows = [[*row, rates.get((row[0], row[1]), "")] for row in rows]
    if len({row[1] for row in rows}) == 1:  # then it goes without saying, or into a title
        header, rows = [header[0], *header[2:]], [[row[0], *row[2:]] for row in rows]
    return header, rows


def has_repeats(result: MatchResult) -> bool:
    """Whether some of the games are known to be repeats of others."""
    return result.different_games is not None and result.different_games < result.result.games


def _games(total: MatchResult) -> str:
    games = str(total.result.games)
    return f"{games} ({total.different_games} different)" if has_repeats(total) else games


def _percent(rate: WinRate) -> str:
    return f"{100 * rate.win_rate:.0f} %" if rate.games else "-"
