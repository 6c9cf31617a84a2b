"""The few spells that the stand-in knows; every other one is taken without effect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from s2clientprotocol import error_pb2

from . import combat, economy
from .facts import ABILITIES, GATHER, MULE, AbilityFacts
from .unit import Order, Unit

if TYPE_CHECKING:
    from .world import World

STIM_MARINE, STIM_MARAUDER, CALLDOWN_MULE, INJECT, CHRONO = 380, 253, 171, 251, 3755
GUARDIAN_SHIELD, GRAVITON_BEAM = 76, 173
GUARDIAN_SHIELD_EFFECT, GUARDIAN_SHIELD_RADIUS, GUARDIAN_SHIELD_LOOPS = 2, 4.5, 176
BUFFS = {STIM_MARINE: 27, STIM_MARAUDER: 24, GUARDIAN_SHIELD: 18, GRAVITON_BEAM: 5, CHRONO: 281}
STIM_LOOPS, STIM_LIFE = 246, {STIM_MARINE: 10.0, STIM_MARAUDER: 20.0}
ENERGY = {CALLDOWN_MULE: 50, INJECT: 25, CHRONO: 50, GUARDIAN_SHIELD: 75, GRAVITON_BEAM: 50}
HALLUCINATIONS = {146: 141, 148: 4, 150: 75, 152: 83, 154: 78, 156: 84, 158: 74, 160: 80, 162: 81, 164: 73}
"""Ability -> unit type ."""
HALLUCINATION_ENERGY, HALLUCINATION_LOOPS = 75, 688


def energy_cost(ability: AbilityFacts) -> float:
    """Return the energy that an ability needs."""
    if ability.id in HALLUCINATIONS:
        return HALLUCINATION_ENERGY
    return ENERGY.get(ability.id, ability.energy)


def check(world: World, unit: Unit, ability: AbilityFacts) -> int:
    """Return the ActionResult of casting."""
    if unit.energy_now(world.loop) < energy_cost(ability):
        return error_pb2.NotEnoughEnergy
    if unit.health <= STIM_LIFE.get(ability.id, 0.0):
        return error_pb2.NotEnoughLife
    return error_pb2.Success


def cast(world: World, unit: Unit, order: Order) -> int | None:
    """Cast when near enough, else walk there; the order is done once cast."""
    ability = ABILITIES.get(order.ability)
    if ability is None:
        return None
    target = world.units.get(order.target)
    place = target.locate(world.loop) if target is not None else order.position
    pace = combat.speed(world, unit)
    if place is not None and pace and ability.target != "None":
        reach = max(1.0, ability.cast_range) + unit.facts.radius
        loops = unit.go(*place, world.loop, pace, reach)
        if loops:
            return min(loops, 8) if target is not None else loops
    if check(world, unit, ability) != error_pb2.Success:
        world.players[unit.owner].errors.append((unit.tag, ability.id, error_pb2.NotEnoughEnergy))
        return None
    unit.spend_energy(energy_cost(ability), world.loop)
    unit.health -= STIM_LIFE.get(ability.id, 0.0)
    _take_effect(world, unit, ability.id, target)
    return None


def add_buff(world: World, unit: Unit, buff: int, loops: int) -> None:
    """Put a buff on a unit for so many loops."""
    unit.buffs[buff] = (world.loop + loops, loops)
    world.schedule(loops, _buff_ends, world, unit, buff)


def _buff_ends(world: World, unit: Unit, buff: int) -> None:
    if buff in unit.buffs and unit.buffs[buff][0] <= world.loop:
        del unit.buffs[buff]


def _take_effect(world: World, unit: Unit, ability: int, target: Unit | None) -> None:
    if ability in (STIM_MARINE, STIM_MARAUDER):
        add_buff(world, unit, BUFFS[ability], STIM_LOOPS)
    elif ability == GRAVITON_BEAM and target is not None:
        add_buff(world, target, BUFFS[ability], 160)
        target.halt(world.loop)
    elif ability == CHRONO and target is not None:
        add_buff(world, target, BUFFS[ability], 480)
    elif ability == CALLDOWN_MULE and target is not None:
        mule = world.create(MULE, unit.owner, target.x, target.y)
        world.give(mule, Order(GATHER[MULE], target=target.tag), queue=False)
        world.schedule(64 * 16, _expire, world, mule)
    elif ability == INJECT and target is not None:
        world.schedule(29 * 16, _hatch, world, target)
    elif ability in HALLUCINATIONS:
        copy = world.create(HALLUCINATIONS[ability], unit.owner, unit.x + 1.0, unit.y)
        copy.hallucination = True
        world.schedule(HALLUCINATION_LOOPS, _expire, world, copy)
    elif ability == GUARDIAN_SHIELD:
        _guard(world, unit)


def _guard(world: World, unit: Unit) -> None:
    end = world.loop + GUARDIAN_SHIELD_LOOPS
    world.effects.append((GUARDIAN_SHIELD_EFFECT, unit.owner, unit.x, unit.y, GUARDIAN_SHIELD_RADIUS, end))
    for other in world.of(unit.owner):
        other.locate(world.loop)
        if math.dist((other.x, other.y), (unit.x, unit.y)) <= GUARDIAN_SHIELD_RADIUS:
            add_buff(world, other, BUFFS[GUARDIAN_SHIELD], GUARDIAN_SHIELD_LOOPS)


def _expire(world: World, unit: Unit) -> None:
    if unit.alive:
        economy.release(world, unit)
        world.remove(unit)


def _hatch(world: World, hall: Unit) -> None:
    for _ in range(3):
        if hall.alive and len(economy.larvae(world, hall)) < economy.LARVA_MOST:
            economy.add_larva(world, hall)
