"""Which functions can be called now: by the player's units, what they may target, technology and cost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.function_calls import SELECTED, TARGET_ENTITY
from envs.starcraft2.abilities import ABILITIES, Ability, equivalents
from envs.starcraft2.entity_columns import OWN, PLACEHOLDER
from envs.starcraft2.functions import (
    FUNCTION_BY_ABILITY,
    FUNCTIONS,
    GENERAL_ABILITY,
    Function,
    selection_table,
    target_table,
    variants,
)
from envs.starcraft2.observation import EncodedObservation
from envs.starcraft2.raw_units import COLUMN
from envs.starcraft2.scalars import PLAYER_NAMES
from envs.starcraft2.things import Conditions, Ids, Thing

_FINISHED, FINISHED_PERCENT = 1.0, 100
_PLAYER = {name: column for column, name in enumerate(PLAYER_NAMES)}
_ORDER_COLUMNS = [COLUMN[f"order_id_{index}"] for index in range(4)]
_BUFF_COLUMNS = [COLUMN[f"buff_id_{index}"] for index in range(2)]
RESOURCE_BUFFS = range(271, 276)
ABILITY_OF_FUNCTION = np.array([function.ability_id for function in FUNCTIONS])


@dataclass(frozen=True)
class PlayerFacts:
    """What a player knows of its own means; ids are in any order and may be repeated.

    What is only about to be built, and shown as a placeholder, counts for nothing.

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
    finished_unit_types: Ids
    upgrades: Ids
    orders: Ids
    unit_types_by_state: Mapping[str, Ids] = field(default_factory=dict)

    @classmethod
    def from_observation(cls, observation: Any) -> PlayerFacts:
        """Return the facts of a `sc_pb.Observation` with raw data."""
        units = observation.raw_data.units
        own = [unit for unit in units if unit.alliance == OWN and unit.display_type != PLACEHOLDER]
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
                    unit.unit_type for unit in own if any(buff in RESOURCE_BUFFS for buff in unit.buff_ids)
                ),
            },
        )

    @classmethod
    def from_encoded(cls, encoded: EncodedObservation) -> PlayerFacts:
        """Return the facts of an encoded observation; the fifth and further orders of a unit are not among them."""
        units, player = encoded.raw_units, encoded.player.tolist()
        own = units[(units[:, COLUMN["alliance"]] == OWN) & (units[:, COLUMN["display_type"]] != PLACEHOLDER)]
        types, functions, buffs = own[:, COLUMN["unit_type"]], own[:, _ORDER_COLUMNS], own[:, _BUFF_COLUMNS]
        carries = ((buffs >= RESOURCE_BUFFS[0]) & (buffs <= RESOURCE_BUFFS[-1])).any(1)
        return cls(
            minerals=player[_PLAYER["minerals"]],
            vespene=player[_PLAYER["vespene"]],
            supply_left=player[_PLAYER["food_cap"]] - player[_PLAYER["food_used"]],
            finished_unit_types=types[own[:, COLUMN["build_progress"]] >= FINISHED_PERCENT],
            upgrades=encoded.upgrades,
            orders=ABILITY_OF_FUNCTION[functions[functions > 0]],
            unit_types_by_state={
                "busy": types[own[:, COLUMN["order_length"]] > 0],
                "loaded": types[own[:, COLUMN["cargo_space_taken"]] > 0],
                "carrying": types[carries],
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
        cost = np.array([[getattr(fact, name) for fact in facts] for name in ("minerals", "vespene", "supply")])
        # What costs no supply is possible without any left.
        self._price = np.where(cost > 0, cost, -np.inf)
        self._conditions = Conditions()
        selection, target = selection_table(), target_table()
        self._there = self._conditions.table(
            [list(_presence(function, selection[function.index], target[function.index])) for function in FUNCTIONS]
        )
        self._needed = self._conditions.table([list(_needs(fact)) for fact in facts])
        self._barring = np.array(
            [self._conditions.number(_research(*pair)) for pair in zip(FUNCTIONS, facts, strict=True)]
        )
        own_variants = np.array([function in variants(function) for function in FUNCTIONS])
        self._is_variant = own_variants & np.array([fact.available for fact in facts])
        self._general = np.array([_general(function).index for function in FUNCTIONS])
        self._shown = np.array(
            [
                not (hide_specific and function.general_id) and not (hide_camera and function.kind == "camera")
                for function in FUNCTIONS
            ]
        )

    def __call__(self, facts: PlayerFacts, entity_classes: NDArray[np.integer]) -> NDArray[np.int8]:
        """Return the mask int8 [functions] for facts and entity classes [E, 2] (selection and target class)."""
        holds = self._conditions.holding(
            {
                "unit": facts.finished_unit_types,
                "upgrade": facts.upgrades,
                "order": facts.orders,
                "selection": entity_classes[:, 0],
                "target": entity_classes[:, 1],
                **facts.unit_types_by_state,
            }
        )
        there = holds[self._there].all(0)
        means = np.array([[facts.minerals], [facts.vespene], [facts.supply_left]], np.float64)
        callable_variants = there & self._is_variant & (self._price <= means).all(0)
        callable_variants &= holds[self._needed].all(0) & ~holds[self._barring]
        reachable = callable_variants.copy()
        reachable[self._general[callable_variants]] = True
        mask: NDArray[np.int8] = (there & reachable & self._shown).view(np.int8)
        return mask

    def of(self, encoded: EncodedObservation, entity_classes: NDArray[np.int32]) -> NDArray[np.int8]:
        """Return the mask int8 [functions] of an observation and its entity classes [E, 2]."""
        return self(PlayerFacts.from_encoded(encoded), entity_classes)


def _presence(
    function: Function, selection: NDArray[np.bool_], target: NDArray[np.bool_]
) -> Iterator[Collection[Thing]]:
    """Yield what must be there for a function: a unit that takes it, something that may be its target."""
    for kind, argument, classes in (("selection", SELECTED, selection), ("target", TARGET_ENTITY, target)):
        if argument in function.arguments:
            yield [(kind, int(number)) for number in np.flatnonzero(classes) if number]


def _needs(ability: Ability) -> Iterator[Collection[Thing]]:
    """Yield groups of things of which a player needs one each for an ability."""
    for unit in ability.required_units:
        yield [("unit", other) for other in equivalents(unit)]
    for upgrade in ability.required_upgrades:
        yield [("upgrade", upgrade)]
    if ability.while_orders:
        yield [thing for number in ability.while_orders for thing in _orders_for(number)]
    elif ability.state:
        yield [(ability.state, unit) for unit in ability.units]


def _research(function: Function, ability: Ability) -> Collection[Thing]:
    """Return the things that each bar a function which researches an upgrade: it is done, or under way."""
    return [("upgrade", ability.upgrade), *_orders_for(function.ability_id)] if ability.upgrade else []


def _orders_for(ability_id: int) -> Collection[Thing]:
    """Return the orders that may stand for an ability: its own, and that of its general one."""
    numbers = (ability_id, *([GENERAL_ABILITY[ability_id]] if ability_id in GENERAL_ABILITY else []))
    return [("order", number) for number in numbers]


def _general(function: Function) -> Function:
    """Return the general function behind which a function stands, itself where there is none."""
    return FUNCTION_BY_ABILITY.get((function.general_id, function.kind), function)
