from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from envs.starcraft2.compatibility import DecodeError, protocol, sc_pb, websocket
from envs.starcraft2.connection import GameProtocol, GameWebSocket

CONTINUED, TEXT, BINARY, PING, LAST = 0, 1, 2, 9, 0x80


def frame(content: bytes, kind: int = LAST | BINARY) -> bytes:
    if len(content) < 126:
        return bytes([kind, len(content)]) + content
    if len(content) < 2**16:
        return bytes([kind, 126]) + struct.pack("!H", len(content)) + content
    return bytes([kind, 127]) + struct.pack("!Q", len(content)) + content


@pytest.fixture
def ends() -> Iterator[tuple[Any, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
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


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_requests_are_masked_text_frames(ends: tuple[Any, socket.socket], size: int) -> None:
    connection, server = ends
    content = np.random.default_rng(size).bytes(size)
    sending = threading.Thread(target=connection.send, args=[content])
    sending.start()
    received = websocket._abnf.frame_buffer(server.recv, True).recv_frame()
    sending.join()
    assert (received.fin, received.opcode, received.mask_value) == (1, TEXT, 1)
    assert received.data == content


def test_requests_are_numbered_and_answered(ends: tuple[Any, socket.socket]) -> None:
    connection, server = ends
    client = GameProtocol(connection, protocol.Status.launched)
    requests = websocket._abnf.frame_buffer(server.recv, True)
    for number in (1, 2):
        answer = sc_pb.Response(id=number, status=sc_pb.in_game, step=sc_pb.ResponseStep(simulation_loop=9))
        server.sendall(frame(answer.SerializeToString()))
        assert client.send(step=sc_pb.RequestStep(count=5)).simulation_loop == 9
        request = sc_pb.Request.FromString(requests.recv_frame().data)
        assert (request.id, request.step.count) == (number, 5)
        assert client.status == protocol.Status.in_game


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (b"", protocol.ProtocolError, "empty response"),
        (sc_pb.Response(id=1).SerializeToString(), protocol.ProtocolError, "without a status"),
        (
            sc_pb.Response(status=3, error=["over"]).SerializeToString(),
            protocol.ProtocolError,
            "over",
        ),
        (sc_pb.Response(status=3, id=7).SerializeToString(), protocol.ConnectionError, "different id"),
        (b"\xff\xff", DecodeError, "parsing"),
        (None, protocol.ConnectionError, "Error during step"),
    ],
)
def test_answers_that_are_none_are_errors_of_pysc2(
    ends: tuple[Any, socket.socket], answer: bytes | None, error: type[Exception], message: str
) -> None:
    connection, server = ends
    client = GameProtocol(connection, protocol.Status.launched)
    if answer is None:
        server.close()
    else:
        server.sendall(frame(answer))
    with pytest.raises(error, match=message):
        client.send(step=sc_pb.RequestStep(count=5))
