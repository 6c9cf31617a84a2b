from __future__ import annotations

import pytest

from envs.errors import UnknownNameError
from envs.microrts import COMPETITION_AIS, FAST_AIS, list_ais, play_ai_games
from envs.microrts.ais import ai_factory
from tests.envs.microrts.games import MAP_8


def test_every_named_competition_ai_can_be_made() -> None:
    for name in COMPETITION_AIS:
        assert str(ai_factory(name).make().getClass().getSimpleName()) == name


@pytest.mark.parametrize("name", sorted(FAST_AIS))
def test_fast_ais_play(name: str) -> None:
    results = play_ai_games(MAP_8, name, "PassiveAI", num_games=1, max_steps=150)
    assert results.game_steps[0] > 0


def test_the_list_holds_ais_and_nothing_else() -> None:
    names = list_ais()
    assert set(COMPETITION_AIS) <= set(names)
    assert {"EconomyRush", "POLightRush", "UCT"} <= set(names)
    assert not {"SocketAI", "AI", "GameState", "JNIAI"} & set(names)
    assert len(names) > 100


def test_full_class_names_are_understood() -> None:
    assert str(ai_factory("ai.abstraction.LightRush").make().getClass().getName()) == "ai.abstraction.LightRush"


@pytest.mark.parametrize(
    ("name", "milliseconds", "iterations"),
    [("NaiveMCTS", 100, -1), ("NaiveMCTS-10ms", 10, -1), ("ai.mcts.naivemcts.NaiveMCTS-20iterations", 10_000, 20)],
)
def test_a_searching_ai_gets_the_budget_of_its_name(name: str, milliseconds: int, iterations: int) -> None:
    ai = ai_factory(name).make()
    assert (ai.getTimeBudget(), ai.getIterationsBudget()) == (milliseconds, iterations)


def test_iterations_are_a_budget_without_a_clock() -> None:
    def games(name: str) -> list[int]:
        return play_ai_games(MAP_8, name, "WorkerRush", num_games=3, max_steps=400, seed=3).game_steps.tolist()

    first, again = games("NaiveMCTS-3iterations"), games("NaiveMCTS-3iterations")
    assert first == again != games("NaiveMCTS-30iterations")


def test_an_ai_that_counts_no_iterations_still_has_its_clock() -> None:
    ai = ai_factory("Droplet").withBudget(-1, 1).make()
    assert (ai.getTimeBudget(), ai.getIterationsBudget()) == (10_000, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("RandomAI-5ms", "RandomAI-5ms: this AI does not search within a budget"),
        ("CoacAI-5ms", "CoacAI-5ms: this AI does not search within a budget"),
        ("Tiamat-10ms", "Tiamat-10ms: Tiamat does not heed a budget of ms; give its name alone$"),
        ("GNS.Droplet-5iterations", "Droplet does not heed a budget of iterations; give its name alone, or one of ms"),
    ],
)
def test_an_ai_that_does_not_heed_a_budget_gets_none(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ai_factory(name)


def test_an_ai_with_a_budget_is_known() -> None:
    with pytest.raises(UnknownNameError, match="NaiveMCT"):
        ai_factory("NaiveMCT-5ms")


@pytest.mark.parametrize("name", ["NaiveMCTS-0ms", "NaiveMCTS-ms", "NaiveMCTS-5", "-5ms", "NaiveMCTS-5ms-5ms"])
def test_other_budgets_are_names_of_no_ai(name: str) -> None:
    with pytest.raises(UnknownNameError):
        ai_factory(name)


@pytest.mark.parametrize(("name", "match"), [("workerrush", "WorkerRush"), ("CoachAI", "CoacAI"), ("Mayari", "mayari")])
def test_close_names_are_offered(name: str, match: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown AI") as caught:
        ai_factory(name)
    assert caught.value.close_matches[0] == match
    assert match in str(caught.value)


@pytest.mark.parametrize("name", ["GameState", "rts.GameState", "AbstractionLayerAI", "", "java.lang.String"])
def test_classes_that_are_no_ai_are_refused(name: str) -> None:
    with pytest.raises(UnknownNameError):
        ai_factory(name)
