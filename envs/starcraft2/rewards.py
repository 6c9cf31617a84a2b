"""AlphaStar's pseudo-rewards as pure functions: how far a game is from the human statistic z it was asked to follow.

Build orders are compared by edit distance, what was built, researched and cast at all by Hamming distance (Vinyals et
al. 2019, Methods). A reward is how much nearer z a step has come, so that rewards sum up to how much nearer a game has.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WIN_LOSS = "win_loss"
BUILD_ORDER = "build_order"
BUILT_UNITS = "built_units"
UPGRADES = "upgrades"
EFFECTS = "effects"
REWARD_TERM_NAMES = (WIN_LOSS, BUILD_ORDER, BUILT_UNITS, UPGRADES, EFFECTS)
"""One value function and one lambda-return for each."""
PSEUDO_REWARD_NAMES = REWARD_TERM_NAMES[1:]

ACTIVATION_PROBABILITY = 0.25
"""Each pseudo-reward is given in this share of the games."""
LARGEST_POSITION_COST = 0.8
POSITION_SCALE = 5.0
"""World units at which two places of the same building count as fully apart, before the cap."""
GAME_LOOPS_PER_MINUTE = 22.4 * 60

_HALVED_AFTER_MINUTES = (8, 16)
_OVER_AFTER_MINUTES = 24


class BuildOrder(NamedTuple):
    """The things a player began, in order.

    Attributes:
        items: numbers of `conditioning.unit_build_item` and `upgrade_build_item`.
        positions: world x and y of each, None for what has no place (upgrades).
    """

    items: tuple[int, ...] = ()
    positions: tuple[tuple[float, float] | None, ...] = ()

    def first(self, count: int) -> BuildOrder:
        """Return its beginning."""
        return BuildOrder(self.items[:count], self.positions[:count])


def position_cost(
    first: tuple[float, float] | None, second: tuple[float, float] | None, *, scale: float = POSITION_SCALE
) -> float:
    """Return what building the right thing at another place costs: the distance over `scale`, at most 0.8."""
    if first is None or second is None:
        return 0.0
    return min(float(np.hypot(first[0] - second[0], first[1] - second[1])) / scale, LARGEST_POSITION_COST)


def build_order_distance(executed: BuildOrder, target: BuildOrder, *, scale: float = POSITION_SCALE) -> float:
    """Return the edit distance (Levenshtein) of two build orders.

    To insert, leave out or replace a thing costs 1, to have it at another place `position_cost`.
    """
    row = np.arange(len(target.items) + 1, dtype=np.float64)
    for index, item in enumerate(executed.items):
        same = [
            position_cost(executed.positions[index], place, scale=scale) if item == other else 1.0
            for other, place in zip(target.items, target.positions, strict=True)
        ]
        left = index + 1.0
        new = [left]
        for column, cost in enumerate(same):
            left = min(row[column] + cost, row[column + 1] + 1, left + 1)
            new.append(left)
        row = np.asarray(new)
    return float(row[-1])


def hamming_distance(executed: Collection[int], target: Collection[int]) -> int:
    """Return how many things the one has and the other has not."""
    return len(set(executed) ^ set(target))


def cumulative_factor(game_loop: int) -> float:
    """Return what a Hamming reward is multiplied by: halved after 8 and again after 16 minutes, 0 after 24."""
    minutes = game_loop / GAME_LOOPS_PER_MINUTE
    if minutes > _OVER_AFTER_MINUTES:
        return 0.0
    return float(0.5 ** sum(minutes > limit for limit in _HALVED_AFTER_MINUTES))


def sample_activation(generator: np.random.Generator, probability: float = ACTIVATION_PROBABILITY) -> NDArray[np.bool_]:
    """Return which of `PSEUDO_REWARD_NAMES` are given in a game, each by its own chance."""
    active: NDArray[np.bool_] = generator.random(len(PSEUDO_REWARD_NAMES)) < probability
    return active


def pseudo_rewards(
    distances_before: Sequence[float], distances_after: Sequence[float], game_loop: int, active: Sequence[bool]
) -> NDArray[np.float32]:
    """Return the pseudo-rewards float32 [4] of a step, in the order of `PSEUDO_REWARD_NAMES`.

    Args:
        distances_before, distances_after: distances to z before and after the step [4].
        game_loop: when the step ended; Hamming rewards fade with it, see `cumulative_factor`.
        active: which are given in this game [4].
    """
    factor = cumulative_factor(game_loop)
    factors = np.array([1.0, factor, factor, factor])
    nearer = np.subtract(distances_before, distances_after)
    return np.asarray(np.where(active, nearer * factors, 0.0), np.float32)
