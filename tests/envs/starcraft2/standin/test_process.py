"""The real process, as a client starts it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from s2clientprotocol import sc2api_pb2 as sc_pb

from tests.envs.starcraft2.standin.clients import MOVE, SCV, TERRAN, interface, units_of
from tests.envs.starcraft2.standin.processes import ANSWER_SECONDS, START_SECONDS, Game, create, free_port, websocket
from tests.starcraft2_standin.version import GAME_VERSION


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
        if round_number:
            joined = guest_first(games, join)
        else:
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


def guest_first(games: list[Game], join: sc_pb.RequestJoinGame) -> list[sc_pb.Response]:
    """Join with the guest ahead, who must not end up in the game before."""
    answers: list[sc_pb.Response] = []
    guest = threading.Thread(target=lambda: answers.append(games[1].ask(join_game=join)))
    guest.start()
    time.sleep(0.2)
    host = games[0].ask(join_game=join)
    guest.join(ANSWER_SECONDS)
    return [host, *answers]


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
