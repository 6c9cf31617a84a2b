"""The interval against worked values, against its defining quadratic, and for its coverage."""

import math

import pytest

from training.statistics import WinRate, wilson_interval


@pytest.mark.parametrize(
    ("wins", "games", "low", "high"),
    [
        # (p + z²/2n ± z √(p q/n + z²/4n²)) / (1 + z²/n) with z = 1.959964, worked by hand to four places.
        (50, 100, 0.4038, 0.5962),
        (0, 10, 0.0000, 0.2775),
        (10, 10, 0.7225, 1.0000),
        (8, 10, 0.4902, 0.9433),
        (95, 100, 0.8882, 0.9785),
        (1, 1, 0.2065, 1.0000),
    ],
)
def test_worked_values(wins: int, games: int, low: float, high: float) -> None:
    assert wilson_interval(wins, games) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("wins", "games"), [(3, 7), (99, 100), (1, 1000)])
def test_ends_are_where_the_score_test_just_rejects(wins: int, games: int) -> None:
    """Wilson's definition: the ends are the p with |wins/games - p| = z √(p (1 - p) / games)."""
    for confidence, z in ((0.95, 1.959964), (0.99, 2.575829)):
        for p in wilson_interval(wins, games, confidence):
            assert abs(wins / games - p) == pytest.approx(z * math.sqrt(p * (1 - p) / games), rel=1e-6)


def test_laws() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    for games in (1, 10, 1000):
        assert wilson_interval(0, games)[0] == 0.0
        assert wilson_interval(games, games)[1] == 1.0
        for wins in range(0, games + 1, max(1, games // 10)):
            low, high = wilson_interval(wins, games)
            assert 0 <= low <= wins / games <= high <= 1
            assert (1 - high, 1 - low) == pytest.approx(wilson_interval(games - wins, games))
    assert wilson_interval(500, 1000)[0] > wilson_interval(50, 100)[0] > wilson_interval(5, 10)[0]
    assert wilson_interval(5, 10, 0.5)[0] > wilson_interval(5, 10, 0.9)[0]


def test_coverage_is_about_what_it_says() -> None:
    """Over all outcomes of 100 games, weighted by their binomial probability."""
    for p in (0.5, 0.9, 0.97):
        covered = sum(
            math.comb(100, wins) * p**wins * (1 - p) ** (100 - wins)
            for wins in range(101)
            if wilson_interval(wins, 100)[0] <= p <= wilson_interval(wins, 100)[1]
        )
        assert covered == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("wins", "games"), [(-1, 10), (11, 10), (0, -1)])
def test_impossible_counts_are_refused(wins: int, games: int) -> None:
    with pytest.raises(ValueError, match=f"got {wins} wins in {games} games"):
        wilson_interval(wins, games)
    with pytest.raises(ValueError, match=r"got 1\.0"):
        wilson_interval(1, 2, 1.0)


def test_win_rate_row_counts_draws_as_no_wins() -> None:
    rate = WinRate(games=10, wins=8, draws=1, losses=1)
    assert rate.to_row() == {
        "games": 10,
        "wins": 8,
        "draws": 1,
        "losses": 1,
        "win_rate": 0.8,
        "low": rate.low,
        "high": rate.high,
    }
    assert (rate.low, rate.high) == wilson_interval(8, 10)
    assert WinRate(games=0, wins=0, draws=0, losses=0).to_row()["win_rate"] is None


@pytest.mark.parametrize("counts", [(10, 8, 1, 2), (1, 2, -1, 0)])
def test_counts_must_add_up(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="add up to games"):
        WinRate(*counts)
