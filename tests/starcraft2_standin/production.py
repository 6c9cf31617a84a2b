"""Making things: training, building, morphing, research, add-ons, and what they need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from s2clientprotocol import error_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import construction, economy
from .facts import (
    ABILITIES,
    EGGS,
    GATHER,
    LARVA,
    REFINERIES,
    UNITS,
    UPGRADES,
    ZERG,
    AbilityFacts,
    counts_as,
)
from .unit import Order, Player, Unit

if TYPE_CHECKING:
    from .world import World

ZERGLING, WARP_GATE, HATCHERY = 105, 133, 86
QUEUE_LENGTH, QUEUE_LENGTH_WITH_REACTOR = 5, 8
REACTORS = (6, 38, 40, 42)
HUNGRY_LOOPS = 16
"""A queue that lacks supply looks again after this."""
MODE_LOOPS = 32
"""Morphs that cost nothing (siege mode, burrow, lift off, lower) take two game seconds."""
ADDON_OFFSET = (2.5, -0.5)


def cost(unit: Unit, ability: AbilityFacts) -> tuple[int, int]:
    """Return the minerals and vespene that an ability costs a unit; a morph costs the difference."""
    if ability.kind == "Research":
        upgrade = UPGRADES.get(ability.product)
        return (upgrade.minerals, upgrade.vespene) if upgrade is not None else (0, 0)
    product = UNITS.get(ability.product)
    if product is None:
        return 0, 0
    minerals, vespene = product.minerals, product.vespene
    if unit.type == LARVA:
        doubled = 2 if product.id == ZERGLING else 1
        return minerals * doubled, vespene * doubled
    if ability.kind in ("Morph", "MorphPlace") or (ability.kind == "Build" and unit.facts.race == ZERG):
        return max(0, minerals - unit.facts.minerals), max(0, vespene - unit.facts.vespene)
    if product.id == REFINERIES[ZERG]:
        return max(0, minerals - unit.facts.minerals), vespene
    return minerals, vespene


def duration(unit: Unit, ability: AbilityFacts) -> int:
    """Return the loops that the product takes."""
    if ability.kind == "Research":
        return max(1, UPGRADES[ability.product].loops)
    product = UNITS[ability.product]
    if ability.kind in ("Morph", "MorphPlace") and unit.type != LARVA and cost(unit, ability) == (0, 0):
        return MODE_LOOPS
    return max(1, product.build_loops)


def has_requirements(world: World, unit: Unit, ability: AbilityFacts) -> bool:
    """Return whether the player owns the buildings and upgrades, and the unit the add-on, that an ability needs."""
    player = world.players[unit.owner]
    for kind, wanted in ability.requires:
        if kind == "u" and wanted not in player.upgrades:
            return False
        if kind == "a":
            addon = world.units.get(unit.addon)
            if addon is None or not addon.finished(world.loop) or not counts_as(addon.type, wanted):
                return False
        if kind == "b" and not any(
            other.facts.structure and counts_as(other.type, wanted) and other.finished(world.loop)
            for other in world.of(unit.owner)
        ):
            return False
    return True


def check(world: World, unit: Unit, ability: AbilityFacts, ignore_cost: bool = False) -> int:
    """Return the ActionResult of starting to make something, without doing it."""
    player = world.players[unit.owner]
    if not unit.finished(world.loop) or unit.morph is not None or ability.id not in unit.facts.abilities:
        return error_pb2.NotSupported
    if not has_requirements(world, unit, ability):
        return error_pb2.TechRequirementsNotMet
    if ability.kind == "Research" and (ability.product in player.upgrades or ability.product in player.researching):
        return error_pb2.NotSupported
    if ability.kind in ("Train", "Research") and len(unit.orders) >= _queue_length(world, unit):
        return error_pb2.QueueIsFull
    if ability.kind == "BuildInstant" and (unit.addon or unit.orders):
        return error_pb2.NotSupported
    if unit.type == WARP_GATE and unit.cooldown_until > world.loop:
        return error_pb2.Cooldown
    if ability.kind != "Research" and "needs_power" in unit.facts.flags and not construction.powered(world, unit):
        return error_pb2.NotSupported
    return error_pb2.Success if ignore_cost else affordable(world, player, unit, ability)


def affordable(world: World, player: Player, unit: Unit, ability: AbilityFacts) -> int:
    """Return the ActionResult of paying for something: minerals, vespene, supply."""
    minerals, vespene = cost(unit, ability)
    if player.minerals < minerals:
        return error_pb2.NotEnoughMinerals
    if player.vespene < vespene:
        return error_pb2.NotEnoughVespene
    waits = ability.kind == "Train" and len(unit.orders) >= _lines(world, unit)
    if ability.kind in ("Train", "Morph", "TrainPlace") and not waits and not _fed(world, unit, ability):
        return error_pb2.NotEnoughFood
    return error_pb2.Success


def _fed(world: World, unit: Unit, ability: AbilityFacts) -> bool:
    """Return whether there is supply for a product now; what waits in a queue needs none yet."""
    product = UNITS[ability.product]
    need = max(0.0, product.supply) * (2 if product.id == ZERGLING else 1)
    need -= max(0.0, unit.facts.supply) if ability.kind == "Morph" else 0
    if need <= 0:
        return True
    used, cap, _, _ = world.supply(unit.owner)
    return used + need <= cap


def _queue_length(world: World, unit: Unit) -> int:
    return QUEUE_LENGTH_WITH_REACTOR if _lines(world, unit) == 2 else QUEUE_LENGTH


def _lines(world: World, unit: Unit) -> int:
    """Return how many units a structure makes at a time."""
    addon = world.units.get(unit.addon)
    return 2 if addon is not None and addon.type in REACTORS and addon.finished(world.loop) else 1


def pay(player: Player, price: tuple[int, int], sign: int = 1) -> None:
    """Take the price from a player, or give it back with sign -1."""
    player.minerals -= sign * price[0]
    player.vespene -= sign * price[1]
    player.score.spent_minerals += sign * price[0]
    player.score.spent_vespene += sign * price[1]


def start(world: World, unit: Unit, ability: AbilityFacts, position: tuple[float, float] | None) -> int:
    """Start to make something that needs no walk there; returns the ActionResult."""
    result = check(world, unit, ability)
    if result != error_pb2.Success:
        return result
    player = world.players[unit.owner]
    price = cost(unit, ability)
    if ability.kind in ("Train", "Research"):
        pay(player, price)
        unit.orders.append(Order(ability.id, paid=price))
        if ability.kind == "Research":
            player.researching.add(ability.product)
        advance(world, unit)
    elif ability.kind in ("Morph", "MorphPlace"):
        pay(player, price)
        _morph(world, unit, ability, price)
    elif ability.kind == "BuildInstant":
        pay(player, price)
        x, y = unit.x + ADDON_OFFSET[0], unit.y + ADDON_OFFSET[1]
        addon = world.create(ability.product, unit.owner, x, y, duration(unit, ability))
        unit.addon, addon.host = addon.tag, unit.tag
        unit.orders.append(Order(ability.id, start=world.loop, end=addon.done_at, paid=price))
        world.schedule(duration(unit, ability), _addon_done, world, unit, addon)
    elif ability.kind == "TrainPlace":
        return _warp_in(world, unit, ability, price, position)
    return error_pb2.Success


def _warp_in(world: World, unit: Unit, ability: AbilityFacts, price: tuple[int, int], position: object) -> int:
    if not isinstance(position, tuple) or not construction.in_power(world, unit.owner, position[0], position[1]):
        return error_pb2.CantWarpInUnitsThere
    pay(world.players[unit.owner], price)
    warped = world.create(ability.product, unit.owner, position[0], position[1], 80)
    unit.cooldown_until = world.loop + warped.facts.build_loops
    world.schedule(80, construction.completed, world, warped, sc_pb.WarpInComplete)
    return error_pb2.Success


def advance(world: World, unit: Unit) -> None:
    """Start the next entries of a structure's queue, as far as there is supply."""
    for order in unit.orders[: _lines(world, unit)]:
        ability = ABILITIES.get(order.ability)
        if order.end == 0 and ability is not None and ability.kind in ("Train", "Research"):
            if ability.kind == "Train" and not _fed(world, unit, ability):
                world.schedule(HUNGRY_LOOPS, _try_again, world, unit)
                return
            loops = duration(unit, ability)
            order.start, order.end = world.loop, world.loop + loops
            world.schedule(loops, _finish, world, unit, order)


def _try_again(world: World, unit: Unit) -> None:
    if unit.alive:
        advance(world, unit)


def _finish(world: World, unit: Unit, order: Order) -> None:
    if not unit.alive or order not in unit.orders:
        return
    unit.orders = [other for other in unit.orders if other is not order]
    ability = ABILITIES[order.ability]
    player = world.players[unit.owner]
    if ability.kind == "Research":
        player.upgrades.add(ability.product)
        player.researching.discard(ability.product)
        player.alerts.append(sc_pb.ResearchComplete)
    else:
        _come_out(world, unit, ability.product)
    advance(world, unit)


def _come_out(world: World, unit: Unit, product: int) -> None:
    angle = world.random.uniform(0.0, 2 * math.pi)
    reach = unit.facts.radius + 0.7
    made = world.create(product, unit.owner, unit.x + reach * math.cos(angle), unit.y + reach * math.sin(angle))
    made.facing = angle
    worker = made.facts.worker
    world.players[unit.owner].alerts.append(sc_pb.TrainWorkerComplete if worker else sc_pb.TrainUnitComplete)
    if unit.rally is not None:
        position, target = unit.rally
        resource = world.units.get(target)
        if worker and resource is not None and (resource.minerals or resource.vespene):
            world.give(made, Order(GATHER[made.type], target=target), queue=False)
        else:
            world.give(made, Order(16, position=position), queue=False)
    elif worker:
        economy.send_to_mine(world, made)


def _morph(world: World, unit: Unit, ability: AbilityFacts, price: tuple[int, int]) -> None:
    loops = duration(unit, ability)
    unit.halt(world.loop)
    economy.release(world, unit)
    unit.engaged = 0
    order = Order(ability.id, start=world.loop, end=world.loop + loops, paid=price)
    unit.orders = [order]
    unit.morph = (ability.product, world.loop, world.loop + loops)
    if unit.type in EGGS:
        unit.become(EGGS[unit.type])
    world.schedule(loops, _morphed, world, unit, order)


def _morphed(world: World, unit: Unit, order: Order) -> None:
    if not unit.alive or unit.morph is None or order not in unit.orders:
        return
    product = unit.morph[0]
    share = unit.health / max(1.0, unit.facts.health)
    egg = unit.type == EGGS[LARVA]
    unit.morph, unit.orders = None, []
    unit.become(product)
    unit.host = 0 if egg else unit.host
    unit.health = unit.facts.health * (1.0 if egg else share)
    unit.energy, unit.energy_at = max(unit.energy, unit.facts.start_energy), world.loop
    unit.z = world.terrain.ground(unit.x, unit.y) + (3.75 if unit.facts.flying else 0.0)
    made = [unit]
    if egg and product == ZERGLING:
        made.append(world.create(ZERGLING, unit.owner, unit.x + 0.4, unit.y))
    player = world.players[unit.owner]
    player.alerts.append(sc_pb.MorphComplete)
    for other in made:
        if other.facts.worker:
            economy.send_to_mine(world, other)


def cancel(world: World, unit: Unit) -> int:
    """Cancel the last thing in the making and give its price back (three quarters for a building)."""
    player = world.players[unit.owner]
    if not unit.finished(world.loop) and unit.facts.structure:
        pay(player, (unit.facts.minerals * 3 // 4, unit.facts.vespene * 3 // 4), -1)
        world.remove(unit)
        return error_pb2.Success
    if unit.morph is not None:
        pay(player, unit.orders[0].paid, -1)
        egg = unit.type == EGGS[LARVA]
        unit.morph, unit.orders = None, []
        if egg:
            unit.become(LARVA)
        return error_pb2.Success
    if unit.facts.structure and unit.orders and ABILITIES[unit.orders[-1].ability].kind in ("Train", "Research"):
        order = unit.orders.pop()
        pay(player, order.paid, -1)
        player.researching.discard(ABILITIES[order.ability].product)
        return error_pb2.Success
    return error_pb2.NotSupported


def _addon_done(world: World, unit: Unit, addon: Unit) -> None:
    if not addon.alive:
        return
    addon.health = addon.facts.health
    world.players[unit.owner].alerts.append(sc_pb.AddOnComplete)
    unit.orders = [order for order in unit.orders if ABILITIES[order.ability].product != addon.type]
