"""Working through a unit's queue of orders: what is under way, when to look again, what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import cargo, combat, construction, economy, production, spells
from .facts import ABILITIES, ATTACK, GATHER, HOLD, MOVE, PATROL, RETURN, SCAN_MOVE, UNITS
from .unit import Order, Unit

if TYPE_CHECKING:
    from .world import World

GATHERING, RETURNING = frozenset(GATHER.values()), frozenset(RETURN.values())
FOLLOW_EVERY = 8


def supply_in_production(unit: Unit) -> float:
    """Return the supply that a unit's work in progress holds."""
    if unit.morph is not None:
        doubled = 2 if unit.morph[0] == production.ZERGLING else 1
        return max(0.0, UNITS[unit.morph[0]].supply) * doubled - max(0.0, unit.facts.supply)
    held = 0.0
    if unit.facts.structure:
        for order in unit.orders:
            ability = ABILITIES.get(order.ability)
            if order.end and ability is not None and ability.kind == "Train":
                held += max(0.0, UNITS[ability.product].supply)
    return held


def advance(world: World, unit: Unit) -> None:
    """Go on with the first order; done orders are dropped until one takes time."""
    unit.locate(world.loop)
    if not unit.finished(world.loop) or unit.morph is not None:
        return
    if unit.facts.structure and not unit.facts.mobile:
        if unit.orders and unit.orders[0].ability in cargo.UNLOADS:
            unit.orders.pop(0)
            cargo.unload(world, unit)
        production.advance(world, unit)
        combat.hold(world, unit)
        return
    for _ in range(16):
        if not unit.orders:
            unit.halt(world.loop)
            combat.hold(world, unit)
            return
        delay = _advance_order(world, unit, unit.orders[0])
        if delay is None:
            if unit.orders and unit.alive:
                economy.release(world, unit)
                unit.orders.pop(0)
                unit.engaged = 0
            continue
        if delay > 0 and unit.alive:
            world.wake(unit, delay)
        return
    world.wake(unit, 1)


def _advance_order(world: World, unit: Unit, order: Order) -> int | None:
    """Return the loops until the unit must look again (0: something else wakes it), or None when the order is done."""
    ability = order.ability
    if ability == ATTACK:
        return combat.attack(world, unit, order)
    if ability in (MOVE, SCAN_MOVE, PATROL):
        return _move(world, unit, order)
    if ability in GATHERING:
        return economy.gather(world, unit, order)
    if ability in RETURNING:
        return economy.return_cargo(world, unit)
    if ability == HOLD:
        unit.halt(world.loop)
        combat.hold(world, unit)
        return 0
    if ability in cargo.LOADS or ability in cargo.UNLOADS:
        return cargo.advance(world, unit, order, combat.speed(world, unit))
    facts = ABILITIES.get(ability)
    if facts is not None and facts.kind in ("Build", "BuildOnUnit"):
        return construction.build(world, unit, order)
    return spells.cast(world, unit, order)


def _move(world: World, unit: Unit, order: Order) -> int | None:
    speed = combat.speed(world, unit)
    if not speed:
        return None
    if order.target:
        target = world.units.get(order.target)
        if target is None:
            return None
        x, y = target.locate(world.loop)
        unit.go(x, y, world.loop, speed, unit.facts.radius + target.facts.radius)
        return FOLLOW_EVERY
    if order.position is None:
        return None
    loops = unit.go(*world.terrain.clamp(*order.position), world.loop, speed)
    if loops == 0 and order.ability == PATROL:
        order.position, unit.rally = unit.rally[0] if unit.rally else None, ((unit.x, unit.y), 0)
        return 1
    return loops or None
