"""What a player has built so far, read off one observation after another, and its pseudo-rewards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.abilities import ABILITIES
from envs.starcraft2.conditioning import BUILD_ORDER_LENGTH, Statistic, unit_build_item, upgrade_build_item
from envs.starcraft2.human_statistics import HumanStatistic
from envs.starcraft2.rewards import (
    PSEUDO_REWARD_NAMES,
    BuildOrder,
    build_order_distance,
    hamming_distance,
    pseudo_rewards,
)

BUILT_TYPES = frozenset(
    ability.product for ability in ABILITIES.values() if ability.product and (ability.minerals or ability.vespene)
)
"""Unit types that something is paid for: what only changes its shape (a lowered supply depot) is not built."""


class PlayerProgress:
    """What a player has begun and had since the start of a game.

    Attributes:
        build_order: units and structures when they appear, those that change into another type when they do, upgrades
            when they are done; what the game starts with is left out.
        unit_types, upgrades, effects: the game's ids of all that there was.
    """

    def __init__(self) -> None:
        self.build_order = BuildOrder()
        self.unit_types: set[int] = set()
        self.upgrades: set[int] = set()
        self.effects: set[int] = set()
        self._type_of_tag: dict[int, int] | None = None

    def update(
        self,
        tags: NDArray[np.integer],
        unit_types: NDArray[np.integer],
        positions: NDArray[np.floating],
        upgrades: NDArray[np.integer],
        effects: NDArray[np.integer],
    ) -> None:
        """Take note of an observation.

        Args:
            tags, unit_types, positions: of the own units [N], [N], [N, 2] (world x and y).
            upgrades: ids of the upgrades that are done.
            effects: ids of the effects that the player has on the map now.
        """
        start = self._type_of_tag is None
        known = {} if self._type_of_tag is None else self._type_of_tag
        self._type_of_tag = known
        for tag, unit_type, place in zip(tags.tolist(), unit_types.tolist(), positions.tolist(), strict=True):
            if known.get(tag) == unit_type:
                continue
            known[tag] = unit_type
            if not start and unit_type in BUILT_TYPES:
                self._append(unit_build_item(unit_type), (place[0], place[1]))
                self.unit_types.add(unit_type)
        for upgrade in upgrades.tolist():
            if upgrade not in self.upgrades:
                self.upgrades.add(upgrade)
                self._append(upgrade_build_item(upgrade), None)
        self.effects.update(effects.tolist())

    def _append(self, item: int, position: tuple[float, float] | None) -> None:
        items, positions = self.build_order
        if len(items) < BUILD_ORDER_LENGTH:
            self.build_order = BuildOrder((*items, item), (*positions, position))


class PseudoRewards:
    """The pseudo-rewards of one player's game.

    A part of z that the agent is not shown gives no reward.

    Args:
        statistic: z of the game.
        shown: what the agent is shown of it.
        active: which of `PSEUDO_REWARD_NAMES` are given in this game; see `rewards.sample_activation`.
    """

    def __init__(self, statistic: HumanStatistic, shown: Statistic, active: NDArray[np.bool_]) -> None:
        self._target, self._order = statistic, statistic.target_build_order()
        visible = [part is not None for part in (shown.build_order, shown.unit_types, shown.upgrades, shown.effects)]
        self.active = np.logical_and(active, visible)
        self._distances: tuple[float, ...] | None = None

    def step(self, progress: PlayerProgress, game_loop: int) -> NDArray[np.float32]:
        """Return the rewards float32 [4] since the last call, zeros at the first one.

        Args:
            progress: what the player has built by now.
            game_loop: now.
        """
        distances = self._measure(progress)
        before, self._distances = self._distances, distances
        if before is None:
            return np.zeros(len(PSEUDO_REWARD_NAMES), np.float32)
        return pseudo_rewards(before, distances, game_loop, self.active.tolist())

    def _measure(self, progress: PlayerProgress) -> tuple[float, ...]:
        target = self._target
        return (
            build_order_distance(progress.build_order, self._order),
            hamming_distance(progress.unit_types, target.unit_types),
            hamming_distance(progress.upgrades, target.upgrades),
            hamming_distance(progress.effects, target.effects or ()),
        )
