"""Pseudo-rewards against naive transcriptions and by hand."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from envs.starcraft2.rewards import (
    GAME_LOOPS_PER_MINUTE,
    PSEUDO_REWARD_NAMES,
    REWARD_TERM_NAMES,
    BuildOrder,
    build_order_distance,
    cumulative_factor,
    hamming_distance,
    position_cost,
    pseudo_rewards,
    sample_activation,
)


def order(*entries: tuple[int, float, float]) -> BuildOrder:
    return BuildOrder(tuple(entry[0] for entry in entries), tuple((entry[1], entry[2]) for entry in entries))


def naive_distance(first: BuildOrder, second: BuildOrder) -> float:
    """Return the cheapest way to turn one order into the other, tried out one by one."""

    @functools.cache
    def cheapest(i: int, j: int) -> float:
        if i == len(first.items) or j == len(second.items):
            return float(len(first.items) - i + len(second.items) - j)
        here, there = first.positions[i], second.positions[j]
        replace = 1.0
        if first.items[i] == second.items[j]:
            replace = 0.0
            if here is not None and there is not None:
                replace = min(0.8, ((here[0] - there[0]) ** 2 + (here[1] - there[1]) ** 2) ** 0.5 / 5)
        return min(cheapest(i + 1, j) + 1, cheapest(i, j + 1) + 1, cheapest(i + 1, j + 1) + replace)

    return cheapest(0, 0)


def test_the_terms_are_alphastars() -> None:
    assert REWARD_TERM_NAMES == ("win_loss", "build_order", "built_units", "upgrades", "effects")
    assert REWARD_TERM_NAMES[1:] == PSEUDO_REWARD_NAMES


@pytest.mark.parametrize(
    ("executed", "target", "distance"),
    [
        ([], [], 0), ([], [1, 2, 3], 3), ([1, 2, 3], [1, 2, 3], 0), ([1, 3], [1, 2, 3], 1), ([1, 9, 3], [1, 2, 3], 1),
        ([2, 1], [1, 2], 2), ([7, 1, 2, 3], [1, 2, 3], 1), ([1, 1, 1], [2, 2], 3),
    ],
)  # fmt: skip
def test_edit_distance_by_hand(executed: list[int], target: list[int], distance: float) -> None:
    orders = [BuildOrder(tuple(items), (None,) * len(items)) for items in (executed, target)]
    assert build_order_distance(*orders) == distance


def test_another_place_costs_part_of_another_thing() -> None:
    assert position_cost((0, 0), (3, 4)) == 0.8, "5 apart would be 1, but it is capped"
    assert position_cost((0, 0), (0, 2)) == pytest.approx(0.4)
    assert position_cost(None, (0, 2)) == 0
    assert build_order_distance(order((1, 0, 0), (2, 0, 0)), order((1, 0, 1), (2, 50, 0))) == pytest.approx(1.0)
    assert build_order_distance(order((1, 0, 0)), order((1, 0, 1)), scale=2) == pytest.approx(0.5)


def test_edit_distance_is_the_cheapest_way() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        first, second = (
            BuildOrder(
                tuple(generator.integers(1, 4, size).tolist()),
                tuple(
                    None if generator.random() < 0.2 else (float(x), float(y))
                    for x, y in generator.integers(0, 6, (size, 2))
                ),
            )
            for size in generator.integers(0, 9, 2)
        )
        assert build_order_distance(first, second) == pytest.approx(naive_distance(first, second))
        assert build_order_distance(first, second) == pytest.approx(build_order_distance(second, first))


def test_beginning_of_an_order() -> None:
    whole = order((1, 0, 0), (2, 1, 1), (3, 2, 2))
    assert whole.first(2) == order((1, 0, 0), (2, 1, 1))


def test_hamming_distance_counts_what_only_one_has() -> None:
    things = range(5)
    for first in itertools.combinations(things, 2):
        for second in itertools.combinations(things, 3):
            flags = np.zeros((2, 5))
            flags[0, list(first)], flags[1, list(second)] = 1, 1
            assert hamming_distance(first, second) == np.abs(flags[0] - flags[1]).sum()
    assert hamming_distance([3, 3], [3]) == 0


@pytest.mark.parametrize(
    ("minutes", "factor"), [(0, 1), (8, 1), (8.1, 0.5), (16, 0.5), (16.1, 0.25), (24, 0.25), (24.1, 0)]
)
def test_hamming_rewards_fade(minutes: float, factor: float) -> None:
    assert cumulative_factor(round(minutes * GAME_LOOPS_PER_MINUTE)) == factor


def test_rewards_are_what_a_step_brings_nearer() -> None:
    active = [True, True, False, True]
    early = pseudo_rewards([20, 9, 4, 2], [19.2, 10, 3, 2], 100, active)
    np.testing.assert_allclose(early, [0.8, -1, 0, 0], rtol=1e-6)
    late = pseudo_rewards([20, 9, 4, 2], [19, 8, 3, 1], round(20 * GAME_LOOPS_PER_MINUTE), active)
    np.testing.assert_allclose(late, [1, 0.25, 0, 0.25])
    over = pseudo_rewards([20, 9, 4, 2], [19, 8, 3, 1], round(25 * GAME_LOOPS_PER_MINUTE), active)
    np.testing.assert_allclose(over, [1, 0, 0, 0])
    assert early.dtype == np.float32


def test_a_quarter_of_the_games_gives_each_reward() -> None:
    generator = np.random.default_rng(0)
    active = np.array([sample_activation(generator) for _ in range(4000)])
    np.testing.assert_allclose(active.mean(0), 0.25, atol=0.03)
    both = np.corrcoef(active.T)[~np.eye(4, dtype=bool)]
    assert np.abs(both).max() < 0.06, "each has its own chance"
    assert sample_activation(generator, 1.0).all()
