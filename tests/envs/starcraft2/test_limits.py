from __future__ import annotations

import numpy as np
import pytest

from envs.starcraft2.limits import ActionBudget, ActionLimits


def test_no_window_ever_holds_more_orders_than_the_limit() -> None:
    limits = ActionLimits(max_actions=5, window_game_loops=30)
    budget, generator, given, refused = ActionBudget(limits), np.random.default_rng(0), [], 0
    game_loop = 0
    for _ in range(500):
        game_loop += int(generator.integers(0, 8))
        if budget.allows_order(game_loop):
            budget.record(game_loop)
            given.append(game_loop)
        else:
            refused += 1
    assert refused > 50
    most = max(sum(start <= loop < start + 30 for loop in given) for start in range(game_loop))
    assert most == 5


def test_alphastars_limit_is_the_default() -> None:
    limits = ActionLimits()
    assert (limits.max_actions, limits.window_game_loops / 22.4) == (22, 5)
    budget = ActionBudget(limits)
    for game_loop in range(22):
        assert budget.allows_order(game_loop)
        budget.record(game_loop)
    assert [budget.allows_order(game_loop) for game_loop in (22, 111, 112)] == [False, False, True]


def test_no_limit_allows_everything() -> None:
    budget = ActionBudget(ActionLimits(max_actions=None))
    for _ in range(1000):
        budget.record(0)
    assert budget.allows_order(0)


def test_delays_are_at_least_the_minimum() -> None:
    budget = ActionBudget(ActionLimits(min_delay=4))
    assert [budget.next_decision(100, delay) for delay in (1, 4, 90)] == [104, 104, 190]


@pytest.mark.parametrize("name", ["max_actions", "window_game_loops", "min_delay"])
def test_limits_must_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        ActionLimits(**{name: 0})
