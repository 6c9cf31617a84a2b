from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from s2clientprotocol import sc2api_pb2 as sc_pb

from tests.envs.starcraft2.standin.processes import Game, faults, websocket
from tests.starcraft2_standin.faults import load


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
