from __future__ import annotations

import pytest
from s2clientprotocol import debug_pb2, error_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from tests.envs.starcraft2.standin.clients import COMMAND_CENTER, MARINE, PROTOSS, Client, units_of
from tests.starcraft2_standin import combat, commands, economy, spells
from tests.starcraft2_standin.facts import MULE
from tests.starcraft2_standin.unit import Player
from tests.starcraft2_standin.world import World

ORBITAL_COMMAND, SENTRY, ARCHON, STIM = 132, 77, 141, 3675


def debug(client: Client, **command: object) -> None:
    client.ask(debug=sc_pb.RequestDebug(debug=[debug_pb2.DebugCommand(**command)]))
    client.step(1)


def create(client: Client, unit_type: int, owner: int = 1, quantity: int = 1) -> None:
    order = debug_pb2.DebugCreateUnit(unit_type=unit_type, owner=owner, quantity=quantity)
    order.pos.x, order.pos.y = 44, 48
    debug(client, create_unit=order)


def world_of(race: int) -> World:
    return World("Simple64", [Player(1, race, race, True), Player(2, 1, 1, True)], 1)


def test_stim_costs_life_and_makes_fast() -> None:
    world = world_of(1)
    marine = world.create(MARINE, 1, 44.0, 48.0)
    assert commands.command(world, 1, STIM, [marine.tag]) == error_pb2.Success
    assert marine.health == 35.0
    assert combat.speed(world, marine) == pytest.approx(1.5 * marine.facts.speed)
    world.step(spells.STIM_LOOPS + 1)
    assert combat.speed(world, marine) == pytest.approx(marine.facts.speed)
    marine.health = 10.0
    assert commands.command(world, 1, STIM, [marine.tag]) == error_pb2.NotEnoughLife


def test_a_mule_harvests_for_a_while() -> None:
    world = world_of(1)
    hall = next(unit for unit in world.of(1) if unit.facts.town_hall)
    orbital = world.create(ORBITAL_COMMAND, 1, hall.x, hall.y)
    field = economy.mineral_fields_near(world, orbital)[0]
    before = world.players[1].score.collected_minerals
    assert commands.command(world, 1, spells.CALLDOWN_MULE, [orbital.tag], None, field.tag) == error_pb2.Success
    assert commands.command(world, 1, spells.CALLDOWN_MULE, [orbital.tag], None, field.tag) == error_pb2.NotEnoughEnergy
    world.step(400)
    (mule,) = [unit for unit in world.of(1) if unit.type == MULE]
    assert world.players[1].score.collected_minerals > before
    world.step(64 * 16)
    assert not mule.alive


def test_injected_larvae_hatch() -> None:
    world = world_of(2)
    hall = next(unit for unit in world.of(1) if unit.facts.town_hall)
    queen = world.create(126, 1, hall.x + 5, hall.y)
    assert commands.command(world, 1, spells.INJECT, [queen.tag], None, hall.tag) == error_pb2.Success
    world.step(29 * 16 + 60)
    assert len(economy.larvae(world, hall)) == 6


def test_energy_comes_back_at_the_rate_of_the_game() -> None:
    world = world_of(3)
    sentry = world.create(SENTRY, 1, 44.0, 48.0)
    assert sentry.energy_now(world.loop) == 50
    world.step(160)
    assert sentry.energy_now(world.loop) == pytest.approx(50 + 10 * 0.5625)


def test_hallucinations_do_no_harm_and_pass_away() -> None:
    world = world_of(3)
    sentry = world.create(SENTRY, 1, 44.0, 48.0)
    sentry.energy = 200.0
    assert commands.command(world, 1, 146, [sentry.tag]) == error_pb2.Success
    copy = next(unit for unit in world.of(1) if unit.type == ARCHON)
    assert copy.hallucination
    enemy = world.create(MARINE, 2, copy.x + 1, copy.y)
    combat.strike(world, copy, enemy, copy.facts.weapons[0])
    assert enemy.health >= enemy.facts.health - 0.5 * copy.facts.weapons[0].attacks
    combat.kill(world, enemy, None)
    world.step(spells.HALLUCINATION_LOOPS + 1)
    assert not copy.alive


def test_a_guardian_shield_is_an_effect_that_all_see(client: Client) -> None:
    client.play(race=PROTOSS)
    create(client, SENTRY)
    (sentry,) = units_of(client.observe(), SENTRY)
    value = debug_pb2.DebugSetUnitValue(unit_value=debug_pb2.DebugSetUnitValue.Energy, value=200, unit_tag=sentry.tag)
    debug(client, unit_value=value)
    assert client.order(spells.GUARDIAN_SHIELD, [sentry.tag]) == error_pb2.Success
    client.step(2)
    observation = client.observe()
    (effect,) = observation.observation.raw_data.effects
    assert (effect.effect_id, effect.owner, effect.radius) == (2, 1, 4.5)
    (sentry,) = units_of(observation, SENTRY)
    assert list(sentry.buff_ids) == [18]
    assert 0 < sentry.buff_duration_remain <= sentry.buff_duration_max
    client.step(spells.GUARDIAN_SHIELD_LOOPS)
    assert not client.observe().observation.raw_data.effects


def test_debug_commands(client: Client) -> None:
    client.play()
    create(client, MARINE, quantity=5)
    marines = units_of(client.observe(), MARINE)
    assert len(marines) == 5
    debug(client, kill_unit=debug_pb2.DebugKillUnit(tag=[marines[0].tag]))
    observation = client.observe()
    assert len(units_of(observation, MARINE)) == 4
    assert marines[0].tag in observation.observation.raw_data.event.dead_units
    life = debug_pb2.DebugSetUnitValue(unit_value=debug_pb2.DebugSetUnitValue.Life, value=5, unit_tag=marines[1].tag)
    debug(client, unit_value=life)
    assert {unit.health for unit in units_of(client.observe(), MARINE)} == {5, 45}
    minerals = client.observe().observation.player_common.minerals
    debug(client, game_state=debug_pb2.all_resources)
    common = client.observe().observation.player_common
    assert common.minerals >= minerals + 5000
    assert common.vespene == 5000
    debug(client, game_state=debug_pb2.god)
    hall = client.session.current[1].world.units[units_of(client.observe(), COMMAND_CENTER)[0].tag]
    combat.hurt(client.session.current[1].world, hall, 500.0, None)
    assert hall.health == 1500
