from __future__ import annotations

import math

import pytest
from s2clientprotocol import error_pb2

from tests.envs.starcraft2.standin.clients import interface
from tests.starcraft2_standin import combat, commands, economy, production
from tests.starcraft2_standin.facts import ABILITIES, ATTACK, MOVE, UNITS
from tests.starcraft2_standin.observation import View
from tests.starcraft2_standin.raw_units import build, visible_units
from tests.starcraft2_standin.unit import Player, Unit
from tests.starcraft2_standin.world import World

TERRAN, ZERG, PROTOSS = 1, 2, 3
MARINE, ZERGLING, ROACH, STALKER, DRONE, LARVA, SIEGE_TANK = 48, 105, 110, 74, 104, 151, 33


def game(races: tuple[int, int] = (TERRAN, ZERG), seed: int = 3, difficulty: int = 0, name: str = "Simple64") -> World:
    """A game of a human who does nothing (or of two scripts)."""
    human = difficulty == 0
    players = [
        Player(1, races[0], races[0], human, difficulty=difficulty),
        Player(2, races[1], races[1], human, difficulty=difficulty),
    ]
    return World(name, players, seed)


def fingerprint(world: World) -> list[object]:
    units = []
    for unit in world.units.values():
        units.append((unit.tag, unit.type, *unit.locate(world.loop), unit.health, unit.minerals, len(unit.orders)))
    return [world.loop, *units, *((p.minerals, p.vespene, p.score.collected_minerals) for p in world.players.values())]


def field(*types: tuple[int, int, float, float]) -> tuple[World, list[Unit]]:
    """A mini-game map with only these units (type, owner, x, y) on it, and no rules."""
    world = World("MoveToBeacon", [Player(1, 1, 1, True), Player(2, 2, 2, True)], 0)
    world.mini_game = None
    for unit in list(world.units.values()):
        world.remove(unit)
    for owner, x in ((1, 17.0), (2, 47.0)):
        world.create(19, owner, x, 19.0)
    return world, [world.create(unit_type, owner, x, y) for unit_type, owner, x, y in types]


def test_the_same_seed_gives_the_same_game_whatever_the_steps() -> None:
    one, other = game(difficulty=6), game(difficulty=6)
    one.step(3000)
    while other.loop < 3000:
        other.step(1 + other.loop % 7)
        for unit in other.units.values():
            unit.locate(other.loop)
    other.step(3000 - other.loop)
    one.step(other.loop - one.loop)
    assert fingerprint(one) == fingerprint(other)
    different = game(difficulty=6, seed=4)
    different.step(one.loop)
    assert fingerprint(one) != fingerprint(different)


@pytest.mark.parametrize("race", [TERRAN, ZERG, PROTOSS])
def test_money_is_neither_made_nor_lost(race: int) -> None:
    world = game((race, race), difficulty=7)
    for _ in range(12):
        world.step(400)
        for player in world.players.values():
            score = player.score
            assert player.minerals == pytest.approx(50 + score.collected_minerals - score.spent_minerals)
            assert player.vespene == pytest.approx(score.collected_vespene - score.spent_vespene)
            assert player.minerals >= 0
    taken = sum(1800 if u.type == 341 else 900 for u in world.neutrals if u.minerals) - sum(
        u.minerals for u in world.neutrals
    )
    carried = sum(u.carried[0] for u in world.units.values())
    assert taken + 1000 >= sum(p.score.collected_minerals for p in world.players.values()) + carried - 5000
    assert sum(p.score.collected_minerals for p in world.players.values()) > 3000


def test_twelve_workers_harvest_about_as_much_as_in_the_game() -> None:
    world = game()
    world.step(1344)
    assert 600 <= world.players[1].score.collected_minerals <= 1000


def test_more_workers_than_fields_can_take_bring_little_more() -> None:
    incomes = []
    for extra in (0, 4, 24):
        world = game()
        hall = next(u for u in world.of(1) if u.facts.town_hall)
        for _ in range(extra):
            economy.send_to_mine(world, world.create(45, 1, hall.x + 3, hall.y))
        world.step(2000)
        incomes.append(world.players[1].score.collected_minerals)
    assert incomes[1] > incomes[0]
    assert incomes[2] - incomes[1] < 0.5 * (incomes[1] - incomes[0])


def test_training_takes_the_time_and_supply_of_the_table() -> None:
    world = game()
    player = world.players[1]
    player.minerals = 500
    hall = next(u for u in world.of(1) if u.facts.town_hall)
    results = [commands.command(world, 1, 524, [hall.tag]) for _ in range(6)]
    assert results == [error_pb2.Success] * 5 + [error_pb2.QueueIsFull]
    assert world.supply(1)[0] == 13, "what waits in the queue holds no supply"
    world.step(UNITS[45].build_loops - 1)
    assert world.supply(1)[2] == 12
    world.step(1)
    assert world.supply(1)[2] == 13
    world.step(5 * UNITS[45].build_loops)
    assert world.supply(1)[:2] == (15, 15), "production stops at the cap"


def test_cancel_gives_the_price_back() -> None:
    world = game()
    world.players[1].minerals = 100
    hall = next(u for u in world.of(1) if u.facts.town_hall)
    commands.command(world, 1, 524, [hall.tag])
    assert world.players[1].minerals == 50
    assert commands.command(world, 1, 3659, [hall.tag]) == error_pb2.Success
    assert world.players[1].minerals == 100
    assert not hall.orders


def test_larvae_become_pairs_of_zerglings_and_grow_back() -> None:
    world = game((ZERG, TERRAN))
    world.players[1].minerals = 300
    hall = next(u for u in world.of(1) if u.facts.town_hall)
    larvae = economy.larvae(world, hall)
    assert commands.command(world, 1, 1343, [larvae[0].tag]) == error_pb2.TechRequirementsNotMet
    pool = world.create(89, 1, hall.x + 6, hall.y)
    assert pool.finished(world.loop)
    assert commands.command(world, 1, 1343, [larvae[0].tag]) == error_pb2.Success
    assert world.players[1].minerals == 250
    world.step(UNITS[ZERGLING].build_loops + 1)
    assert sum(u.type == ZERGLING for u in world.of(1)) == 2
    world.step(400)
    assert len(economy.larvae(world, hall)) == 3


def test_buildings_need_power_creep_and_room() -> None:
    world = game((PROTOSS, ZERG))
    probe = next(u for u in world.of(1) if u.facts.worker)
    drone = next(u for u in world.of(2) if u.facts.worker)
    for player in world.players.values():
        player.minerals = 1000
    middle = (44.5, 48.5)
    assert commands.command(world, 1, 883, [probe.tag], middle) == error_pb2.TechRequirementsNotMet
    world.create(60, 1, 44.0, 45.0)
    assert commands.command(world, 1, 883, [probe.tag], (52.5, 45.5)) == error_pb2.CantBuildTooFarFromBuildPowerSource
    assert commands.command(world, 1, 883, [probe.tag], (44.5, 45.5)) == error_pb2.CantBuildLocationInvalid
    assert commands.command(world, 1, 883, [probe.tag], middle) == error_pb2.Success
    assert commands.command(world, 2, 1155, [drone.tag], middle) == error_pb2.CantBuildTooFarFromCreepSource
    hall = next(u for u in world.of(2) if u.facts.town_hall)
    toward = (hall.x + math.copysign(7, 44 - hall.x), hall.y)
    assert commands.command(world, 2, 1155, [drone.tag], toward) == error_pb2.Success
    world.step(300)
    assert not drone.alive, "it became the building"
    assert any(u.type == 89 for u in world.of(2))


def test_a_tech_lab_is_needed_for_marauders() -> None:
    world = game()
    world.players[1].minerals = world.players[1].vespene = 1000
    barracks = world.create(21, 1, 44.0, 48.0)
    assert commands.command(world, 1, 563, [barracks.tag]) == error_pb2.TechRequirementsNotMet
    assert commands.command(world, 1, 3682, [barracks.tag]) == error_pb2.Success
    assert commands.command(world, 1, 560, [barracks.tag]) != error_pb2.QueueIsFull
    world.step(UNITS[37].build_loops + 1)
    assert commands.command(world, 1, 563, [barracks.tag]) == error_pb2.Success


def test_research_is_done_once() -> None:
    world = game()
    player = world.players[1]
    player.minerals = player.vespene = 1000
    bay = world.create(22, 1, 44.0, 48.0)
    ability = next(a for a in bay.facts.abilities if ABILITIES[a].kind == "Research" and not ABILITIES[a].requires)
    assert commands.command(world, 1, ability, [bay.tag]) == error_pb2.Success
    assert commands.command(world, 1, ability, [bay.tag]) == error_pb2.NotSupported
    world.step(production.duration(bay, ABILITIES[ability]) + 1)
    assert player.upgrades == {ABILITIES[ability].product}


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
