"""Two processes, one game: the guest's requests travel to the host process and its answers back.

The game itself runs two copies in lockstep; here the host's is the only one. Messages are a length and the bytes.
"""

from __future__ import annotations

import socket
import struct
import time

from s2clientprotocol import sc2api_pb2 as sc_pb

CONNECT_SECONDS = 60.0
_LENGTH = struct.Struct(">Q")


def send(connection: socket.socket, payload: bytes) -> None:
    """Send one message."""
    connection.sendall(_LENGTH.pack(len(payload)) + payload)


def receive(connection: socket.socket) -> bytes:
    """Return one message.

    Raises:
        ConnectionError: if the other side is gone.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 20))
        if not part:
            raise ConnectionError("the other stand-in closed the connection")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Guest:
    """The guest's side.

    Args:
        host: address of the host process.
        port: its game port (`server_ports.game_port`).

    Raises:
        TimeoutError: if nobody listens there.
    """

    def __init__(self, host: str, port: int):
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                self._socket = socket.create_connection((host, port))
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no game at {host}:{port}") from error
                time.sleep(0.02)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """Return the host's answer; if the host is gone, that the game is over."""
        try:
            send(self._socket, request)
            return receive(self._socket)
        except OSError:
            answer = sc_pb.Response(status=sc_pb.ended, error=["Game has already ended: the host is gone"])
            return answer.SerializeToString()

    def close(self) -> None:
        """Leave the host."""
        self._socket.close()


def status_of(answer: bytes) -> int:
    """Return the status of a serialized Response."""
    return int(sc_pb.Response.FromString(answer).status)
