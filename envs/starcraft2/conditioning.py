"""The statistic z of a human game that an agent is asked to follow: how it is written into the scalars.

z holds a build order (the first 20 things built or researched) and cumulative statistics: which unit types, upgrades
and effects the game had at all (Vinyals et al. 2019, Methods).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.abilities import ABILITIES
from envs.starcraft2.tables import (
    EFFECT_IDS,
    UNIT_TYPE_IDS,
    UPGRADE_IDS,
    effect_index,
    unit_type_index,
    upgrade_index,
)

BUILD_ORDER_LENGTH = 20
BUILD_UNIT_TYPES = tuple(sorted({ability.product for ability in ABILITIES.values() if ability.product}))
BUILD_UPGRADES = tuple(sorted({ability.upgrade for ability in ABILITIES.values() if ability.upgrade}))
NUM_BUILD_ITEMS = 1 + len(BUILD_UNIT_TYPES) + len(BUILD_UPGRADES)
"""Entries of a build order: 0 for none and for what is in no table, then unit types, then upgrades."""

BUILD_ORDER_SIZE = BUILD_ORDER_LENGTH * NUM_BUILD_ITEMS
CUMULATIVE_SIZE = 3 + len(UNIT_TYPE_IDS) + len(UPGRADE_IDS) + len(EFFECT_IDS)

_UNIT_ITEM = {unit_type: item for item, unit_type in enumerate(BUILD_UNIT_TYPES, start=1)}
_UPGRADE_ITEM = {upgrade: item for item, upgrade in enumerate(BUILD_UPGRADES, start=1 + len(BUILD_UNIT_TYPES))}


def unit_build_item(unit_type: int) -> int:
    """Return the build order item of the game's id of a unit type, 0 for what no ability makes."""
    return _UNIT_ITEM.get(unit_type, 0)


def upgrade_build_item(upgrade: int) -> int:
    """Return the build order item of the game's id of an upgrade, 0 for what no ability researches."""
    return _UPGRADE_ITEM.get(upgrade, 0)


class Statistic(NamedTuple):
    """z of one game; a part that is None is hidden from the agent.

    Attributes:
        build_order: items (`unit_build_item`, `upgrade_build_item`) in the order in which they were begun; what goes
            beyond `BUILD_ORDER_LENGTH` is ignored.
        unit_types, upgrades, effects: the game's ids of what the game had at all.
    """

    build_order: Sequence[int] | None = None
    unit_types: Sequence[int] | None = None
    upgrades: Sequence[int] | None = None
    effects: Sequence[int] | None = None


def hide_parts(
    statistic: Statistic,
    generator: np.random.Generator,
    *,
    build_order_probability: float,
    cumulative_probability: float,
) -> Statistic:
    """Return z with its build order, or all its cumulative statistics, hidden with these probabilities.

    AlphaStar's paper hides z in 10 % of the games; its pseudocode keeps the build order with 0.8 and units with 0.5.
    """
    hide_build_order = generator.random() < build_order_probability
    hide_cumulative = generator.random() < cumulative_probability
    if hide_build_order:
        statistic = statistic._replace(build_order=None)
    return Statistic(build_order=statistic.build_order) if hide_cumulative else statistic


def encode_build_order(build_order: Sequence[int]) -> NDArray[np.float32]:
    """Return a build order as one-hot items, float32 [BUILD_ORDER_LENGTH * NUM_BUILD_ITEMS]; empty places are zero.

    Raises:
        ValueError: if an item is none of `NUM_BUILD_ITEMS`.
    """
    items = np.asarray(build_order, np.int64)[:BUILD_ORDER_LENGTH]
    if items.size and not 0 <= items.min() <= items.max() < NUM_BUILD_ITEMS:
        raise ValueError(f"build order items lie from 0 to {NUM_BUILD_ITEMS - 1}, got {items.tolist()}")
    encoded = np.zeros((BUILD_ORDER_LENGTH, NUM_BUILD_ITEMS), np.float32)
    encoded[np.arange(len(items)), items] = 1
    return encoded.reshape(-1)


def encode_cumulative(statistic: Statistic) -> NDArray[np.float32]:
    """Return which unit types, upgrades and effects there are as 0 and 1, float32 [CUMULATIVE_SIZE]; hidden ones 0."""
    parts = (
        (statistic.unit_types, unit_type_index, len(UNIT_TYPE_IDS)),
        (statistic.upgrades, upgrade_index, len(UPGRADE_IDS)),
        (statistic.effects, effect_index, len(EFFECT_IDS)),
    )
    encoded = []
    for ids, index, size in parts:
        flags = np.zeros(1 + size, np.float32)
        if ids is not None and len(ids):
            flags[index(np.asarray(ids, np.int64))] = 1
        encoded.append(flags)
    return np.concatenate(encoded)
