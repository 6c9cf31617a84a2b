from __future__ import annotations

import math

import pytest
from s2clientprotocol import error_pb2

from tests.envs.starcraft2.standin.clients import interface
from tests.starcraft2_standin import combat, commands
from tests.starcraft2_standin.facts import ATTACK, MOVE
from tests.starcraft2_standin.observation import View
from tests.starcraft2_standin.raw_units import build, visible_units
from tests.starcraft2_standin.unit import Player, Unit
from tests.starcraft2_standin.world import World

MARINE, ZERGLING, ROACH, STALKER, DRONE, SIEGE_TANK = 48, 105, 110, 74, 104, 33


def field(*types: tuple[int, int, float, float]) -> tuple[World, list[Unit]]:
    """A mini-game map with only these units (type, owner, x, y) on it, and no rules."""
    world = World("MoveToBeacon", [Player(1, 1, 1, True), Player(2, 2, 2, True)], 0)
    world.mini_game = None
    for unit in list(world.units.values()):
        world.remove(unit)
    for owner, x in ((1, 17.0), (2, 47.0)):
        world.create(19, owner, x, 19.0)
    return world, [world.create(unit_type, owner, x, y) for unit_type, owner, x, y in types]


def test_units_arrive_exactly_and_as_fast_as_the_table_says() -> None:
    world, (marine,) = field((MARINE, 1, 20.0, 30.0))
    commands.command(world, 1, MOVE, [marine.tag], (29.0, 30.0))
    world.step(32)
    assert marine.locate(world.loop)[0] == pytest.approx(20.0 + 32 * 2.25 / 16)
    world.step(64)
    assert marine.locate(world.loop) == (29.0, 30.0)
    assert not marine.orders


def test_damage_counts_armour_bonus_and_attacks() -> None:
    world, (marine, roach, zergling, tank) = field(
        (MARINE, 1, 20.0, 30.0), (ROACH, 2, 22.0, 30.0), (ZERGLING, 2, 40.0, 40.0), (SIEGE_TANK, 1, 30.0, 40.0)
    )
    combat.strike(world, marine, roach, marine.facts.weapons[0])
    assert roach.health == roach.facts.health - (6 - 1)
    weapon = tank.facts.weapons[0]
    combat.strike(world, tank, roach, weapon)
    assert roach.health == roach.facts.health - 5 - (weapon.damage + 10 - 1)
    world.players[1].upgrades.add(7)
    combat.strike(world, marine, zergling, marine.facts.weapons[0])
    assert zergling.health == zergling.facts.health - 7


def test_shields_go_first() -> None:
    world, (stalker,) = field((STALKER, 2, 22.0, 30.0))
    combat.hurt(world, stalker, 30.0, world.players[1])
    assert (stalker.shield, stalker.health) == (80.0 - 29.0, 80.0)
    combat.hurt(world, stalker, 61.0, world.players[1])
    assert (stalker.shield, stalker.health) == (0.0, 71.0)


def test_idle_units_defend_and_ground_weapons_leave_air_alone() -> None:
    world, (marine, zergling, mutalisk) = field(
        (MARINE, 1, 30.0, 30.0), (ZERGLING, 2, 35.0, 30.0), (108, 2, 31.0, 35.0)
    )
    world.step(40)
    assert zergling.health < zergling.facts.health
    roach = world.create(ROACH, 1, 31.0, 34.0)
    assert not roach.attacks(mutalisk)
    assert commands.command(world, 1, ATTACK, [roach.tag], None, mutalisk.tag) == error_pb2.Success
    before = mutalisk.health
    marine.owner, marine.engaged = 2, 0
    world.step(60)
    assert mutalisk.health == before


def test_the_last_structure_decides() -> None:
    world, _ = field()
    world.step(64)
    assert not world.ended
    lost = next(u for u in world.of(2))
    combat.kill(world, lost, world.players[1])
    world.step(32)
    assert world.ended
    assert {p.id: p.result for p in world.players.values()} == {1: 1, 2: 2}
    assert world.players[1].score.killed_structures == 100


def test_fog_hides_units_and_remembers_structures() -> None:
    world, (marine, scout) = field((MARINE, 2, 44.0, 30.0), (MARINE, 1, 20.0, 30.0))
    view = View(world, world.players[1], interface(), sees_all=False)

    def seen() -> dict[int, int]:
        return {unit.tag: display for unit, display in visible_units(view) if unit.owner == 2}

    world.step(16)
    assert seen() == {}
    assert {d for u, d in visible_units(view, lift_fog=True) if u.owner == 2} == {3}
    depot = next(u for u in world.of(2) if u.facts.structure)
    scout.x, scout.y = depot.x - 4, depot.y
    marine.owner = 1
    world.step(32)
    assert seen()[depot.tag] == 1
    scout.x, marine.x = 20.0, 20.0
    world.step(16)
    assert seen() == {depot.tag: 2}
    combat.kill(world, depot, None)
    world.create(19, 2, 40.0, 45.0)
    world.step(16)
    assert depot.tag in seen(), "nobody saw it fall"


def visible_tags(view: View) -> dict[int, int]:
    return {unit.tag: display for unit, display in visible_units(view)}


def test_the_cloaked_need_a_detector() -> None:
    world, (templar, marine) = field((76, 2, 30.0, 30.0), (MARINE, 1, 33.0, 30.0))
    world.step(16)
    view = View(world, world.players[1], interface(), sees_all=False)
    marine.health = 1000.0
    assert visible_tags(view)[templar.tag] == 3
    assert marine.engaged == 0
    world.create(23, 1, 31.0, 34.0)
    world.step(32)
    assert visible_tags(view)[templar.tag] == 1
    assert marine.engaged == templar.tag


def test_a_medivac_takes_marines_and_puts_them_down_elsewhere() -> None:
    world, (medivac, *marines) = field((54, 1, 25.0, 30.0), (MARINE, 1, 20.0, 30.0), (MARINE, 1, 21.0, 30.0))
    for marine in marines:
        assert commands.command(world, 1, 3668, [medivac.tag], None, marine.tag) == error_pb2.Success
        world.step(60)
    assert medivac.cargo == [marine.tag for marine in marines]
    view = View(world, world.players[1], interface(), sees_all=False)
    assert {u.tag for u, _ in visible_units(view)}.isdisjoint(medivac.cargo)
    message = build(view, medivac, 1, on_screen=False)
    assert [passenger.unit_type for passenger in message.passengers] == [MARINE] * 2
    assert (message.cargo_space_taken, message.cargo_space_max) == (2, 8)
    assert commands.command(world, 1, 3669, [medivac.tag], (40.0, 40.0)) == error_pb2.Success
    world.step(200)
    assert medivac.cargo == []
    assert all(math.dist(marine.locate(world.loop), (40.0, 40.0)) < 1 for marine in marines)
    assert commands.command(world, 1, 3669, [medivac.tag], (40.0, 40.0)) == error_pb2.NoCargoToUnload


def test_passengers_walk_to_a_bunker_and_die_with_it() -> None:
    world, (bunker, marine, tank) = field((24, 1, 25.0, 30.0), (MARINE, 1, 20.0, 30.0), (692, 1, 25.0, 34.0))
    assert commands.command(world, 1, 407, [bunker.tag], None, marine.tag) == error_pb2.Success
    world.step(80)
    assert bunker.cargo == [marine.tag]
    combat.kill(world, bunker, None)
    assert not marine.alive
    assert tank.alive


def test_shields_come_back_after_a_quiet_while() -> None:
    world, (stalker,) = field((STALKER, 1, 22.0, 30.0))
    combat.hurt(world, stalker, 41.0, None)
    world.step(160)
    assert stalker.shield == 40.0
    world.step(160)
    assert stalker.shield == pytest.approx(40.0 + 20.0, abs=2.1)


def test_workers_fight_only_when_told_to() -> None:
    world, (drone, scv, depot) = field((DRONE, 2, 30.0, 30.0), (45, 1, 31.0, 30.0), (19, 2, 36.0, 30.0))
    world.step(60)
    assert drone.health == drone.facts.health
    commands.command(world, 1, ATTACK, [scv.tag], (36.0, 30.0))
    world.step(300)
    assert not drone.alive
    assert depot.health < depot.facts.health
