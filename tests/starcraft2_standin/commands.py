"""Orders from players: which unit can do what, and giving it to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2clientprotocol import error_pb2

from . import cargo, combat, construction, economy, production, spells
from .facts import (
    ABILITIES,
    ATTACK,
    GATHER,
    GENERAL_GATHER,
    GENERAL_RETURN,
    HOLD,
    MOVE,
    NEUTRAL_OWNER,
    PATROL,
    RETURN,
    SCAN_MOVE,
    SMART,
    STOP,
    UNITS,
    VARIANTS,
    AbilityFacts,
)
from .unit import Order, Unit

if TYPE_CHECKING:
    from .world import World

Point = tuple[float, float]

MOVES = frozenset({MOVE, *VARIANTS.get(3794, ()), 3794})
ATTACKS = frozenset({ATTACK, 3674, *VARIANTS.get(3674, ())})
PATROLS = frozenset({PATROL, 3795, *VARIANTS.get(3795, ())})
STOPS = frozenset({STOP, 3665, *VARIANTS.get(3665, ())})
HOLDS = frozenset({HOLD, 3793, *VARIANTS.get(3793, ())})
GATHERS = frozenset({GENERAL_GATHER, *GATHER.values()})
RETURNS = frozenset({GENERAL_RETURN, *RETURN.values()})
CANCELS = frozenset({3659, 3671, *VARIANTS.get(3659, ()), *VARIANTS.get(3671, ())})
RALLIES = frozenset({3673, 3690, *VARIANTS.get(3673, ()), *VARIANTS.get(3690, ())})
MAKES_AT_ONCE = ("Train", "Morph", "MorphPlace", "Research", "BuildInstant", "TrainPlace")
WALKS_TO_BUILD = ("Build", "BuildOnUnit")
ONE_UNIT_EACH = ("Train", "Research", "TrainPlace", *WALKS_TO_BUILD)
"""Kinds that one unit of the selection carries out; the others all of them do."""


def specific(unit: Unit, ability: int) -> AbilityFacts | None:
    """Return the ability of a unit that a command names, itself or by its general form."""
    for candidate in (ability, *VARIANTS.get(ability, ())):
        if candidate in unit.facts.abilities:
            return ABILITIES.get(candidate)
    return None


def _smart(world: World, unit: Unit, target: Unit | None) -> int:
    """Return what a right click means."""
    if unit.facts.structure and not unit.facts.mobile:
        return 3673
    if target is None:
        return MOVE
    harvestable = target.minerals > 0 or (target.vespene > 0 and target.facts.structure)
    if unit.type in GATHER and harvestable and target.owner in (NEUTRAL_OWNER, unit.owner):
        return GATHER[unit.type]
    if target.owner not in (unit.owner, NEUTRAL_OWNER) and unit.attacks(target):
        return ATTACK
    return MOVE


def command(
    world: World,
    player_id: int,
    ability: int,
    tags: list[int],
    position: Point | None = None,
    target_tag: int = 0,
    queue: bool = False,
    try_only: bool = False,
) -> int:
    """Carry out a command and return its ActionResult; with `try_only` nothing changes.

    Args:
        ability: an ability id, specific or general.
        tags: the units that are told to.
        position: the target point in world cells, or None.
        target_tag: the target unit's tag, or 0.
        queue: append to the units' orders.
    """
    units = [unit for tag in tags if (unit := world.units.get(tag)) and unit.owner == player_id and not unit.carrier]
    if not units:
        return error_pb2.Error
    target = world.units.get(target_tag) if target_tag else None
    if target_tag and target is None:
        return error_pb2.CantTargetThatUnit
    if position is not None:
        units.sort(key=lambda unit: _eagerness(world, unit, position))
    elif len(units) > 1:
        units.sort(key=lambda unit: len(unit.orders) if unit.facts.structure else 0)
    outcome = error_pb2.NotSupported
    for unit in units:
        meaning = _smart(world, unit, target) if ability == SMART else ability
        result, kind = _command_unit(world, unit, meaning, position, target, queue, try_only)
        if result == error_pb2.Success:
            outcome = result
            if kind in ONE_UNIT_EACH:
                break
        elif outcome != error_pb2.Success:
            outcome = result
    return outcome


def _eagerness(world: World, unit: Unit, position: Point) -> float:
    """Return how far away a unit is; those already on their way to build come last."""
    x, y = unit.locate(world.loop)
    return abs(x - position[0]) + abs(y - position[1])


def _command_unit(
    world: World, unit: Unit, ability: int, position: Point | None, target: Unit | None, queue: bool, try_only: bool
) -> tuple[int, str]:
    """Return the ActionResult for one unit and the kind of the ability."""
    order = _movement(world, unit, ability, position, target)
    if order is not None:
        if not try_only:
            world.give(unit, order, queue)
        return error_pb2.Success, ""
    if ability in STOPS:
        if not try_only:
            _stop(world, unit)
        return error_pb2.Success, ""
    if ability in CANCELS:
        able = bool(unit.orders) or not unit.finished(world.loop)
        if not able or try_only:
            return error_pb2.Success if able else error_pb2.NotSupported, ""
        return production.cancel(world, unit), ""
    if ability in RALLIES and unit.facts.structure:
        if not try_only:
            place = target.locate(world.loop) if target is not None else position
            unit.rally = (place, target.tag if target is not None else 0) if place is not None else None
        return error_pb2.Success, ""
    if unit.facts.cargo_space and (ability in cargo.LOADS or ability in cargo.UNLOADS):
        return _transport(world, unit, ability, position, target, try_only), ""
    facts = specific(unit, ability)
    if facts is None:
        return error_pb2.NotSupported, ""
    return _use(world, unit, facts, position, target, queue, try_only), facts.kind


def _movement(world: World, unit: Unit, ability: int, position: Point | None, target: Unit | None) -> Order | None:
    """Return the order that a movement, attack or harvest command means for a unit, or None if it means none."""
    tag = target.tag if target is not None else 0
    if not unit.facts.mobile or not (position or tag or ability in RETURNS or ability in HOLDS):
        return None
    if ability in MOVES:
        return Order(MOVE, tag, position)
    if ability in ATTACKS:
        able = bool(unit.facts.weapons) and (target is None or unit.attacks(target))
        return Order(ATTACK if able else SCAN_MOVE, tag, position)
    if ability in PATROLS:
        return Order(PATROL, tag, position)
    if ability in HOLDS:
        return Order(HOLD)
    if ability in RETURNS and unit.type in RETURN and any(unit.carried):
        return Order(RETURN[unit.type])
    if ability in GATHERS and unit.type in GATHER and target is not None:
        refinery = target.facts.structure and target.owner == unit.owner and target.vespene > 0
        if (target.minerals > 0 and target.owner == NEUTRAL_OWNER) or refinery:
            return Order(GATHER[unit.type], tag)
    return None


def _transport(
    world: World, unit: Unit, ability: int, position: Point | None, target: Unit | None, try_only: bool
) -> int:
    """Return the ActionResult of loading a unit or of unloading all."""
    if ability in cargo.UNLOADS:
        if not unit.cargo:
            return error_pb2.NoCargoToUnload
        if not try_only:
            place = None if unit.facts.structure else position
            world.give(unit, Order(cargo.UNLOAD_OF.get(unit.type, ability), position=place), queue=False)
        return error_pb2.Success
    if target is None or not cargo.has_room(world, unit, target):
        return error_pb2.NotEnoughRoomToLoadUnit
    if not try_only:
        facts = specific(unit, ability)
        cargo.order_load(world, unit, target, facts.id if facts is not None else ability)
    return error_pb2.Success


def _stop(world: World, unit: Unit) -> None:
    if unit.facts.structure or unit.morph is not None:
        return
    economy.release(world, unit)
    unit.orders, unit.engaged = [], 0
    unit.halt(world.loop)


def _use(
    world: World,
    unit: Unit,
    facts: AbilityFacts,
    position: Point | None,
    target: Unit | None,
    queue: bool,
    try_only: bool,
) -> int:
    """Return the ActionResult of an ability that makes something or is cast."""
    if facts.kind in MAKES_AT_ONCE:
        if facts.kind == "MorphPlace" and position is not None and not try_only:
            unit.x, unit.y = world.terrain.clamp(*position)
        if try_only:
            return production.check(world, unit, facts)
        return production.start(world, unit, facts, position)
    if facts.kind in WALKS_TO_BUILD:
        result = production.check(world, unit, facts)
        if result == error_pb2.Success and facts.kind == "Build":
            result = error_pb2.NotSupported if position is None else _placeable(world, unit, facts, position)
        if result == error_pb2.Success and facts.kind == "BuildOnUnit":
            result = error_pb2.CantBuildOnThat if target is None or not target.vespene else result
        if result == error_pb2.Success and not try_only:
            world.give(unit, Order(facts.id, target.tag if target is not None else 0, position), queue)
        return result
    if facts.target == "Unit" and target is None:
        return error_pb2.NotSupported
    result = spells.check(world, unit, facts)
    if result == error_pb2.Success and not try_only:
        order = Order(facts.id, target.tag if target is not None else 0, position)
        if facts.target == "None" or unit.facts.structure:
            spells.cast(world, unit, order)
        else:
            world.give(unit, order, queue)
    return result


def _placeable(world: World, unit: Unit, facts: AbilityFacts, position: Point) -> int:
    if facts.product not in UNITS:
        return error_pb2.NotSupported
    return construction.placement(world, unit.owner, facts.product, *position, None, unit)


def available(world: World, unit: Unit, ignore_cost: bool = False) -> list[AbilityFacts]:
    """Return the abilities that a unit could be given now."""
    found: list[AbilityFacts] = []
    if not unit.finished(world.loop):
        return [ABILITIES[314]] if 314 in ABILITIES and unit.facts.structure else []
    for ability in unit.facts.abilities:
        facts = ABILITIES.get(ability)
        if facts is None or not facts.link or (ability in RETURNS and not any(unit.carried)):
            continue
        if facts.kind:
            if production.check(world, unit, facts, ignore_cost) == error_pb2.Success:
                found.append(facts)
        elif production.has_requirements(world, unit, facts) and (
            ignore_cost or spells.check(world, unit, facts) == error_pb2.Success
        ):
            found.append(facts)
    if unit.cargo and unit.type in cargo.UNLOAD_OF:
        found.append(ABILITIES[cargo.UNLOAD_OF[unit.type]])
    return found


def attack_with_all(world: World, units: list[Unit], place: Point) -> None:
    """Send units to fight at a place."""
    for unit in units:
        if combat.speed(world, unit):
            world.give(unit, Order(ATTACK, position=place), queue=False)
