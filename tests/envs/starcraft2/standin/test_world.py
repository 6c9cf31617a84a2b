from __future__ import annotations

import math

import pytest
from s2clientprotocol import error_pb2

from tests.starcraft2_standin import commands, economy, production
from tests.starcraft2_standin.facts import ABILITIES, UNITS
from tests.starcraft2_standin.unit import Player
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
    full = sum(unit.minerals for unit in world.neutrals)
    for _ in range(12):
        world.step(400)
        for player in world.players.values():
            score = player.score
            assert player.minerals == pytest.approx(50 + score.collected_minerals - score.spent_minerals)
            assert player.vespene == pytest.approx(score.collected_vespene - score.spent_vespene)
            assert player.minerals >= 0
    taken = full - sum(unit.minerals for unit in world.neutrals)
    carried = sum(unit.carried[0] for unit in world.units.values())
    collected = sum(player.score.collected_minerals for player in world.players.values())
    assert collected + carried <= taken <= collected + carried + 500, "only the dead lose what they carry"
    assert collected > 3000


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
