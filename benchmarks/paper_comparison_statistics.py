"""How sure a comparison of trainings is: seeds differ more than games do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from training.statistics import WinRate


@dataclass(frozen=True)
class Estimate:
    """A mean or a difference of means with its interval; the ends are nan where it cannot be told."""

    value: float
    low: float
    high: float

    def percent(self) -> str:
        """Return the estimate in points of percent, such as 61.2 (58.0 to 64.4)."""
        if math.isnan(self.value):
            return ""
        if math.isnan(self.low):
            return f"{_points(self.value)} (one seed)"
        return f"{_points(self.value)} ({_points(self.low)} to {_points(self.high)})"


def _points(value: float) -> str:
    """Return a share in points of percent; without the sign of a zero."""
    return f"{round(100 * value, 1) + 0.0:.1f}"


def mean_over_seeds(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Return the mean of one figure for each seed, m ± t s / √n with n - 1 degrees of freedom.

    What chance did to the training and to the evaluation's games are both in the spread s.

    Raises:
        ValueError: without values.
    """
    if not values:
        raise ValueError("expected a figure for each of at least one seed, got none")
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, math.nan, math.nan)
    half = _quantile(len(values) - 1, confidence) * statistics.stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half)


def difference_over_seeds(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Return the mean of first - second, seed by seed, with Student's interval for pairs.

    Equal seeds meet the same recorded games in the same order and the same games at the end: what a seed does to both
    sides alike, if anything, falls out of their difference.

    Args:
        first: one figure for each seed.
        second: likewise, with the same seeds in the same places.
        confidence: share of such intervals that cover the true difference.

    Raises:
        ValueError: without values, or if their numbers differ.
    """
    if len(first) != len(second):
        raise ValueError(f"expected figures of the same seeds on both sides, got {len(first)} and {len(second)}")
    return mean_over_seeds([ours - theirs for ours, theirs in zip(first, second, strict=True)], confidence)


def difference_of_games(first: Sequence[WinRate], second: Sequence[WinRate], confidence: float = 0.95) -> Estimate:
    """Return the difference of mean win rates of these very agents: only the games are left to chance.

    Each side's figures are win rates of equal weight, of an opponent and seed each. Their variances are those of
    Agresti and Coull (1998), as of w + 2 wins in n + 4 games, so that 0 of n wins are not taken for certain.

    Raises:
        ValueError: if a side has no games.
    """
    means, variance = [], 0.0
    for rates in (first, second):
        if not rates or any(rate.games == 0 for rate in rates):
            raise ValueError("expected games in every win rate of both sides, got none in some")
        means.append(statistics.fmean(rate.win_rate for rate in rates))
        for rate in rates:
            probability = (rate.wins + 2) / (rate.games + 4)
            variance += probability * (1 - probability) / (rate.games + 4) / len(rates) ** 2
    half = statistics.NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance)
    difference = means[0] - means[1]
    return Estimate(difference, difference - half, difference + half)


def pooled(rates: Sequence[WinRate]) -> WinRate:
    """Return all games together."""
    return WinRate(*(sum(getattr(rate, name) for rate in rates) for name in ("games", "wins", "draws", "losses")))


def mean_win_rate(rates: Sequence[WinRate]) -> float:
    """Return the mean over opponents, whatever the number of games against each."""
    return float(np.mean([rate.win_rate for rate in rates]))


def _quantile(degrees: float, confidence: float) -> float:
    return float(stats.t.ppf(0.5 + confidence / 2, degrees))
