"""Transports and bunkers: loading, unloading, and what falls out when they die."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .facts import MOVE, VARIANTS
from .unit import Order, Unit

if TYPE_CHECKING:
    from .world import World

LOADS = frozenset({3668, *VARIANTS.get(3668, ())})
UNLOADS = frozenset({3664, 3669, 3670, *VARIANTS.get(3664, ()), *VARIANTS.get(3669, ()), *VARIANTS.get(3670, ())})
WORKERS_ONLY = frozenset({18, 36, 130})
UNLOAD_OF = {24: 408, 18: 413, 130: 413, 54: 396, 81: 913, 136: 913, 893: 1408, 95: 1438, 142: 2371}
"""Transport -> its own form of unloading everybody."""
REACH, BOARDING_LOOPS = 1.0, 8


def has_room(world: World, transport: Unit, passenger: Unit) -> bool:
    """Return whether a transport can take a unit."""
    if passenger.facts.flying or not passenger.facts.cargo_size or passenger.owner != transport.owner:
        return False
    if transport.type in WORKERS_ONLY and not passenger.facts.worker:
        return False
    taken = sum(world.units[tag].facts.cargo_size for tag in transport.cargo if tag in world.units)
    return transport.facts.cargo_space >= taken + passenger.facts.cargo_size


def near(world: World, transport: Unit, passenger: Unit) -> bool:
    """Return whether a unit stands close enough to get in."""
    gap = math.dist(transport.locate(world.loop), passenger.locate(world.loop))
    return gap <= transport.facts.radius + passenger.facts.radius + REACH


def load(world: World, transport: Unit, passenger: Unit) -> None:
    """Take a unit off the ground."""
    passenger.halt(world.loop)
    passenger.orders, passenger.engaged, passenger.selected = [], 0, False
    passenger.carrier = transport.tag
    transport.cargo.append(passenger.tag)


def unload(world: World, transport: Unit) -> None:
    """Put everybody out around the transport."""
    x, y = transport.locate(world.loop)
    for k, tag in enumerate(transport.cargo):
        passenger = world.units.get(tag)
        if passenger is not None:
            angle = 2 * math.pi * k / max(1, len(transport.cargo))
            reach = 0.5 if transport.facts.flying else transport.facts.radius + passenger.facts.radius
            place = world.terrain.clamp(x + reach * math.cos(angle), y + reach * math.sin(angle))
            passenger.x, passenger.y = place
            passenger.z = world.terrain.ground(*place)
            passenger.carrier = 0
    transport.cargo = []


def order_load(world: World, transport: Unit, passenger: Unit, ability: int) -> None:
    """Bring transport and passenger together: the transport flies there, to a building the passenger walks."""
    if transport.facts.mobile:
        world.give(transport, Order(ability, passenger.tag), queue=False)
        return
    world.give(passenger, Order(MOVE, transport.tag), queue=False)
    _board(world, transport, passenger)


def _board(world: World, transport: Unit, passenger: Unit) -> None:
    """Let a passenger in when it has come, as long as it is on its way."""
    coming = bool(passenger.orders) and passenger.orders[0].target == transport.tag
    if not (transport.alive and passenger.alive and coming and has_room(world, transport, passenger)):
        return
    if near(world, transport, passenger):
        load(world, transport, passenger)
    else:
        world.schedule(BOARDING_LOOPS, _board, world, transport, passenger)


def advance(world: World, unit: Unit, order: Order, pace: float) -> int | None:
    """Go on with an order to load or to unload; returns the loops until the next look, or None when it is done."""
    target = world.units.get(order.target)
    if order.ability in UNLOADS:
        place = order.position or (target.locate(world.loop) if target is not None else None)
        loops = unit.go(*place, world.loop, pace) if place is not None and pace else 0
        if loops:
            return loops
        unload(world, unit)
        return None
    if target is None or target.carrier or not has_room(world, unit, target):
        return None
    if near(world, unit, target):
        load(world, unit, target)
        return None
    unit.go(*target.locate(world.loop), world.loop, pace)
    return BOARDING_LOOPS
