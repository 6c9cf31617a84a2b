"""Weapons: picking targets, closing in, damage, death."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import economy
from .facts import ATTACK, BANELING, HOLD, LARVA, NEUTRAL_OWNER, Weapon
from .unit import Order, Player, Unit

if TYPE_CHECKING:
    from .world import World

CHASE_LOOPS = 6
SPLASH_RADIUS = 2.2
RUN_BUFFS = {27: 1.5, 24: 1.5, 20: 0.5, 121: 0.5}
"""Buff -> what it does to speed: stimpack (marine, marauder), time warp, concussive shells."""
STIMPACKS = (27, 24)
BIO_SPEED = {105: (66, 1.6), 9: (75, 1.18), 110: (2, 1.4), 107: (53, 1.25), 73: (86, 1.4), 55: (136, 1.36)}
"""Unit -> (upgrade, factor on its speed)."""
WEAPON_UPGRADES = (
    ((7, 8, 9), "TerranInfantry", (48, 49, 50, 51)),
    ((30, 31, 32), "TerranVehicle", (32, 33, 52, 53, 484, 498, 692)),
    ((36, 37, 38), "TerranShip", (35, 55, 57, 689)),
    ((39, 40, 41), "ProtossGround", (4, 73, 74, 75, 76, 77, 83, 141, 311, 694)),
    ((78, 79, 80), "ProtossAir", (10, 78, 79, 80, 496, 495)),
    ((53, 54, 55), "ZergMelee", (9, 105, 109, 289)),
    ((59, 60, 61), "ZergMissile", (107, 110, 126, 503, 688)),
    ((68, 69, 70), "ZergFlyer", (108, 112, 114)),
)


def speed(world: World, unit: Unit) -> float:
    """Return cells per loop, upgrades and buffs counted."""
    value = unit.facts.speed
    if not value:
        return 0.0
    upgrade = BIO_SPEED.get(unit.type)
    if upgrade is not None and unit.owner in world.players and upgrade[0] in world.players[unit.owner].upgrades:
        value *= upgrade[1]
    for buff in unit.buffs:
        value *= RUN_BUFFS.get(buff, 1.0)
    return value


def weapon_level(player: Player, unit_type: int) -> int:
    """Return the attack upgrade level of a unit type."""
    for ids, _, types in WEAPON_UPGRADES:
        if unit_type in types:
            return sum(upgrade in player.upgrades for upgrade in ids)
    return 0


def weapon_against(unit: Unit, target: Unit) -> Weapon | None:
    """Return the weapon that reaches a target's kind."""
    wanted = "Air" if target.facts.flying else "Ground"
    return next((weapon for weapon in unit.facts.weapons if weapon.target in ("Any", wanted)), None)


def _can_see(world: World, unit: Unit, target: Unit) -> bool:
    if not target.cloaked:
        return True
    detected = world.players[unit.owner].detected
    return detected is not None and bool(detected[int(target.y), int(target.x)])


def attack(world: World, unit: Unit, order: Order) -> int | None:
    """Go on with an attack order: at its target, or on the way to a point at whatever comes near."""
    target = world.units.get(order.target or unit.engaged)
    if target is not None and target.alive and unit.attacks(target) and _can_see(world, unit, target):
        return engage(world, unit, target)
    unit.engaged = 0
    if order.target or order.position is None:
        return None
    pace = speed(world, unit)
    if not pace:
        return None
    return unit.go(*world.terrain.clamp(*order.position), world.loop, pace) or None


def engage(world: World, unit: Unit, target: Unit) -> int | None:
    """Fire if in range and ready, else close in; returns the loops until there is something to do again."""
    loop = world.loop
    weapon = weapon_against(unit, target)
    if weapon is None:
        return None
    target.locate(loop)
    unit.locate(loop)
    gap = math.hypot(target.x - unit.x, target.y - unit.y) - unit.facts.radius - target.facts.radius
    if gap <= weapon.range + 0.05:
        unit.halt(loop)
        unit.facing = math.atan2(target.y - unit.y, target.x - unit.x) % (2 * math.pi)
        if loop >= unit.ready_at:
            faster = 1.5 if any(buff in unit.buffs for buff in STIMPACKS) else 1.0
            unit.ready_at = loop + max(1, round(weapon.cooldown / faster))
            strike(world, unit, target, weapon)
        return max(1, unit.ready_at - loop)
    pace = speed(world, unit)
    if not pace or (unit.orders and unit.orders[0].ability == HOLD):
        unit.engaged = 0
        return None
    reach = weapon.range + unit.facts.radius + target.facts.radius
    return min(unit.go(target.x, target.y, loop, pace, reach), CHASE_LOOPS) or 1


def hold(world: World, unit: Unit) -> None:
    """Let a unit without orders (or told to stay) fight the target it has picked."""
    target = world.units.get(unit.engaged)
    if target is None or not unit.attacks(target) or not _can_see(world, unit, target):
        if not unit.facts.worker:
            unit.engaged = 0
        return
    delay = engage(world, unit, target)
    if delay:
        world.wake(unit, delay)


def strike(world: World, unit: Unit, target: Unit, weapon: Weapon) -> None:
    """Deal a weapon's damage to a target."""
    player = world.players.get(unit.owner)
    bonus = sum(extra for attribute, extra in weapon.bonuses if attribute in target.facts.attributes)
    damage = weapon.damage + bonus
    if player is not None:
        damage += weapon_level(player, unit.type) * max(1.0, round(weapon.damage / 10))
    if unit.hallucination:
        damage = 0.0
    if unit.type == BANELING:
        _explode(world, unit, weapon, player)
        return
    for _ in range(weapon.attacks):
        hurt(world, target, damage, player)
        if not target.alive:
            return


def _explode(world: World, unit: Unit, weapon: Weapon, player: Player | None) -> None:
    """Hurt every enemy on the ground around a baneling, which dies."""
    for other in list(world.units.values()):
        other.locate(world.loop)
        near = math.dist((other.x, other.y), (unit.x, unit.y)) <= SPLASH_RADIUS + other.facts.radius
        if near and other.owner not in (unit.owner, NEUTRAL_OWNER) and not other.facts.flying:
            bonus = sum(extra for attribute, extra in weapon.bonuses if attribute in other.facts.attributes)
            hurt(world, other, weapon.damage + bonus, player)
    kill(world, unit, None)


def hurt(world: World, target: Unit, damage: float, player: Player | None) -> None:
    """Take hit points away, shields first, at least half a point."""
    owner = world.players.get(target.owner)
    if owner is not None and owner.gods:
        return
    damage = max(0.5, damage - target.facts.armor) * (2.0 if target.hallucination else 1.0)
    from_shield = min(target.shield, damage)
    from_life = min(target.health, damage - from_shield)
    target.shield -= from_shield
    target.health -= from_life
    if player is not None:
        player.score.damage_dealt[0] += from_life
        player.score.damage_dealt[1] += from_shield
    if owner is not None:
        owner.score.damage_taken[0] += from_life
        owner.score.damage_taken[1] += from_shield
        if world.loop - target.under_attack_at > 160:
            owner.alerts.append(sc_pb.BuildingUnderAttack if target.facts.structure else sc_pb.UnitUnderAttack)
        target.under_attack_at = world.loop
    if target.health <= 0:
        kill(world, target, player)


def category(unit: Unit) -> str:
    """Return the score's category of a unit."""
    if unit.facts.worker or unit.facts.town_hall or (unit.facts.structure and unit.facts.supply < 0):
        return "economy"
    return "technology" if unit.facts.structure else "army"


def kill(world: World, target: Unit, player: Player | None) -> None:
    """Remove a unit that was killed and count it."""
    if not target.alive:
        return
    worth = target.facts.minerals + target.facts.vespene
    if player is not None and player.id != target.owner and not target.hallucination:
        totals = player.score.killed.setdefault(category(target), [0.0, 0.0])
        totals[0] += target.facts.minerals
        totals[1] += target.facts.vespene
        if target.facts.structure:
            player.score.killed_structures += worth
        else:
            player.score.killed_units += worth
    owner = world.players.get(target.owner)
    if owner is not None and not target.hallucination:
        totals = owner.score.lost.setdefault(category(target), [0.0, 0.0])
        totals[0] += target.facts.minerals
        totals[1] += target.facts.vespene
    economy.release(world, target)
    _leave_geyser(world, target)
    world.remove(target)
    if world.mini_game is not None:
        world.mini_game.killed(target, player)


def _leave_geyser(world: World, target: Unit) -> None:
    if target.facts.structure and target.host:
        geyser = world.units.get(target.host)
        if geyser is not None:
            geyser.vespene = target.vespene


def acquire(world: World) -> None:
    """Let every unit that is free to fight pick the nearest enemy it can hit within its sight."""
    loop = world.loop
    fighters: dict[int, list[Unit]] = {}
    prey: list[Unit] = []
    for unit in world.units.values():
        if unit.owner == NEUTRAL_OWNER:
            continue
        if unit.carrier:
            continue
        unit.locate(loop)
        if unit.type != LARVA:
            prey.append(unit)
        armed = unit.facts.weapons and unit.done_at <= loop and (not unit.facts.worker or _told_to_attack(unit))
        if unit.engaged == 0 and armed and (unit.idle_or_attacking() or unit.orders[0].ability == HOLD):
            fighters.setdefault(unit.owner, []).append(unit)
    for owner, mine in fighters.items():
        foes = [unit for unit in prey if unit.owner != owner]
        if foes:
            _pick(world, mine, foes)


def _told_to_attack(unit: Unit) -> bool:
    """Return whether a worker is on its way to attack; otherwise workers do not fight by themselves."""
    return bool(unit.orders) and unit.orders[0].ability == ATTACK


def _pick(world: World, mine: list[Unit], foes: list[Unit]) -> None:
    """Let units engage the nearest foe; those that fight back come before buildings."""
    here = np.array([(unit.x, unit.y) for unit in mine])
    there = np.array([(unit.x, unit.y) for unit in foes])
    distance = np.hypot(here[:, None, 0] - there[None, :, 0], here[:, None, 1] - there[None, :, 1])
    harmless = np.array([0.0 if unit.facts.weapons else 4.0 for unit in foes])
    reach = np.array([max(unit.facts.sight, max(w.range for w in unit.facts.weapons) + 2.0) for unit in mine])
    for row in np.nonzero((distance <= reach[:, None]).any(axis=1))[0]:
        unit = mine[row]
        for column in np.argsort(distance[row] + harmless, kind="stable")[:8]:
            foe = foes[column]
            if distance[row, column] > reach[row]:
                continue
            if unit.attacks(foe) and _can_see(world, unit, foe):
                if not unit.facts.mobile and distance[row, column] > _range(unit, foe):
                    continue
                unit.engaged = foe.tag
                world.wake(unit, 1)
                break


def _range(unit: Unit, foe: Unit) -> float:
    weapon = weapon_against(unit, foe)
    return weapon.range + unit.facts.radius + foe.facts.radius if weapon is not None else 0.0


def call_to_attack(world: World, unit: Unit, target: Unit) -> None:
    """Order a unit to attack another."""
    world.give(unit, Order(ATTACK, target=target.tag), queue=False)
