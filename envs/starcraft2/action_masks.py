"""Which functions can be called now: by the player's units, what they may target, technology and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.function_calls import SELECTED, TARGET_ENTITY
from envs.starcraft2.abilities import ABILITIES, Ability, equivalents
from envs.starcraft2.functions import FUNCTIONS, GENERAL_ABILITY, selection_table, target_table, variants
from envs.starcraft2.observation import EncodedObservation
from envs.starcraft2.raw_units import COLUMN
from envs.starcraft2.scalars import PLAYER_NAMES

_OWN = 1
_FINISHED, _PERCENT = 1.0, 100
_ORDER_COLUMNS = [COLUMN[f"order_id_{index}"] for index in range(4)]
_RESOURCE_BUFFS = range(271, 276)
_ABILITY_OF_FUNCTION = np.array([function.ability_id for function in FUNCTIONS])


@dataclass(frozen=True)
class PlayerFacts:
    """What a player knows of its own means.

    Attributes:
        minerals, vespene: what it can spend.
        supply_left: supply that is free; below 0 after a loss of supply depots.
        finished_unit_types: ids of the types of its finished units.
        upgrades: ids of the upgrades that are done.
        orders: ability ids of all orders that its units carry out or have queued.
        unit_types_by_state: types of its units that are "busy" (have orders), "loaded" (have passengers) or "carrying"
            (have resources with them).
    """

    minerals: int
    vespene: int
    supply_left: float
    finished_unit_types: frozenset[int]
    upgrades: frozenset[int]
    orders: frozenset[int]
    unit_types_by_state: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @classmethod
    def from_observation(cls, observation: Any) -> PlayerFacts:
        """Return the facts of a `sc_pb.Observation` with raw data."""
        own = [unit for unit in observation.raw_data.units if unit.alliance == _OWN]
        common = observation.player_common
        return cls(
            minerals=common.minerals,
            vespene=common.vespene,
            supply_left=common.food_cap - common.food_used,
            finished_unit_types=frozenset(unit.unit_type for unit in own if unit.build_progress >= _FINISHED),
            upgrades=frozenset(observation.raw_data.player.upgrade_ids),
            orders=frozenset(order.ability_id for unit in own for order in unit.orders),
            unit_types_by_state={
                "busy": frozenset(unit.unit_type for unit in own if unit.orders),
                "loaded": frozenset(unit.unit_type for unit in own if unit.cargo_space_taken),
                "carrying": frozenset(
                    unit.unit_type for unit in own if any(buff in _RESOURCE_BUFFS for buff in unit.buff_ids)
                ),
            },
        )

    @classmethod
    def from_encoded(cls, encoded: EncodedObservation) -> PlayerFacts:
        """Return the facts of an encoded observation; the fifth and further orders of a unit are not among them."""
        units, player = encoded.raw_units, dict(zip(PLAYER_NAMES, encoded.player.tolist(), strict=True))
        own = units[(units[:, COLUMN["alliance"]] == _OWN)]
        functions = np.unique(own[:, _ORDER_COLUMNS])
        carries = _is_resource(own[:, COLUMN["buff_id_0"]]) | _is_resource(own[:, COLUMN["buff_id_1"]])
        return cls(
            minerals=player["minerals"],
            vespene=player["vespene"],
            supply_left=player["food_cap"] - player["food_used"],
            finished_unit_types=_types(own, own[:, COLUMN["build_progress"]] >= _PERCENT),
            upgrades=frozenset(encoded.upgrades.tolist()),
            orders=frozenset(_ABILITY_OF_FUNCTION[functions[functions > 0]].tolist()),
            unit_types_by_state={
                "busy": _types(own, own[:, COLUMN["order_length"]] > 0),
                "loaded": _types(own, own[:, COLUMN["cargo_space_taken"]] > 0),
                "carrying": _types(own, carries),
            },
        )


class FunctionMasks:
    """Makes masks of functions from facts about the player and the classes of the entities.

    A function can be called where an own unit can take it, something can be its target, the required units are
    finished (a Lair counts as a Hatchery), the required upgrades are done, minerals, vespene and supply suffice, and
    the upgrade it researches is neither done nor under way; to cancel, to unload or to bring resources back, where
    there is something to. A general function can be called where one of its variants can. Energy, cooldowns, placement
    and power are left to the game, which refuses such an order.

    Args:
        abilities: facts of the abilities; see `abilities.costs_from_game` for those of the running game.
        hide_specific: clear specific functions that have a general form.
        hide_camera: clear `raw_move_camera`, which changes nothing of what the raw interface shows.
    """

    def __init__(
        self,
        abilities: Mapping[int, Ability] = ABILITIES,
        *,
        hide_specific: bool = True,
        hide_camera: bool = True,
    ) -> None:
        facts = [abilities.get(function.ability_id, Ability()) for function in FUNCTIONS]
        self._cost = np.array([[fact.minerals, fact.vespene, fact.supply] for fact in facts], np.float64)
        self._required_units = _Requirements((fact.required_units for fact in facts), equivalents)
        self._required_upgrades = _Requirements((fact.required_upgrades for fact in facts), lambda number: (number,))
        self._available = np.array([fact.available for fact in facts])
        self._conditional = [(index, fact) for index, fact in enumerate(facts) if fact.state or fact.while_orders]
        self._ability = np.array([function.ability_id for function in FUNCTIONS])
        self._upgrade = np.array([fact.upgrade for fact in facts])
        self._selects = np.array([SELECTED in function.arguments for function in FUNCTIONS])
        self._targets = np.array([TARGET_ENTITY in function.arguments for function in FUNCTIONS])
        # Classes first: their rows are gathered for every mask.
        self._selectable, self._targetable = (
            np.ascontiguousarray(table().T) for table in (selection_table, target_table)
        )
        self._behind = np.zeros((len(FUNCTIONS), len(FUNCTIONS)), np.bool_)
        for function in FUNCTIONS:
            self._behind[[variant.index for variant in variants(function)], function.index] = True
        self._shown = np.array(
            [
                not (hide_specific and function.general_id) and not (hide_camera and function.kind == "camera")
                for function in FUNCTIONS
            ]
        )

    def __call__(self, facts: PlayerFacts, entity_classes: NDArray[np.integer]) -> NDArray[np.int8]:
        """Return the mask int8 [functions] for facts and entity classes [E, 2] (selection and target class)."""
        selection, target = (np.unique(entity_classes[:, column]) for column in (0, 1))
        can_select = ~self._selects | self._selectable[selection[selection > 0]].any(0)
        can_target = ~self._targets | self._targetable[target[target > 0]].any(0)
        here = can_select & can_target
        variants_here = np.flatnonzero(here)
        callable_variants = variants_here[self._affordable(facts, variants_here) & self._known(facts, variants_here)]
        return np.asarray(here & self._behind[callable_variants].any(0) & self._shown, np.int8)

    def _affordable(self, facts: PlayerFacts, functions: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return whether the player can pay for each function; what costs no supply is possible without any left."""
        means = np.array([facts.minerals, facts.vespene, facts.supply_left], np.float64)
        cost = self._cost[functions]
        affordable: NDArray[np.bool_] = ((cost <= means) | (cost == 0)).all(1)
        return affordable

    def _known(self, facts: PlayerFacts, functions: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return whether the technology allows each function."""
        under_way = {number for order in facts.orders for number in _meant_by(order)}
        researches, abilities = self._upgrade[functions], self._ability[functions]
        closed = _flags(facts.upgrades, self._upgrade.max())[researches]
        closed |= _flags(under_way, self._ability.max())[abilities]
        met = self._required_units.met(facts.finished_unit_types, functions)
        met &= self._required_upgrades.met(facts.upgrades, functions)
        met &= self._available[functions] & ~((researches > 0) & closed)
        idle = [index for index, ability in self._conditional if not _is_going_on(ability, facts, under_way)]
        met &= ~_flags(idle, len(FUNCTIONS))[functions]
        return met


class _Requirements:
    """For each function the things of which one each is needed, as indices into what a player has."""

    def __init__(self, needs: Iterable[tuple[int, ...]], counts_as: Any) -> None:
        rows = list(needs)
        self._things = sorted({number for row in rows for number in row})
        self._alternatives = [frozenset(counts_as(number)) for number in self._things]
        position = {number: index for index, number in enumerate(self._things)}
        self._needed = np.zeros((len(rows), len(self._things)), np.bool_)
        for row, numbers in enumerate(rows):
            self._needed[row, [position[number] for number in numbers]] = True

    def met(self, owned: frozenset[int], functions: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return whether everything that each function needs is among `owned`."""
        missing = np.array([alternatives.isdisjoint(owned) for alternatives in self._alternatives])
        lacking: NDArray[np.bool_] = (self._needed[functions] & missing).any(1)
        return ~lacking


def _is_resource(buffs: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.logical_and(buffs >= _RESOURCE_BUFFS[0], buffs <= _RESOURCE_BUFFS[-1])


def _types(units: NDArray[np.int64], chosen: Any) -> frozenset[int]:
    return frozenset(np.unique(units[chosen, COLUMN["unit_type"]]).tolist())


def _is_going_on(ability: Ability, facts: PlayerFacts, under_way: set[int]) -> bool:
    """Return whether there is what the ability ends: an order to cancel, passengers to unload, a load to bring back."""
    if ability.while_orders:
        return not under_way.isdisjoint(ability.while_orders)
    return not facts.unit_types_by_state.get(ability.state, frozenset()).isdisjoint(ability.units)


def _flags(ids: Iterable[int], highest: int) -> NDArray[np.bool_]:
    """Return bool [highest + 1], True at the ids; those beyond are left out."""
    flags = np.zeros(highest + 1, np.bool_)
    flags[[number for number in ids if number <= highest]] = True
    return flags


_SPECIFIC_ABILITIES: dict[int, tuple[int, ...]] = {
    general: tuple(specific for specific, of in GENERAL_ABILITY.items() if of == general)
    for general in set(GENERAL_ABILITY.values())
}


def _meant_by(ability_id: int) -> tuple[int, ...]:
    """Return the abilities that an order may stand for: itself, and those behind it where it is a general one."""
    return (ability_id, *_SPECIFIC_ABILITIES.get(ability_id, ()))
