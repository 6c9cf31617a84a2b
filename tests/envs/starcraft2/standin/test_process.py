"""The real process, as a client starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from s2clientprotocol import sc2api_pb2 as sc_pb

from tests.envs.starcraft2.standin.clients import MOVE, PROTOSS, SCV, TERRAN, interface, units_of
from tests.starcraft2_standin.version import GAME_VERSION

websocket = pytest.importorskip("websocket", reason="websocket-client comes with pysc2")

START_SECONDS, ANSWER_SECONDS = 30.0, 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Game:
    """A process and a connection that speaks as pysc2's does: protobufs in TEXT frames."""

    def __init__(self, installation: Path, **environment: str):
        self.port = free_port()
        program = installation / "Versions" / "Base75689" / "SC2_x64"
        arguments = [
            "-listen",
            "127.0.0.1",
            "-port",
            str(self.port),
            "-dataDir",
            f"{installation}/",
            "-headlessNoRender",
        ]
        self.process = subprocess.Popen(
            [str(program), *arguments], env={**os.environ, **environment}, stderr=subprocess.DEVNULL
        )
        self.socket: Any = None

    def connect(self, path: str = "/sc2api", timeout: float = ANSWER_SECONDS) -> Game:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.socket = websocket.create_connection(f"ws://127.0.0.1:{self.port}{path}", timeout=timeout)
                return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def raw(self, **request: Any) -> bytes:
        self.socket.send(sc_pb.Request(**request).SerializeToString(), opcode=websocket.ABNF.OPCODE_TEXT)
        answer: bytes = self.socket.recv()
        return answer

    def ask(self, **request: Any) -> sc_pb.Response:
        return sc_pb.Response.FromString(self.raw(**request))

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def start(installation: Path) -> Iterator[Callable[..., Game]]:
    games: list[Game] = []

    def start_one(**environment: str) -> Game:
        games.append(Game(installation, **environment))
        return games[-1]

    yield start_one
    for game in games:
        game.close()


def create(players: int, **fields: Any) -> sc_pb.RequestCreateGame:
    request = sc_pb.RequestCreateGame(random_seed=5, **fields)
    request.local_map.map_path = "Melee/Simple64.SC2Map"
    for _ in range(players):
        request.player_setup.add(type=sc_pb.Participant)
    if players == 1:
        request.player_setup.add(type=sc_pb.Computer, race=PROTOSS, difficulty=sc_pb.Easy)
    return request


def faults(*lines: dict[str, object], **plan: object) -> dict[str, str]:
    return {"STARCRAFT2_STANDIN_FAULTS": json.dumps({"seed": 1, "faults": list(lines), **plan})}


def test_a_game_over_the_socket(start: Callable[..., Game]) -> None:
    game = start().connect()
    assert game.ask(ping={}).ping.game_version == GAME_VERSION
    assert game.ask(create_game=create(1)).status == sc_pb.init_game
    game.ask(join_game=sc_pb.RequestJoinGame(race=TERRAN, options=interface()))
    for loop in (8, 16, 24):
        assert game.ask(step=sc_pb.RequestStep(count=8)).step.simulation_loop == loop
        answer = game.ask(observation={}, id=7)
        assert (answer.id, answer.observation.observation.game_loop) == (7, loop)
    game.socket.send(sc_pb.Request(quit={}).SerializeToString())
    assert game.process.wait(10) == 0


def test_another_path_is_not_found(start: Callable[..., Game]) -> None:
    game = start().connect()
    game.socket.close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
        game.connect(path="/other")


def test_a_dropped_client_finds_its_game_again(start: Callable[..., Game]) -> None:
    game = start().connect()
    game.ask(create_game=create(1))
    game.socket.close()
    game.connect()
    assert game.ask(ping={}).status == sc_pb.init_game
    game.ask(join_game=sc_pb.RequestJoinGame(race=TERRAN, options=interface()))
    game.ask(step=sc_pb.RequestStep(count=8))
    game.socket.shutdown()
    game.connect()
    assert game.ask(observation={}).observation.observation.game_loop == 8


def test_it_ends_when_told_to(start: Callable[..., Game]) -> None:
    game = start().connect()
    game.process.send_signal(signal.SIGTERM)
    assert game.process.wait(10) == 0


def test_it_does_not_outlive_its_parent(installation: Path) -> None:
    port = free_port()
    program = installation / "Versions" / "Base75689" / "SC2_x64"
    script = (
        "import subprocess, sys, time\n"
        "game = subprocess.Popen([sys.argv[1], '-port', sys.argv[2]])\n"
        "print(game.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(program), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        deadline = time.monotonic() + START_SECONDS
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent.kill()
    while Path(f"/proc/{pid}").exists():
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        if state == "Z":
            break
        assert time.monotonic() < deadline, "an orphan"
        time.sleep(0.05)


def test_two_processes_play_one_game(start: Callable[..., Game]) -> None:
    games = [start().connect(), start().connect()]
    ports = [free_port() for _ in range(4)]
    for round_number in range(2):
        assert games[0].ask(create_game=create(2)).status == sc_pb.init_game
        join = sc_pb.RequestJoinGame(race=TERRAN, options=interface())
        join.server_ports.game_port, join.server_ports.base_port = ports[:2]
        join.client_ports.add(game_port=ports[2], base_port=ports[3])
        joined = both(lambda game, join=join: game.ask(join_game=join), games)
        assert [answer.join_game.player_id for answer in joined] == [1, 2]
        assert [answer.status for answer in joined] == [sc_pb.in_game] * 2
        for loop in range(1, 6):
            both(lambda game: game.ask(step=sc_pb.RequestStep(count=1)), games)
            seen = [game.ask(observation={}).observation for game in games]
            assert [o.observation.game_loop for o in seen] == [loop] * 2
            assert [o.observation.player_common.player_id for o in seen] == [1, 2]
        scv = units_of(seen[1], SCV)[0]
        action = sc_pb.Action()
        action.action_raw.unit_command.ability_id = MOVE
        action.action_raw.unit_command.unit_tags.append(scv.tag)
        action.action_raw.unit_command.target_world_space_pos.x = 40
        action.action_raw.unit_command.target_world_space_pos.y = 40
        assert list(games[1].ask(action=sc_pb.RequestAction(actions=[action])).action.result) == [1]
        echoes = []
        for _ in range(2):
            both(lambda game: game.ask(step=sc_pb.RequestStep(count=1)), games)
            echoes.append(len(games[1].ask(observation={}).observation.actions))
        assert echoes == [0, 1], "over a network an action takes one loop more"
        assert games[0].ask(leave_game={}).status == sc_pb.launched
        games[1].ask(step=sc_pb.RequestStep(count=1))
        answer = games[1].ask(observation={})
        assert answer.status == sc_pb.ended
        assert {r.player_id: r.result for r in answer.observation.player_result} == {1: 2, 2: 1}
        assert games[1].ask(leave_game={}).status == sc_pb.launched, f"round {round_number}"


def both(ask: Callable[[Game], Any], games: list[Game]) -> list[Any]:
    answers: list[Any] = [None, None]

    def one(k: int) -> None:
        answers[k] = ask(games[k])

    threads = [threading.Thread(target=one, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWER_SECONDS)
    return answers


def test_a_realtime_game_runs_by_itself(start: Callable[..., Game]) -> None:
    game = start().connect()
    game.ask(create_game=create(1, realtime=True))
    game.ask(join_game=sc_pb.RequestJoinGame(race=TERRAN, options=interface()))
    assert game.ask(step=sc_pb.RequestStep(count=1)).error
    answer = game.ask(observation=sc_pb.RequestObservation(game_loop=10))
    assert answer.observation.observation.game_loop >= 10


def test_crash(start: Callable[..., Game]) -> None:
    game = start(**faults({"kind": "crash", "at_request": 2, "request": "ping"})).connect()
    assert game.ask(ping={}).HasField("ping")
    assert game.ask(available_maps={}).HasField("available_maps")
    game.socket.send(sc_pb.Request(ping={}).SerializeToString())
    assert _is_closed(game)
    assert game.process.wait(10) == 1


def _is_closed(game: Game) -> bool:
    try:
        return not game.socket.recv()
    except (websocket.WebSocketException, OSError):
        return True


def test_hang(start: Callable[..., Game]) -> None:
    game = start(**faults({"kind": "hang", "at_request": 1})).connect(timeout=0.5)
    with pytest.raises(websocket.WebSocketTimeoutException):
        game.raw(ping={})
    assert game.process.poll() is None


def test_a_frozen_game_ends_only_by_force(start: Callable[..., Game]) -> None:
    game = start(**faults({"kind": "freeze", "at_request": 1})).connect(timeout=0.3)
    with pytest.raises(websocket.WebSocketTimeoutException):
        game.raw(ping={})
    game.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        game.process.wait(1.0)
    game.process.kill()
    assert game.process.wait(10) == -signal.SIGKILL


def test_garbage(start: Callable[..., Game]) -> None:
    game = start(**faults({"kind": "garbage", "probability": 1.0})).connect()
    answer = game.raw(ping={}, id=3)
    assert len(answer) == 64


def test_slow(start: Callable[..., Game]) -> None:
    game = start(**faults({"kind": "slow", "at_request": 1, "seconds": 0.3})).connect()
    began = time.monotonic()
    assert game.ask(ping={}).HasField("ping")
    assert time.monotonic() - began >= 0.3


def test_another_version(start: Callable[..., Game]) -> None:
    assert start(**faults(version="5.0.14.93333")).connect().ask(ping={}).ping.game_version == "5.0.14.93333"


def test_a_plan_in_the_installation_is_found_and_checked(tmp_path: Path) -> None:
    from tests.starcraft2_standin.faults import load

    assert load(tmp_path).draw("step") is None
    lines = [{"kind": "hang", "probability": 0.25, "request": "step"}, {"kind": "slow", "at_request": 9}]
    plan = {"seed": 2, "same_everywhere": True, "faults": lines}
    (tmp_path / "faults.json").write_text(json.dumps(plan))
    drawn = [
        [fault.kind if (fault := plan.draw("step")) else "" for _ in range(400)] for plan in map(load, [tmp_path] * 2)
    ]
    assert drawn[0] == drawn[1]
    assert 60 < drawn[0].count("hang") < 140
    other = load(tmp_path)
    assert [bool(other.draw("ping")) for _ in range(10)] == [False] * 8 + [True, False]
    (tmp_path / "faults.json").write_text('{"faults": [{"kind": "explode"}]}')
    with pytest.raises(ValueError, match="explode"):
        load(tmp_path)
