"""Ratings against values worked by hand."""

from __future__ import annotations

import pytest

from training.elo import Elo, expected_score


def test_four_hundred_points_are_odds_of_ten_to_one() -> None:
    assert expected_score(1400, 1000) == pytest.approx(10 / 11)
    assert expected_score(1000, 1400) == pytest.approx(1 / 11)
    assert expected_score(1234, 1234) == 0.5


def test_a_game_moves_both_by_what_was_not_expected() -> None:
    elo = Elo()
    elo.add("agent", "Rush", 1.0)
    assert (elo.rating("agent"), elo.rating("Rush")) == (1004.0, 996.0)
    elo.add("agent", "Rush", 0.5)
    assert elo.rating("agent") == pytest.approx(1004 + 8 * (0.5 - 1 / (1 + 10 ** (-8 / 400))))
    assert elo.rating("agent") + elo.rating("Rush") == pytest.approx(2000)


def test_ratings_settle_where_the_score_is_expected() -> None:
    elo = Elo()
    for game in range(3000):
        elo.add("agent", "Rush", 1.0 if game % 4 else 0.0)
    assert expected_score(elo.rating("agent"), elo.rating("Rush")) == pytest.approx(0.75, abs=0.03)


def test_a_copy_begins_where_the_player_stands_and_everything_is_restored() -> None:
    elo = Elo()
    elo.add("agent", "Rush", 1.0)
    elo.copy("agent", "past")
    elo.add("agent", "past", 0.0)
    assert elo.rating("agent") == 1000.0
    assert elo.rating("past") == 1008.0
    other = Elo()
    other.load_state_dict(elo.state_dict())
    other.forget("Rush")
    assert (other.rating("past"), other.rating("Rush")) == (1008.0, 1000.0)
    assert elo.rating("Rush") == 996.0
