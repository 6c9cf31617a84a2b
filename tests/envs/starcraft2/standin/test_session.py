from __future__ import annotations

import numpy as np
import pytest
from s2clientprotocol import debug_pb2, error_pb2, query_pb2, raw_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from tests.envs.starcraft2.standin.clients import (
    ATTACK,
    BARRACKS,
    BUILD_BARRACKS,
    BUILD_SUPPLY_DEPOT,
    COMMAND_CENTER,
    MARINE,
    MOVE,
    SCV,
    TRAIN_SCV,
    ZERG,
    Client,
    interface,
    units_of,
)
from tests.starcraft2_standin.version import MARK


def test_every_answer_carries_the_request_id_and_a_status(client: Client) -> None:
    for number in (1, 2, 3):
        answer = client.ask(ping=sc_pb.RequestPing())
        assert (answer.id, answer.status) == (number, sc_pb.launched)
    assert (
        client.session.handle(b"\xff\xff")
        == sc_pb.Response.FromString(client.session.handle(b"\xff\xff")).SerializeToString()
    )


def test_versions_bear_the_mark(client: Client) -> None:
    ping = client.ask(ping=sc_pb.RequestPing()).ping
    assert ping.data_version.startswith(MARK)
    assert ping.game_version.startswith("4.10.0.")
    assert MARK in ping.game_version
    assert ping.base_build == 75689
    client.play()
    assert MARK in client.ask(game_info=sc_pb.RequestGameInfo()).game_info.mod_names


@pytest.mark.parametrize("kind", ["step", "observation", "action", "game_info", "save_replay", "leave_game", "debug"])
def test_game_requests_are_refused_outside_a_game(client: Client, kind: str) -> None:
    answer = client.ask(**{kind: {}})
    assert answer.error
    assert answer.status == sc_pb.launched
    assert answer.WhichOneof("response") is None


def test_create_game_names_what_is_missing(client: Client) -> None:
    errors = sc_pb.ResponseCreateGame
    assert client.ask(create_game=sc_pb.RequestCreateGame()).create_game.error == errors.MissingMap
    request = sc_pb.RequestCreateGame(local_map=sc_pb.LocalMap(map_path="Melee/NoSuch.SC2Map"))
    assert client.ask(create_game=request).create_game.error == errors.InvalidMapPath
    request.local_map.map_path = "Melee/../../secrets.SC2Map"
    assert client.ask(create_game=request).create_game.error == errors.InvalidMapPath
    request.local_map.map_path = "Melee/Flat64.SC2Map"
    assert client.ask(create_game=request).create_game.error == errors.MissingPlayerSetup
    assert "No game to join" in client.ask(join_game=sc_pb.RequestJoinGame()).error[0]


def test_a_game_can_be_created_while_another_is_on(client: Client) -> None:
    client.play(seed=1)
    client.step(100)
    client.play(map_name="Melee/Flat64", seed=2)
    assert client.observe().observation.game_loop == 0
    assert client.ask(game_info=sc_pb.RequestGameInfo()).game_info.map_name.startswith("Flat64")


def test_game_info_echoes_the_options(client: Client) -> None:
    options = client.play(options=interface(raw_crop_to_playable_area=True))
    info = client.ask(game_info=sc_pb.RequestGameInfo()).game_info
    assert info.options == options
    assert (info.start_raw.map_size.x, info.start_raw.map_size.y) == (64, 64)
    assert [player.race_requested for player in info.player_info] == [1, 3]
    assert info.player_info[1].difficulty == sc_pb.VeryEasy
    area = info.start_raw.playable_area
    assert (area.p0.x, area.p0.y, area.p1.x, area.p1.y) == (0, 0, 64, 64)


def test_cropping_shifts_positions_and_orders(installation, client: Client) -> None:
    other = Client(installation)
    client.play(options=interface())
    other.play(options=interface(raw_crop_to_playable_area=True))
    whole, cropped = (units_of(c.observe(), COMMAND_CENTER)[0].pos for c in (client, other))
    assert (whole.x - cropped.x, whole.y - cropped.y) == (12, 16)
    for player, place in ((client, (42.0, 46.0)), (other, (30.0, 30.0))):
        scv = units_of(player.observe(), SCV)[0]
        assert player.order(MOVE, [scv.tag], place) == error_pb2.Success
        player.step(2)
        target = next(u for u in units_of(player.observe(), SCV) if u.tag == scv.tag).orders[0].target_world_space_pos
        assert (target.x, target.y) == place


def test_step_reaches_the_asked_loop(client: Client) -> None:
    client.play()
    for loops, expected in ((1, 1), (7, 8), (16, 24)):
        assert client.step(loops).step.simulation_loop == expected
        assert client.observe().observation.game_loop == expected


def test_grids_have_the_size_of_the_map(client: Client) -> None:
    client.play()
    info = client.ask(game_info=sc_pb.RequestGameInfo()).game_info.start_raw
    cells = info.map_size.x * info.map_size.y
    assert info.pathing_grid.bits_per_pixel == 1
    assert len(info.pathing_grid.data) == cells // 8
    assert info.terrain_height.bits_per_pixel == 8
    assert len(info.terrain_height.data) == cells
    observation = client.observe().observation
    visibility = np.frombuffer(observation.raw_data.map_state.visibility.data, np.uint8)
    visibility = visibility.reshape(info.map_size.y, info.map_size.x)
    for unit in observation.raw_data.units:
        if unit.alliance == raw_pb2.Self:
            assert visibility[int(unit.pos.y), int(unit.pos.x)] == 2
    assert visibility.min() == 0


def test_minimap_shows_own_units_where_they_are(client: Client) -> None:
    client.play()
    observation = client.observe().observation
    image = observation.feature_layer_data.minimap_renders.player_relative
    relative = np.frombuffer(image.data, np.uint8).reshape(image.size.y, image.size.x)
    scale = 64 / 96
    for unit in observation.raw_data.units:
        if unit.alliance == raw_pb2.Self:
            assert relative[int((96 - unit.pos.y) * scale), int(unit.pos.x * scale)] == 1
    assert not observation.feature_layer_data.renders.HasField("unit_type")


@pytest.mark.parametrize("race", [1, 2, 3])
def test_a_game_starts_with_a_town_hall_and_twelve_workers(client: Client, race: int) -> None:
    client.play(race=race)
    common = client.observe().observation.player_common
    assert (common.minerals, common.vespene, common.food_workers) == (50, 0, 12)
    assert common.food_cap == {1: 15, 2: 14, 3: 15}[race]
    assert common.larva_count == (3 if race == ZERG else 0)


def test_actions_come_back_after_one_loop(client: Client) -> None:
    client.play(options=interface(), map_name="Melee/Flat64")
    client.step(10)
    client.observe()
    scv = units_of(client.observe(), SCV)[0]
    assert client.order(ATTACK, [scv.tag], (40.0, 40.0)) == error_pb2.Success
    assert not client.observe().actions
    client.step(1)
    actions = client.observe().actions
    assert [action.action_raw.unit_command.ability_id for action in actions] == [23]
    assert actions[0].game_loop == 10
    assert not client.observe().actions, "told once"


def test_the_camera_is_centred_at_the_start(client: Client) -> None:
    client.play()
    client.step(2)
    (action,) = client.observe().actions
    assert action.action_raw.HasField("camera_move")
    assert action.game_loop == 1


def test_commands_that_cannot_be_carried_out_are_refused(client: Client) -> None:
    client.play()
    observation = client.observe()
    hall, scv = units_of(observation, COMMAND_CENTER)[0], units_of(observation, SCV)[0]
    assert client.order(TRAIN_SCV, [scv.tag]) == error_pb2.NotSupported
    assert client.order(BUILD_BARRACKS, [scv.tag], (40.0, 40.0)) == error_pb2.TechRequirementsNotMet
    assert client.order(BUILD_SUPPLY_DEPOT, [scv.tag], (40.0, 40.0)) == error_pb2.NotEnoughMinerals
    assert client.order(TRAIN_SCV, [hall.tag]) == error_pb2.Success
    client.step(1)
    assert client.order(TRAIN_SCV, [hall.tag]) == error_pb2.NotEnoughMinerals
    assert client.order(MOVE, [12345], (40.0, 40.0)) == error_pb2.Error
    assert client.order(MOVE, [scv.tag], target=12345) == error_pb2.CantTargetThatUnit


def test_data_lists_what_units_and_abilities_are(client: Client) -> None:
    client.play()
    answer = client.ask(data=sc_pb.RequestData(ability_id=True, unit_type_id=True, upgrade_id=True)).data
    marine = next(unit for unit in answer.units if unit.unit_id == MARINE)
    assert (marine.name, marine.mineral_cost, marine.food_required) == ("Marine", 50, 1)
    assert marine.weapons[0].damage == 6
    general = {ability.ability_id: ability.remaps_to_ability_id for ability in answer.abilities}
    assert general[23] == ATTACK
    assert not client.ask(data=sc_pb.RequestData(buff_id=True)).data.units


def test_queries(client: Client) -> None:
    client.play()
    observation = client.observe()
    hall, scv = units_of(observation, COMMAND_CENTER)[0], units_of(observation, SCV)[0]
    request = query_pb2.RequestQuery()
    pathing = request.pathing.add(unit_tag=scv.tag)
    pathing.end_pos.x, pathing.end_pos.y = scv.pos.x + 3, scv.pos.y
    outside = request.pathing.add(unit_tag=scv.tag)
    outside.end_pos.x, outside.end_pos.y = 1, 1
    request.abilities.add(unit_tag=hall.tag)
    for x in (44.0, hall.pos.x):
        placement = request.placements.add(ability_id=BUILD_SUPPLY_DEPOT)
        placement.target_pos.x, placement.target_pos.y = x, 48.0 if x == 44.0 else hall.pos.y
    answer = client.ask(query=request).query
    assert [path.distance for path in answer.pathing] == pytest.approx([3.0, 0.0])
    assert TRAIN_SCV in [ability.ability_id for ability in answer.abilities[0].abilities]
    assert [p.result for p in answer.placements] == [error_pb2.Success, error_pb2.CantBuildLocationInvalid]


def test_the_end_of_a_game_is_told_to_all(client: Client) -> None:
    client.play()
    end = debug_pb2.DebugEndGame(end_result=debug_pb2.DebugEndGame.DeclareVictory)
    client.ask(debug=sc_pb.RequestDebug(debug=[debug_pb2.DebugCommand(end_game=end)]))
    assert client.step(8).status == sc_pb.ended
    observation = client.observe()
    assert {result.player_id: result.result for result in observation.player_result} == {1: 1, 2: 2}
    assert "Game has already ended" in client.step(1).error[0]
    assert client.ask(leave_game=sc_pb.RequestLeaveGame()).status == sc_pb.launched


def test_restart_begins_again(client: Client) -> None:
    client.play()
    client.step(500)
    assert client.ask(restart_game=sc_pb.RequestRestartGame()).status == sc_pb.in_game
    assert client.observe().observation.game_loop == 0


def test_what_a_player_builds_costs_and_takes_time(client: Client) -> None:
    client.play(map_name="Melee/Flat64")
    client.step(400)
    observation = client.observe()
    scvs = [unit.tag for unit in units_of(observation, SCV)]
    minerals = observation.observation.player_common.minerals
    assert client.order(BUILD_SUPPLY_DEPOT, scvs, (40.0, 40.0)) == error_pb2.Success
    client.step(200)
    (depot,) = units_of(client.observe(), 19)
    assert 0 < depot.build_progress < 1
    assert client.observe().observation.score.score_details.spent_minerals == 100
    client.step(480)
    observation = client.observe()
    assert units_of(observation, 19)[0].build_progress == 1
    assert observation.observation.player_common.food_cap == 23
    assert observation.observation.player_common.minerals > minerals
    assert client.order(BUILD_BARRACKS, scvs, (44.0, 44.0)) == error_pb2.Success
    client.step(250)
    assert units_of(client.observe(), BARRACKS)
