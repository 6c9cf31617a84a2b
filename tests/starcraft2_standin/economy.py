"""Harvesting, larvae and the start of a game."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from s2clientprotocol import sc2api_pb2 as sc_pb

from . import combat
from .facts import GATHER, LARVA, MULE, NEUTRAL_OWNER, RETURN, SUPPLIERS, TOWN_HALLS, WORKERS, ZERG
from .unit import Order, Player, Unit

if TYPE_CHECKING:
    from .world import World

MINING_LOOPS, GAS_LOOPS = 45, 32
MINERALS_PER_TRIP, VESPENE_PER_TRIP, MULE_MINERALS = 5, 4, 25
NEAR_BASE = 10.0
LARVA_LOOPS, LARVA_LIMIT, LARVA_MOST = 176, 3, 19
START_WORKERS = 12


def place_starts(world: World) -> None:
    """Give each player a town hall, workers and what else the race starts with; which corner is drawn."""
    starts = list(world.terrain.starts)
    if world.random.random() < 0.5:
        starts.reverse()
    for player, start in zip(world.players.values(), starts, strict=False):
        place_base(world, player, start)


def place_base(world: World, player: Player, start: tuple[float, float]) -> None:
    """Put a player's first base on the map."""
    x, y = start
    player.start = player.camera = start
    hall = world.create(TOWN_HALLS[player.race], player.id, x, y)
    if player.race == ZERG:
        world.create(SUPPLIERS[ZERG], player.id, x + 3, y + 3)
        for _ in range(3):
            add_larva(world, hall)
        larva_clock(world, hall)
    for k in range(START_WORKERS):
        angle = 2 * math.pi * k / START_WORKERS
        worker = world.create(WORKERS[player.race], player.id, x + 3.5 * math.cos(angle), y + 3.5 * math.sin(angle))
        send_to_mine(world, worker)


def mineral_fields_near(world: World, unit: Unit) -> list[Unit]:
    """Return the mineral fields of the base that a unit is at, else all there are."""
    fields = [u for u in world.neutrals if u.minerals > 0]
    if not fields:
        return []
    nearest = min(fields, key=lambda u: (u.x - unit.x) ** 2 + (u.y - unit.y) ** 2)
    return [u for u in fields if abs(u.x - nearest.x) < NEAR_BASE + 3 and abs(u.y - nearest.y) < NEAR_BASE + 3]


def send_to_mine(world: World, worker: Unit) -> None:
    """Let a worker harvest the least crowded mineral field near it."""
    fields = mineral_fields_near(world, worker)
    if not fields or worker.type not in GATHER:
        return
    best = min(fields, key=lambda u: (u.assigned, (u.x - worker.x) ** 2 + (u.y - worker.y) ** 2))
    world.give(worker, Order(GATHER[worker.type], target=best.tag), queue=False)


def release(world: World, unit: Unit) -> None:
    """Give back the unit's place at the resource that it harvests."""
    unit.mining = None
    if unit.engaged and unit.facts.worker:
        resource = world.units.get(unit.engaged)
        harvested = resource is not None and resource.owner in (NEUTRAL_OWNER, unit.owner)
        if resource is not None and harvested and (resource.minerals or resource.vespene):
            resource.assigned = max(0, resource.assigned - 1)
            unit.engaged = 0


def _claim(world: World, unit: Unit, resource: Unit) -> None:
    if unit.engaged != resource.tag:
        release(world, unit)
        resource.assigned += 1
        unit.engaged = resource.tag


def _resource(world: World, unit: Unit, order: Order) -> Unit | None:
    """Return what to harvest: the order's target while it lasts, then a field near by."""
    target = world.units.get(order.target)
    if target is not None and target.minerals > 0 and not target.facts.structure:
        return target
    if target is not None and target.facts.structure and target.owner == unit.owner and target.vespene > 0:
        return target if target.finished(world.loop) else None
    fields = mineral_fields_near(world, unit)
    if not fields:
        return None
    best = min(fields, key=lambda u: (u.assigned, (u.x - unit.x) ** 2 + (u.y - unit.y) ** 2))
    order.target = best.tag
    return best


def gather(world: World, unit: Unit, order: Order) -> int | None:
    """Go on harvesting; the order ends when nothing is left to harvest."""
    loop = world.loop
    if any(unit.carried):
        return _deliver(world, unit) or 1
    resource = _resource(world, unit, order)
    if resource is None:
        return None
    _claim(world, unit, resource)
    if unit.mining is not None and unit.mining[0] == resource.tag:
        if unit.mining[1] > loop:
            return unit.mining[1] - loop
        unit.mining = None
        _take(world, unit, resource)
        return _deliver(world, unit) or 1
    unit.mining = None
    loops = unit.go(resource.x, resource.y, loop, combat.speed(world, unit), resource.facts.radius + unit.facts.radius)
    if loops:
        return loops
    resource.busy_until = max(loop, resource.busy_until) + (MINING_LOOPS if resource.minerals else GAS_LOOPS)
    unit.mining = (resource.tag, resource.busy_until)
    return resource.busy_until - loop


def _take(world: World, unit: Unit, resource: Unit) -> None:
    if resource.minerals:
        amount = min(MULE_MINERALS if unit.type == MULE else MINERALS_PER_TRIP, resource.minerals)
        resource.minerals -= amount
        unit.carried = (amount, 0)
        if resource.minerals <= 0:
            world.players[unit.owner].alerts.append(sc_pb.MineralsExhausted)
            world.remove(resource)
    elif resource.vespene:
        amount = min(VESPENE_PER_TRIP, resource.vespene)
        resource.vespene -= amount
        unit.carried = (0, amount)


def _deliver(world: World, unit: Unit) -> int | None:
    """Bring the cargo home; returns the loops to go, or None when it is delivered (or no town hall is left)."""
    halls = [u for u in world.units.values() if u.owner == unit.owner and u.facts.town_hall and u.finished(world.loop)]
    unit.locate(world.loop)
    halls = [hall for hall in halls if not hall.facts.flying]
    if not halls:
        return 16
    hall = min(halls, key=lambda u: (u.x - unit.x) ** 2 + (u.y - unit.y) ** 2)
    loops = unit.go(hall.x, hall.y, world.loop, combat.speed(world, unit), hall.facts.radius + unit.facts.radius)
    if loops:
        return loops
    player = world.players[unit.owner]
    minerals, vespene = unit.carried
    unit.carried = (0, 0)
    player.minerals += minerals
    player.vespene += vespene
    player.score.collected_minerals += minerals
    player.score.collected_vespene += vespene
    return None


def return_cargo(world: World, unit: Unit) -> int | None:
    """Deliver what is carried, then go back to mining."""
    if any(unit.carried):
        loops = _deliver(world, unit)
        if loops:
            return loops
    if len(unit.orders) == 1:
        fields = mineral_fields_near(world, unit)
        if fields:
            best = min(fields, key=lambda u: (u.assigned, (u.x - unit.x) ** 2 + (u.y - unit.y) ** 2))
            unit.orders.append(Order(GATHER[unit.type], target=best.tag))
    return None


def add_larva(world: World, hall: Unit) -> None:
    """Hatch one larva under a hatchery."""
    count = hall.assigned = len(larvae(world, hall)) + 1
    world.create(LARVA, hall.owner, hall.x - 2.0 + 1.0 * (count % 5), hall.y - 3.2).host = hall.tag


def larvae(world: World, hall: Unit) -> list[Unit]:
    """Return the larvae of a hatchery."""
    return [u for u in world.units.values() if u.type == LARVA and u.host == hall.tag]


def larva_clock(world: World, hall: Unit) -> None:
    """Hatch a larva every 11 seconds while fewer than three wait."""
    if not hall.alive:
        return
    if len(larvae(world, hall)) < LARVA_LIMIT:
        add_larva(world, hall)
    world.schedule(LARVA_LOOPS, larva_clock, world, hall)


def harvesters(world: World, owner: int) -> dict[int, tuple[int, int]]:
    """Return (assigned, ideal) harvesters of each town hall and refinery of a player."""
    result: dict[int, tuple[int, int]] = {}
    halls = []
    for unit in world.units.values():
        if unit.owner == owner and unit.finished(world.loop):
            if unit.facts.town_hall:
                halls.append(unit)
            elif unit.vespene and unit.facts.structure:
                result[unit.tag] = (unit.assigned, 3)
    totals = {hall.tag: [0, 0] for hall in halls}
    if halls:
        for field in world.neutrals:
            if field.minerals:
                hall = min(halls, key=lambda u: (u.x - field.x) ** 2 + (u.y - field.y) ** 2)
                if abs(hall.x - field.x) < NEAR_BASE and abs(hall.y - field.y) < NEAR_BASE:
                    totals[hall.tag][0] += field.assigned
                    totals[hall.tag][1] += 2
    result.update({tag: (assigned, ideal) for tag, (assigned, ideal) in totals.items()})
    return result


def is_gathering(unit: Unit) -> bool:
    """Return whether the unit's first order is to harvest or to bring home."""
    return bool(unit.orders) and unit.orders[0].ability in (GATHER.get(unit.type), RETURN.get(unit.type))
