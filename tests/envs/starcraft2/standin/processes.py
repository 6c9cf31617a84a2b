"""The real process and a connection to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from s2clientprotocol import sc2api_pb2 as sc_pb

from tests.envs.starcraft2.standin.clients import PROTOSS

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
