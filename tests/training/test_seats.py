"""Which game and side each row is."""

from __future__ import annotations

import pytest

from training.environment_config import NO_OPPONENT, PAST_SELF, SELF_PLAY
from training.seats import Seats


def test_ais_have_a_game_for_each_row_and_self_play_one_for_two() -> None:
    seats = Seats.of(["Rush", "Rush", SELF_PLAY, SELF_PLAY, "Turtle"])
    assert seats.opponents == ("Rush", "Rush", None, "Turtle")
    assert seats.players == (0, 1, 0, 0)
    assert seats.games.tolist() == [0, 1, 2, 2, 3]
    assert seats.sides.tolist() == [0, 1, 0, 1, 0]
    assert seats.has_ai.tolist() == [True, True, False, False, True]


def test_sides_come_in_turn_over_all_actors() -> None:
    actors = [Seats.of(["Rush"] * 3, first_row=first) for first in (0, 3)]
    assert [seats.players for seats in actors] == [(0, 1, 0), (1, 0, 1)]
    assert Seats.of([PAST_SELF], first_row=3).sides.tolist() == [1]


def test_where_the_game_draws_the_sides_the_agent_is_player_0() -> None:
    seats = Seats.of(["easy", "easy", SELF_PLAY, SELF_PLAY], sides=(0,))
    assert seats.players == (0, 0, 0)
    assert seats.sides.tolist() == [0, 0, 0, 1]
    assert not Seats.of([NO_OPPONENT] * 2, sides=(0,)).has_ai.any()


def test_the_agent_has_one_row_of_two_against_a_past_self_and_alternates() -> None:
    seats = Seats.of(["Rush", "Rush", PAST_SELF, PAST_SELF, SELF_PLAY, SELF_PLAY, PAST_SELF], sides=(0, 1))
    assert seats.opponents == ("Rush", "Rush", None, None, None, None)
    assert seats.sides.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert seats.games.tolist() == [0, 1, 2, 3, 4, 4, 5]
    assert seats.environment_rows.tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert seats.past_rows.tolist() == [3, 4, 9]
    assert seats.rivals.tolist() == [2, 3, 6]
    assert seats.num_environment_rows == 10
    assert seats.has_ai.tolist() == [True, True, False, False, False, False, False]
    assert Seats.of([PAST_SELF] * 2, sides=(0,)).sides.tolist() == [0, 1]


def test_half_a_game_of_self_play_is_refused() -> None:
    with pytest.raises(ValueError, match=r"two rows one after the other, got .*games_per_actor be even"):
        Seats.of(["Rush", SELF_PLAY])
