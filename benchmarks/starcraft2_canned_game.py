"""Stands in for StarCraft II's process with answers made beforehand, so that only the client's work is measured.

It is started by a client, as the game is: `write_installation` makes the folder that SC2PATH names.
"""

from __future__ import annotations

import argparse
import os
import shlex
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD, GAME_VERSION, DATA_VERSION = 75689, "4.10.0", "STANDIN-CANNED"
MAP = "Simple64"
_GAME_INFO, _OBSERVATION = "game_info.pb", "observation.pb"


def write_installation(folder: Path, game_info: bytes, observation: bytes) -> None:
    """Make `folder` an installation whose game gives these answers, a ResponseGameInfo and a ResponseObservation."""
    program = folder / "Versions" / f"Base{BUILD}" / "SC2_x64"
    map_file = folder / "Maps" / "Melee" / f"{MAP}.SC2Map"
    for file in (program, map_file):
        file.parent.mkdir(parents=True)
    map_file.write_bytes(b"no map")
    (folder / _GAME_INFO).write_bytes(game_info)
    (folder / _OBSERVATION).write_bytes(observation)
    words = (sys.executable, str(Path(__file__).resolve()), str(folder))
    program.write_text(f'#!/bin/sh\nexec {" ".join(map(shlex.quote, words))} "$@"\n', encoding="utf-8")
    program.chmod(0o755)


class CannedGame:
    """Answers requests; nothing happens in it but the passing of game loops."""

    def __init__(self, folder: Path) -> None:
        self._info = sc_pb.ResponseGameInfo.FromString((folder / _GAME_INFO).read_bytes())
        observation = sc_pb.ResponseObservation.FromString((folder / _OBSERVATION).read_bytes())
        self._observation = sc_pb.Response(observation=observation).SerializeToString()
        self._game_loop = 0
        self._status = sc_pb.launched

    def answer(self, content: bytes) -> bytes | None:
        """Return the answer to a serialised Request, None to one that has none."""
        request = sc_pb.Request.FromString(content)
        kind = request.WhichOneof("request")
        if kind == "quit":
            return None
        response = sc_pb.Response()
        getattr(response, kind).SetInParent()
        if kind == "ping":
            response.ping.game_version, response.ping.data_version = GAME_VERSION, DATA_VERSION
            response.ping.base_build = response.ping.data_build = BUILD
        elif kind == "create_game":
            self._status = sc_pb.init_game
        elif kind == "join_game":
            self._info.options.CopyFrom(request.join_game.options)
            self._status, self._game_loop = sc_pb.in_game, 0
            response.join_game.player_id = 1
        elif kind == "game_info":
            response.game_info.CopyFrom(self._info)
        elif kind == "step":
            self._game_loop += request.step.count
        elif kind == "observation":
            response.observation.observation.game_loop = self._game_loop
        elif kind == "action":
            response.action.result.extend([1] * len(request.action.actions))
        elif kind == "leave_game":
            self._status = sc_pb.launched
        response.id, response.status = request.id, self._status
        # Of two serialised messages in a row, the later one is merged into the first.
        return (self._observation if kind == "observation" else b"") + response.SerializeToString()


def serve(folder: Path, port: int) -> None:
    """Answer one client after another until one asks to quit or our parent is gone."""
    game = CannedGame(folder)
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(1.0)
        parent = os.getppid()
        while os.getppid() == parent:
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            try:
                client = WebSocket(connection)
                while True:
                    answer = game.answer(client.receive())
                    if answer is None:
                        return
                    client.send(answer)
            except ConnectionLostError:
                continue


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from envs.starcraft2.compatibility import sc_pb
    from tests.starcraft2_standin.websocket import ConnectionLostError, WebSocket

    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-port", type=int, required=True)
    known, _ = parser.parse_known_args()
    serve(known.folder, known.port)
