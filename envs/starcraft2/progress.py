"""What a player has built so far, read off one observation after another, and its pseudo-rewards."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.abilities import ABILITIES
from envs.starcraft2.conditioning import Statistic, upgrade_build_item
from envs.starcraft2.human_statistics import BuildStep, HumanStatistic, build_order_of
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


class BuildLog:
    """What a player began, in order: units when they appear, those that change into another type when they have.

    A unit counts once for each type it is built as, so that a tank that digs in and out is one tank.

    Attributes:
        steps: everything that something was paid for, from the start of the game.
        unit_types, upgrades: the game's ids of all that there was of it.
    """

    def __init__(self) -> None:
        self.steps: list[BuildStep] = []
        self.unit_types: set[int] = set()
        self.upgrades: set[int] = set()
        self._seen: set[tuple[Hashable, int]] = set()

    def see_unit(
        self,
        key: Hashable,
        unit_type: int,
        game_loop: int,
        position: tuple[float, float] | None,
        *,
        at_start: bool = False,
    ) -> None:
        """Take note of a unit.

        Args:
            key: what tells the unit from all others.
            unit_type: the game's id of its type.
            game_loop: now.
            position: world x and y.
            at_start: whether it is there from the start of the game, and so not built.
        """
        if unit_type not in BUILT_TYPES or (key, unit_type) in self._seen:
            return
        self._seen.add((key, unit_type))
        if not at_start:
            self.steps.append(BuildStep("unit", unit_type, game_loop, position))
            self.unit_types.add(unit_type)

    def see_upgrade(self, upgrade: int, game_loop: int) -> None:
        """Take note of an upgrade that is done; what no ability researches is left out."""
        if upgrade_build_item(upgrade) and upgrade not in self.upgrades:
            self.upgrades.add(upgrade)
            self.steps.append(BuildStep("upgrade", upgrade, game_loop))

    @property
    def build_order(self) -> BuildOrder:
        """The beginning of the steps, for comparison."""
        return build_order_of(self.steps)


class PlayerProgress:
    """What a player has built since the start of a game, read off its observations.

    Attributes:
        log: what it began.
        effects: ids of all effects that it had.
    """

    def __init__(self) -> None:
        self.log = BuildLog()
        self.effects: set[int] = set()
        self._has_begun = False

    def update(
        self,
        tags: NDArray[np.integer],
        unit_types: NDArray[np.integer],
        positions: NDArray[np.number],
        upgrades: NDArray[np.integer],
        effects: NDArray[np.integer],
        *,
        game_loop: int = 0,
    ) -> None:
        """Take note of an observation.

        Args:
            tags, unit_types, positions: of the own units [N], [N], [N, 2] (world x and y), without hallucinations and
                places where a building is only planned.
            upgrades: ids of the upgrades that are done.
            effects: ids of the effects that the player has on the map now.
            game_loop: now; only told in the log.
        """
        units = zip(tags.tolist(), unit_types.tolist(), positions.tolist(), strict=True)
        for tag, unit_type, (x, y) in units:
            self.log.see_unit(tag, unit_type, game_loop, (x, y), at_start=not self._has_begun)
        for upgrade in upgrades.tolist():
            self.log.see_upgrade(upgrade, game_loop)
        self.effects.update(effects.tolist())
        self._has_begun = True


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
        target, log = self._target, progress.log
        return (
            build_order_distance(log.build_order, self._order),
            hamming_distance(log.unit_types, target.unit_types),
            hamming_distance(log.upgrades, target.upgrades),
            hamming_distance(progress.effects, target.effects or ()),
        )
