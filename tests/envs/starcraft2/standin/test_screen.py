"""Playing by screen, minimap and panels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from s2clientprotocol import sc2api_pb2 as sc_pb
from s2clientprotocol import spatial_pb2, ui_pb2

from tests.envs.starcraft2.standin.clients import COMMAND_CENTER, MARINE, MOVE, SCV, TRAIN_SCV, Client, units_of

SIZE = 64


@pytest.fixture
def player(client: Client) -> Client:
    options = sc_pb.InterfaceOptions(raw=True)
    options.feature_layer.width = 24
    options.feature_layer.resolution.x = options.feature_layer.resolution.y = SIZE
    options.feature_layer.minimap_resolution.x = options.feature_layer.minimap_resolution.y = SIZE
    client.play(map_name="Melee/Flat64", options=options)
    client.step(4)
    return client


def screen(client: Client, layer: str) -> np.ndarray[Any, Any]:
    image = getattr(client.observe().observation.feature_layer_data.renders, layer)
    kinds = {8: np.uint8, 32: np.int32}
    if image.bits_per_pixel == 1:
        bits = np.unpackbits(np.frombuffer(image.data, np.uint8))
        return bits[: SIZE * SIZE].reshape(SIZE, SIZE)
    return np.frombuffer(image.data, kinds[image.bits_per_pixel]).reshape(image.size.y, image.size.x)


def act(client: Client, action: sc_pb.Action) -> int:
    result = client.ask(action=sc_pb.RequestAction(actions=[action])).action.result[0]
    client.step(1)
    return int(result)


def click(client: Client, x: int, y: int, kind: int = spatial_pb2.ActionSpatialUnitSelectionPoint.Select) -> None:
    action = sc_pb.Action()
    point = action.action_feature_layer.unit_selection_point
    point.type, point.selection_screen_coord.x, point.selection_screen_coord.y = kind, x, y
    act(client, action)


def chosen(client: Client) -> list[int]:
    return [unit.tag for unit in client.observe().observation.raw_data.units if unit.is_selected]


def a_pixel(client: Client, unit_type: int) -> tuple[int, int]:
    rows, columns = (screen(client, "unit_type") == unit_type).nonzero()
    return int(columns[len(columns) // 2]), int(rows[len(rows) // 2])


def test_the_screen_shows_what_stands_before_the_camera(player: Client) -> None:
    types, relative = screen(player, "unit_type"), screen(player, "player_relative")
    assert types[SIZE // 2, SIZE // 2] == COMMAND_CENTER
    assert relative[SIZE // 2, SIZE // 2] == 1
    assert set(np.unique(types)) >= {0, COMMAND_CENTER, SCV, 341, 342, 483}
    assert (relative[types == 341] == 3).all()
    assert screen(player, "unit_hit_points")[SIZE // 2, SIZE // 2] == 1500
    assert screen(player, "visibility_map")[SIZE // 2, SIZE // 2] == 2


def test_a_click_selects_and_offers_abilities(player: Client) -> None:
    assert not player.observe().observation.abilities
    click(player, *a_pixel(player, COMMAND_CENTER))
    hall = units_of(player.observe(), COMMAND_CENTER)[0]
    assert chosen(player) == [hall.tag]
    observation = player.observe().observation
    assert TRAIN_SCV in [ability.ability_id for ability in observation.abilities]
    assert observation.ui_data.single.unit.unit_type == COMMAND_CENTER
    action = sc_pb.Action()
    action.action_feature_layer.unit_command.ability_id = TRAIN_SCV
    assert act(player, action) == 1
    observation = player.observe().observation
    assert observation.ui_data.production.production_queue[0].ability_id == TRAIN_SCV
    assert observation.player_common.minerals < 50
    kinds = spatial_pb2.ActionSpatialUnitSelectionPoint
    click(player, *a_pixel(player, SCV), kind=kinds.AllType)
    assert len(chosen(player)) > 1
    assert len(player.observe().observation.ui_data.multi.units) == len(chosen(player))


def test_a_screen_order_is_told_in_both_forms(player: Client) -> None:
    click(player, *a_pixel(player, SCV))
    player.observe()
    action = sc_pb.Action()
    command = action.action_feature_layer.unit_command
    command.ability_id = MOVE
    x, y = a_pixel(player, 0)
    command.target_screen_coord.x, command.target_screen_coord.y = x, y
    assert act(player, action) == 1
    observation = player.observe()
    (told,) = observation.actions
    assert told.action_feature_layer.unit_command.target_screen_coord == command.target_screen_coord
    assert told.action_raw.unit_command.ability_id == 16
    (tag,) = told.action_raw.unit_command.unit_tags
    unit = next(unit for unit in observation.observation.raw_data.units if unit.tag == tag)
    place, camera = unit.orders[0].target_world_space_pos, observation.observation.raw_data.player.camera
    assert (place.x - camera.x, camera.y - place.y) == pytest.approx(((x - 31.5) * 24 / 64, (y - 31.5) * 24 / 64))


def test_a_rectangle_prefers_units_to_buildings(player: Client) -> None:
    action = sc_pb.Action()
    corners = action.action_feature_layer.unit_selection_rect.selection_screen_coord.add()
    corners.p1.x = corners.p1.y = SIZE - 1
    act(player, action)
    tags = {unit.tag for unit in units_of(player.observe(), SCV)}
    assert set(chosen(player)) == tags


def test_the_minimap_moves_the_camera(player: Client) -> None:
    action = sc_pb.Action()
    centre = action.action_feature_layer.camera_move.center_minimap
    centre.x, centre.y = 32, 32
    act(player, action)
    camera = player.observe().observation.raw_data.player.camera
    assert (camera.x, camera.y) == pytest.approx((32.5 * 96 / 64, 96 - 32.5 * 96 / 64))
    assert not (screen(player, "unit_type") == COMMAND_CENTER).any()


def test_panels(player: Client) -> None:
    army = sc_pb.Action(action_ui=ui_pb2.ActionUI(select_army=ui_pb2.ActionSelectArmy()))
    act(player, army)
    assert chosen(player) == []
    world = player.session.current[1].world
    marines = [world.create(MARINE, 1, 44.0, 48.0).tag for _ in range(3)]
    act(player, army)
    assert chosen(player) == marines
    group = ui_pb2.ActionControlGroup(control_group_index=4, action=ui_pb2.ActionControlGroup.Set)
    act(player, sc_pb.Action(action_ui=ui_pb2.ActionUI(control_group=group)))
    told = player.observe().observation.ui_data.groups
    assert [(g.control_group_index, g.leader_unit_type, g.count) for g in told] == [(4, MARINE, 3)]
    panel = ui_pb2.ActionMultiPanel(type=ui_pb2.ActionMultiPanel.SingleSelect, unit_index=1)
    act(player, sc_pb.Action(action_ui=ui_pb2.ActionUI(multi_panel=panel)))
    assert chosen(player) == marines[1:2]
    group.action = ui_pb2.ActionControlGroup.Recall
    act(player, sc_pb.Action(action_ui=ui_pb2.ActionUI(control_group=group)))
    assert chosen(player) == marines
    idle = ui_pb2.ActionSelectIdleWorker(type=ui_pb2.ActionSelectIdleWorker.All)
    act(player, sc_pb.Action(action_ui=ui_pb2.ActionUI(select_idle_worker=idle)))
    assert chosen(player) == marines, "no worker is idle"


def test_render_is_a_picture(client: Client) -> None:
    options = sc_pb.InterfaceOptions()
    options.render.resolution.x, options.render.resolution.y = 40, 30
    options.render.minimap_resolution.x = options.render.minimap_resolution.y = 16
    client.play(options=options)
    data = client.observe().observation.render_data
    picture = np.frombuffer(data.map.data, np.uint8).reshape(30, 40, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3
    assert len(data.minimap.data) == 16 * 16 * 3
