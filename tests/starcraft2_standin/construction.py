"""Structures: walking to their place and raising them; power, creep and where things may stand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from s2clientprotocol import error_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import combat, economy, production
from .facts import ABILITIES, CREEP_RADIUS, PROTOSS, PYLON, REFINERIES, TERRAN, UNITS, ZERG
from .unit import Order, Unit

if TYPE_CHECKING:
    from .world import World

Point = tuple[float, float]
POWER_RADIUS = 6.5
RESOURCE_GAP = 6.0
"""How far a town hall stays away from minerals and geysers."""
OVERLAP = 0.85
"""Structures are squares, their radius that of a circle around; so much of it keeps them apart."""
GROWTH_PARTS = 10


def build(world: World, unit: Unit, order: Order) -> int | None:
    """Go on with an order to build: walk there, pay, and (Terran) stay until it is done."""
    loop = world.loop
    if order.end:
        return order.end - loop if order.end > loop else None
    ability = ABILITIES[order.ability]
    product = UNITS[ability.product]
    geyser = world.units.get(order.target) if ability.kind == "BuildOnUnit" else None
    position = (geyser.x, geyser.y) if geyser is not None else order.position
    player = world.players[unit.owner]
    if position is None:
        return None
    loops = unit.go(*world.terrain.clamp(*position), loop, combat.speed(world, unit), 0.6 * product.radius)
    if loops:
        return loops
    result = placement(world, unit.owner, product.id, *position, geyser, unit)
    if result == error_pb2.Success:
        result = production.affordable(world, player, unit, ability)
    if result != error_pb2.Success:
        player.errors.append((unit.tag, order.ability, result))
        return None
    production.pay(player, production.cost(unit, ability))
    return _raise_structure(world, unit, order, product.id, position, geyser)


def _raise_structure(
    world: World, unit: Unit, order: Order, product: int, position: Point, geyser: Unit | None
) -> int | None:
    loops = UNITS[product].build_loops
    made = world.create(product, unit.owner, *position, loops)
    if geyser is not None:
        made.vespene, made.host = geyser.vespene, geyser.tag
    world.schedule(loops, completed, world, made, sc_pb.BuildingComplete)
    grow(world, made)
    if unit.facts.race == ZERG:
        world.remove(unit)
        return None
    if unit.facts.race == PROTOSS:
        if len(unit.orders) == 1:
            economy.send_to_mine(world, unit)
            return 0
        return None
    order.start, order.end = world.loop, world.loop + loops
    return loops


def grow(world: World, made: Unit) -> None:
    """Let a structure under construction gain its hit points, in parts."""
    loops = made.done_at - made.born
    part = 0.9 / GROWTH_PARTS
    for k in range(1, GROWTH_PARTS + 1):
        world.schedule(k * loops // GROWTH_PARTS, _grow_part, made, part)


def _grow_part(made: Unit, part: float) -> None:
    if made.alive:
        made.health = min(made.facts.health, made.health + part * made.facts.health)
        made.shield = min(made.facts.shield, made.shield + part * made.facts.shield)


def completed(world: World, made: Unit, alert: int) -> None:
    """Tell of a finished structure or warp-in, and start what begins with it."""
    if not made.alive:
        return
    world.players[made.owner].alerts.append(alert)
    if made.facts.town_hall and made.facts.race == ZERG:
        economy.larva_clock(world, made)
    if made.facts.race == TERRAN:
        for worker in world.of(made.owner):
            if worker.facts.worker and not worker.orders and math.dist((worker.x, worker.y), (made.x, made.y)) < 6:
                economy.send_to_mine(world, worker)


def powered(world: World, unit: Unit) -> bool:
    """Return whether a structure that needs power stands in some."""
    return "needs_power" not in unit.facts.flags or in_power(world, unit.owner, unit.x, unit.y)


def in_power(world: World, owner: int, x: float, y: float) -> bool:
    """Return whether a point lies in the power field of a finished pylon."""
    return any(
        unit.type == PYLON and unit.done_at <= world.loop and (unit.x - x) ** 2 + (unit.y - y) ** 2 <= POWER_RADIUS**2
        for unit in world.of(owner)
    )


def on_creep(world: World, x: float, y: float) -> bool:
    """Return whether a point lies on creep."""
    return any(
        (unit.x - x) ** 2 + (unit.y - y) ** 2 <= CREEP_RADIUS[unit.type] ** 2
        for unit in world.units.values()
        if unit.type in CREEP_RADIUS and unit.done_at <= world.loop
    )


def placement(
    world: World, owner: int, product: int, x: float, y: float, geyser: Unit | None = None, builder: Unit | None = None
) -> int:
    """Return the ActionResult of placing a structure at a point."""
    facts = UNITS[product]
    if product in REFINERIES.values() or geyser is not None:
        taken = geyser is not None and any(u.host == geyser.tag and u.facts.structure for u in world.units.values())
        return error_pb2.CantBuildOnThat if geyser is None or taken or not geyser.vespene else error_pb2.Success
    row, column = int(y), int(x)
    grid = world.terrain.placeable
    if not (0 <= row < grid.shape[0] and 0 <= column < grid.shape[1] and grid[row, column]):
        return error_pb2.CantBuildLocationInvalid
    for unit in world.units.values():
        gap = RESOURCE_GAP if facts.town_hall and (unit.minerals or unit.vespene) and not unit.facts.structure else 0.0
        if unit is builder or not (unit.facts.structure or unit.minerals or unit.vespene) or unit.facts.flying:
            continue
        reach = max(gap, OVERLAP * (unit.facts.radius + facts.radius))
        if abs(unit.x - x) < reach and abs(unit.y - y) < reach:
            return error_pb2.CantBuildTooCloseToResources if gap else error_pb2.CantBuildLocationInvalid
    if "needs_power" in facts.flags and not in_power(world, owner, x, y):
        return error_pb2.CantBuildTooFarFromBuildPowerSource
    if "needs_creep" in facts.flags and not on_creep(world, x, y):
        return error_pb2.CantBuildTooFarFromCreepSource
    return error_pb2.Success
