"""The process: its command line, its sockets, its end."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path, PurePosixPath

from s2clientprotocol import sc2api_pb2 as sc_pb

from . import faults, relay
from .install import BATTLE_NET_MAPS
from .room import JOIN_TIMEOUT_SECONDS, Room
from .session import GUEST_SEAT, IN_GAME, Session
from .websocket import ConnectionLostError, WebSocket

LOGGER = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
PARENT_POLL_SECONDS = 0.5
HANG_SECONDS = 1e6


class Application:
    """What the whole process shares.

    Args:
        installation: the folder that SC2PATH names.
    """

    def __init__(self, installation: Path):
        self.installation = installation
        self.saved_maps: set[str] = set()
        self.faults = faults.load(installation)
        self.session = Session(self)
        self.quit = threading.Event()
        self.frozen = False
        self._rooms: dict[int, Room] = {}
        self._opened = threading.Condition()
        self._listeners: dict[int, socket.socket] = {}
        self._busy = threading.Lock()

    def installed_maps(self) -> list[str]:
        """Return the paths of the maps in the installation."""
        root = self.installation / "Maps"
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.SC2Map"))

    def battle_net_maps(self) -> list[str]:
        """Return the battle.net names of the ladder maps."""
        return list(BATTLE_NET_MAPS)

    def has_map(self, request: sc_pb.RequestCreateGame, path: str) -> bool:
        """Return whether a game can be created on a map."""
        if not request.HasField("local_map"):
            return path in BATTLE_NET_MAPS
        if request.local_map.map_data or path in self.saved_maps:
            return True
        inside = PurePosixPath(path)
        return ".." not in inside.parts and (self.installation / "Maps" / inside).is_file()

    def serve(self, connection: socket.socket) -> None:
        """Answer one client until it goes away; a second one at the same time is turned away."""
        if not self._busy.acquire(timeout=1.0):
            connection.close()
            return
        try:
            client = WebSocket(connection)
            while not self.quit.is_set():
                self._answer(client, client.receive())
        except ConnectionLostError:
            pass
        finally:
            connection.close()
            self._busy.release()

    def _answer(self, client: WebSocket, raw: bytes) -> None:
        try:
            kind = sc_pb.Request.FromString(raw).WhichOneof("request") or ""
        except Exception:  # noqa: BLE001  # the session tells the client
            kind = ""
        if kind == "quit":
            self.quit.set()
            raise ConnectionLostError
        fault = self.faults.draw(kind) if self.faults.faults else None
        if fault is not None:
            LOGGER.warning("fault on demand: %s", fault.kind)
            if fault.kind == "crash":
                os._exit(1)
            if fault.kind == "garbage":
                client.send(self.faults.generator.randbytes(64))
                return
            self.frozen = fault.kind == "freeze"
            time.sleep(fault.seconds if fault.kind == "slow" else HANG_SECONDS)
        client.send(self.session.handle(raw))

    def listen_for_guests(self, room: Room, port: int) -> None:
        """Let the second player's process join a room at a port."""
        with self._opened:
            self._rooms[port] = room
            self._opened.notify_all()
        if port not in self._listeners:
            listener = _listen(LOOPBACK, port)
            self._listeners[port] = listener
            threading.Thread(target=self._accept_guests, args=(listener, port), daemon=True).start()

    def _accept_guests(self, listener: socket.socket, port: int) -> None:
        while not self.quit.is_set():
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve_guest, args=(connection, port), daemon=True).start()

    def _serve_guest(self, connection: socket.socket, port: int) -> None:
        session = Session(self)
        try:
            request = sc_pb.Request.FromString(relay.receive(connection))
            session.enter(self._take_room(port), request.join_game, GUEST_SEAT)
            answer = sc_pb.Response(status=IN_GAME)
            if session.view is not None:
                answer.join_game.player_id = session.view.player.id
            relay.send(connection, answer.SerializeToString())
            while True:
                relay.send(connection, session.handle(relay.receive(connection)))
        except OSError as error:
            LOGGER.info("guest gone: %s", error)
            if session.room is not None:
                session.room.leave(GUEST_SEAT)
        finally:
            connection.close()

    def _take_room(self, port: int) -> Room:
        """Return the room that waits at a port, once: the guest may come before the host has opened the next one.

        Raises:
            TimeoutError: if none is opened.
        """
        with self._opened:
            if not self._opened.wait_for(lambda: port in self._rooms, JOIN_TIMEOUT_SECONDS):
                raise TimeoutError(f"no game waits at port {port}")
            return self._rooms.pop(port)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(8)
    return listener


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options that matter; the game takes many more, which are accepted and ignored."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False, prog="SC2_x64")
    parser.add_argument("-listen", default=LOOPBACK)
    parser.add_argument("-port", type=int, required=True)
    parser.add_argument("-dataDir", dest="data_dir", default="")
    known, _ = parser.parse_known_args(arguments)
    return known


def run(arguments: list[str], installation: Path) -> int:
    """Serve until the client quits, the process is told to end, or the parent is gone; returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format="stand-in: %(message)s")
    options = _parse(arguments)
    parent = os.getppid()
    application = Application(installation)
    signal.signal(signal.SIGTERM, lambda *_: None if application.frozen else application.quit.set())
    listener = _listen(LOOPBACK if options.listen in ("", "localhost") else options.listen, options.port)
    gc.freeze()
    threading.Thread(target=_accept, args=(application, listener), daemon=True).start()
    while not application.quit.wait(PARENT_POLL_SECONDS):
        if os.getppid() != parent:
            break
    os._exit(0)


def _accept(application: Application, listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=application.serve, args=(connection,), daemon=True).start()
