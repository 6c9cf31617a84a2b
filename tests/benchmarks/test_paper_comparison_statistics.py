"""How sure the paper's comparison is."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from training.statistics import WinRate


@pytest.fixture
def sure(comparison: Callable[[str], ModuleType]) -> ModuleType:
    return comparison("statistics")


def rate(wins: int, games: int) -> WinRate:
    return WinRate(games=games, wins=wins, draws=0, losses=games - wins)


def test_a_mean_over_seeds_has_students_interval(sure: ModuleType) -> None:
    estimate = sure.mean_over_seeds([0.5, 0.6, 0.7])
    # t(0.975, 2) = 4.3027, s = 0.1
    assert estimate.value == pytest.approx(0.6)
    assert estimate.high - estimate.value == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert math.isnan(sure.mean_over_seeds([0.5]).low)
    assert sure.mean_over_seeds([0.5]).percent() == "50.0 (one seed)"
    assert sure.mean_over_seeds([-0.0002, -0.0001]).percent() == "0.0 (-0.1 to 0.0)"
    with pytest.raises(ValueError, match="at least one seed"):
        sure.mean_over_seeds([])


def test_a_difference_over_seeds_is_taken_within_each_seed(sure: ModuleType) -> None:
    """Differences of 0.1, 0.2 and 0.3, however much the seeds differ among themselves: t(0.975, 2) = 4.3027."""
    estimate = sure.difference_over_seeds([0.2, 0.6, 1.0], [0.1, 0.4, 0.7])
    assert estimate.value == pytest.approx(0.2)
    assert estimate.high - estimate.value == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert estimate.low == pytest.approx(2 * 0.2 - estimate.high)
    assert sure.difference_over_seeds([0.2, 0.9], [0.1, 0.8]).low == pytest.approx(0.1)
    assert math.isnan(sure.difference_over_seeds([0.5], [0.4]).low)
    with pytest.raises(ValueError, match="same seeds on both sides, got 1 and 2"):
        sure.difference_over_seeds([0.5], [0.4, 0.6])


def test_intervals_cover_what_is_true_as_often_as_they_say(sure: ModuleType) -> None:
    """Agents that win with 60 and 50 %: over the games' chance the interval holds 10 points in 95 of 100 cases."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        sides = [[rate(int(rng.binomial(100, p)), 100) for _ in range(5)] for p in (0.6, 0.5)]
        estimate = sure.difference_of_games(*sides)
        covered += estimate.low <= 0.1 <= estimate.high
    assert 930 <= covered <= 970


def test_games_weigh_by_opponent_and_none_is_certain(sure: ModuleType) -> None:
    few_and_many = [rate(10, 10), rate(0, 1000)]
    assert sure.mean_win_rate(few_and_many) == 0.5
    assert sure.pooled(few_and_many) == rate(10, 1010)
    estimate = sure.difference_of_games([rate(100, 100)], [rate(0, 100)])
    assert estimate.value == 1.0
    # 102 of 104 wins and 2 of 104
    assert estimate.value - estimate.low == pytest.approx(1.96 * math.sqrt(2 * 102 * 2 / 104**3), rel=1e-4)
    with pytest.raises(ValueError, match="expected games"):
        sure.difference_of_games([], [rate(1, 2)])
