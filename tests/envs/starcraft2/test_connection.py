from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from envs.starcraft2.compatibility import websocket
from envs.starcraft2.connection import GameWebSocket

CONTINUED, TEXT, BINARY, PING, LAST = 0, 1, 2, 9, 0x80


def frame(content: bytes, kind: int = LAST | BINARY) -> bytes:
    if len(content) < 126:
        return bytes([kind, len(content)]) + content
    if len(content) < 2**16:
        return bytes([kind, 126]) + struct.pack("!H", len(content)) + content
    return bytes([kind, 127]) + struct.pack("!Q", len(content)) + content


@pytest.fixture
def ends() -> Iterator[tuple[Any, socket.socket]]:
    client, server = socket.socketpair()
    connection = GameWebSocket()
    connection.sock = client
    connection.settimeout(5.0)
    with client, server:
        yield connection, server


def send_in_pieces(server: socket.socket, content: bytes, size: int) -> threading.Thread:
    def send() -> None:
        for start in range(0, len(content), size):
            server.sendall(content[start : start + size])

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("size", [1, 7, 1000, 10**7])
def test_answers_come_whole_and_in_order_however_they_are_sent(ends: tuple[Any, socket.socket], size: int) -> None:
    connection, server = ends
    answers = [b"", b"a" * 125, b"b" * 126, b"c" * 3000, bytes(range(256)) * (2000 if size > 10 else 4), b"end"]
    sending = send_in_pieces(server, b"".join(map(frame, answers)), size)
    for answer in answers:
        assert connection.recv() == answer
        assert connection.last_answer == answer
    sending.join()


def test_other_frames_are_left_to_websocket_client(ends: tuple[Any, socket.socket]) -> None:
    connection, server = ends
    frames = [
        frame(b"one"),
        frame(b"are you there", LAST | PING),
        frame(b"in two ", BINARY),
        frame(b"parts", LAST | CONTINUED),
        frame(b"text", LAST | TEXT),
        frame(b"d" * 70000),
    ]
    sending = send_in_pieces(server, b"".join(frames), 10**6)
    assert [connection.recv() for _ in range(4)] == [b"one", b"in two parts", "text", b"d" * 70000]
    sending.join()
    assert server.recv(100)[:1] == bytes([LAST | 10]), "the ping has its pong"


def test_an_end_a_silence_and_an_impossible_length_are_errors(ends: tuple[Any, socket.socket]) -> None:
    connection, server = ends
    connection.settimeout(0.05)
    server.sendall(frame(b"late")[:3])
    with pytest.raises(TimeoutError):
        connection.recv()
    server.sendall(frame(b"late")[3:])
    assert connection.recv() == b"late"
    server.sendall(bytes([LAST | BINARY, 127]) + struct.pack("!Q", 2**62))
    with pytest.raises(websocket.WebSocketProtocolException, match="at most 1 GiB"):
        connection.recv()
    server.close()
    for _ in range(2):
        with pytest.raises(websocket.WebSocketException):
            connection.recv()
        connection._filled = 0
        connection.shutdown()
