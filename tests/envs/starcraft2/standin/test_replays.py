from __future__ import annotations

import io
import json

import pytest
from s2clientprotocol import debug_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from tests.envs.starcraft2.standin.clients import ATTACK, MARINE, TRAIN_SCV, Client, interface, units_of
from tests.starcraft2_standin import mpq


def state(client: Client) -> bytes:
    """Everything that the player is told of its units and resources."""
    observation = client.observe().observation
    return observation.raw_data.SerializeToString() + observation.player_common.SerializeToString()


def play_a_little(client: Client) -> dict[int, bytes]:
    """Play with orders and debug commands, and return the states met on the way."""
    client.play(seed=11, difficulty=8)
    states = {}
    for k in range(40):
        observation = client.observe()
        if k == 5:
            create = debug_pb2.DebugCreateUnit(unit_type=MARINE, owner=1, quantity=4)
            create.pos.x, create.pos.y = 44, 48
            client.ask(debug=sc_pb.RequestDebug(debug=[debug_pb2.DebugCommand(create_unit=create)]))
        halls = [unit.tag for unit in units_of(observation, 18)]
        client.order(TRAIN_SCV, halls)
        marines = [unit.tag for unit in units_of(observation, MARINE)]
        client.order(ATTACK, marines, (30.0 + k, 40.0))
        client.step(9)
        states[client.session.current[1].world.loop] = state(client)
    return states


def test_a_replay_tells_the_actions_and_ends_where_the_game_did(client: Client) -> None:
    play_a_little(client)
    data = client.ask(save_replay=sc_pb.RequestSaveReplay()).save_replay.data
    request = sc_pb.RequestStartReplay(replay_data=data, options=interface(), observed_player_id=1)
    assert client.ask(start_replay=request).status == sc_pb.in_replay
    told: list[int] = []
    observation = client.observe()
    while not observation.player_result:
        client.step(7)
        observation = client.observe()
        told += [action.action_raw.unit_command.ability_id for action in observation.actions]
        assert len(told) < 1000
    assert observation.observation.game_loop == 360
    assert TRAIN_SCV in told
    assert 23 in told, "the general attack is told as the specific one"


def test_a_replay_reaches_the_same_state(client: Client) -> None:
    states = play_a_little(client)
    data = client.ask(save_replay=sc_pb.RequestSaveReplay()).save_replay.data
    request = sc_pb.RequestStartReplay(replay_data=data, options=interface(), observed_player_id=1)
    client.ask(start_replay=request)
    previous = 0
    for loop, expected in states.items():
        client.step(loop - previous)
        previous = loop
        again = state(client)
        assert again == expected, f"differs at loop {loop}"


def test_the_other_player_can_be_watched(client: Client) -> None:
    play_a_little(client)
    data = client.ask(save_replay=sc_pb.RequestSaveReplay()).save_replay.data
    request = sc_pb.RequestStartReplay(replay_data=data, options=interface(), observed_player_id=2)
    client.ask(start_replay=request)
    client.step(100)
    observation = client.observe().observation
    assert observation.player_common.player_id == 2
    assert units_of(client.observe(), 59)
    assert "Not recording" in client.ask(save_replay=sc_pb.RequestSaveReplay()).error[0]


def test_replay_info(client: Client) -> None:
    play_a_little(client)
    data = client.ask(save_replay=sc_pb.RequestSaveReplay()).save_replay.data
    info = client.ask(replay_info=sc_pb.RequestReplayInfo(replay_data=data)).replay_info
    assert info.map_name == "Simple64"
    assert info.game_duration_loops == 360
    assert info.data_version.startswith("STANDIN")
    assert [entry.player_info.race_actual for entry in info.player_info] == [1, 3]
    assert info.player_info[0].player_apm > 0
    broken = client.ask(replay_info=sc_pb.RequestReplayInfo(replay_data=b"nonsense")).replay_info
    assert broken.error == sc_pb.ResponseReplayInfo.ParsingError
    answer = client.ask(start_replay=sc_pb.RequestStartReplay(replay_data=b"x", options=interface())).start_replay
    assert answer.error == sc_pb.ResponseStartReplay.InvalidReplayData


def test_the_archive_is_a_real_mpq() -> None:
    mpyq = pytest.importorskip("mpyq")
    files = {f"file {k}": bytes([k]) * k for k in range(1, 9)}
    files["replay.gamemetadata.json"] = json.dumps({"BaseBuild": "Base75689"}).encode()
    archive = mpq.write(files)
    reader = mpyq.MPQArchive(io.BytesIO(archive))
    assert {name: reader.read_file(name) for name in files} == files
    assert {name: mpq.read(archive, name) for name in files} == files
    with pytest.raises(ValueError, match="no file"):
        mpq.read(archive, "absent")
    with pytest.raises(ValueError, match="expected an MPQ"):
        mpq.read(b"zip", "absent")
