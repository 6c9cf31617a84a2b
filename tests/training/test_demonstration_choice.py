"""Which games are learnt from: the right players and outcomes, and never one that is measured on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from envs.errors import UnknownNameError
from tests.training.scripted_demonstrations import ScriptedDemonstrations
from training.demonstration_choice import Choice, choose_games, held_out_numbers, repeated_games
from training.demonstrations import PlayerGame
from training.imitation_config import ImitationConfig

GAMES = ScriptedDemonstrations([10 + index for index in range(80)]).player_games


def choose(
    games: Sequence[PlayerGame] = GAMES, *, values: bool = True, repeats: Collection[int] = (), **settings: object
) -> Choice:
    config = ImitationConfig(data="", **{"held_out_share": 0.25, **settings})  # type: ignore[arg-type]
    return choose_games(games, config, values=values, repeats=repeats)


def numbers(choice: Choice) -> tuple[set[int], set[int]]:
    """Return the games that are learnt from and those that are measured on."""
    train, held_out = ({GAMES[game.index].game for game in games} for games in (choice.train, choice.held_out))
    return train, held_out


def test_both_sides_of_a_game_are_learnt_from_or_neither() -> None:
    train, held_out = numbers(choose())
    assert train | held_out == set(range(40))
    assert not train & held_out
    assert 4 <= len(held_out) <= 16
    assert len(choose().train) + len(choose().held_out) == len(GAMES)


def test_a_game_stays_on_its_side_when_others_come() -> None:
    few, many = held_out_numbers(range(40), 0.25), held_out_numbers(range(4000), 0.25)
    assert few == {number for number in many if number < 40}
    assert 0.22 < len(many) / 4000 < 0.28
    assert held_out_numbers(range(4), 1e-6) <= held_out_numbers(range(2), 1e-6) | {2, 3}
    assert len(held_out_numbers(range(4), 1e-6)) == 1


def test_chosen_players_and_outcomes() -> None:
    bob = choose(players=("Bob",))
    assert all(GAMES[game.index].player == "Bob" for game in (*bob.train, *bob.held_out))
    winners = choose(outcome_weights=(1.0, 0.0, 0.0))
    assert all(game.weight == (GAMES[game.index].outcome == 1) for game in winners.train)
    assert {game.weight for game in winners.train} == {0.0, 1.0}
    assert {game.weight for game in winners.held_out} == {1.0}
    without_values = choose(outcome_weights=(1.0, 0.0, 0.0), values=False)
    assert {game.weight for game in without_values.train} == {1.0}
    assert without_values.held_out == winners.held_out
    weighted = choose(outcome_weights=(1.0, 0.5, 0.25))
    assert all(game.weight == (1.0, 0.5, 0.25)[1 - GAMES[game.index].outcome] for game in weighted.train)


def test_whole_games_are_measured_on_until_there_are_enough_steps() -> None:
    everything, few = choose(), choose(held_out_steps=60)
    assert few.train == everything.train
    assert few.held_out == everything.held_out[: len(few.held_out)]
    lengths = [game.num_steps for game in few.held_out]
    assert sum(lengths) >= 60 > sum(lengths[:-1])


def test_games_that_repeat_another_are_left_out() -> None:
    """In these games all that differs between players' games of one length is who plays, and on which side."""
    lengths = (5, 5, 7, 7, 5, 6, 5, 5, 7, 5)
    repeats = repeated_games(ScriptedDemonstrations(lengths))  # type: ignore[arg-type]
    assert repeats == {4, 6, 7, 8, 9}
    kept = choose(repeats={2, 3, 10})
    chosen = {game.index for game in (*kept.train, *kept.held_out)}
    assert chosen == set(range(len(GAMES))) - {2, 3, 10}
    assert kept.num_repeats == 3
    assert choose(players=("Bob",), repeats={2, 3, 10}).num_repeats == 1
    assert "3 repeats left out" in kept.summary()


def test_what_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown player 'Bop': did you mean Bob\? \(recorded are Ann, Bob\)"):
        choose(players=("Bop",))
    with pytest.raises(ValueError, match="games to learn from and others to measure on, got 1 with decisions"):
        choose(GAMES[:2])
    with pytest.raises(ValueError, match="got 0 with decisions that count"):
        choose(outcome_weights=(0.0, 1.0, 0.0))
    for change, message in (
        ({"wait_share": 0.0}, "wait_share must be above 0 and at most 1, got 0"),
        ({"passes": 0}, "passes must be at least 1, got 0"),
        ({"held_out_share": 1.0}, "held_out_share must lie between 0 and 1, got 1"),
        ({"outcome_weights": (0.0, 0.0, 0.0)}, "at least one above 0"),
        ({"outcome_weights": (1.0, -1.0, 0.0)}, "three numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            choose(**change)  # type: ignore[arg-type]
