"""The server's side of RFC 6455, as far as pysc2's client needs it.

The client sends protobufs in TEXT frames; they are bytes here, never decoded. Answers are BINARY frames.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import struct

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class ConnectionLostError(Exception):
    """The peer went away."""


class WebSocket:
    """One accepted connection.

    Args:
        connection: the socket, before the handshake.
        path: the only path that is served.

    Raises:
        ConnectionLostError: if the peer does not ask for a websocket at that path.
    """

    def __init__(self, connection: socket.socket, path: str = "/sc2api"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._reader = connection.makefile("rb", buffering=1 << 16)
        self._shake_hands(path)

    def _shake_hands(self, path: str) -> None:
        headers: dict[str, str] = {}
        try:
            request = self._reader.readline(8192).decode("latin-1").split()
            while (line := self._reader.readline(8192).strip()) != b"":
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.strip().lower()] = value.strip()
        except OSError as error:
            raise ConnectionLostError from error
        key = headers.get("sec-websocket-key")
        if len(request) < 2 or key is None or request[1] != path:
            self._send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            raise ConnectionLostError
        accept = base64.b64encode(hashlib.sha1(key.encode("latin-1") + _GUID).digest())
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._send(upgrade + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")

    def receive(self) -> bytes:
        """Return the next message.

        Raises:
            ConnectionLostError: when the peer closes or is gone.
        """
        message = b""
        while True:
            final, opcode, payload = self._frame()
            if opcode == _CLOSE:
                self._send_frame(_CLOSE, payload[:2])
                raise ConnectionLostError
            if opcode == _PING:
                self._send_frame(_PONG, payload)
            elif opcode in (_CONTINUATION, _TEXT, _BINARY):
                message += payload
                if final:
                    return message

    def send(self, payload: bytes) -> None:
        """Send one message."""
        self._send_frame(_BINARY, payload)

    def close(self) -> None:
        """Drop the connection."""
        self._reader.close()
        self._socket.close()

    def _read(self, count: int) -> bytes:
        try:
            data = self._reader.read(count)
        except (OSError, ValueError) as error:
            raise ConnectionLostError from error
        if len(data) < count:
            raise ConnectionLostError
        return data

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._read(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._read(8))
        mask = self._read(4) if second & 0x80 else b""
        payload = self._read(length)
        if mask and length:
            repeated = (mask * (length // 4 + 1))[:length]
            mixed = int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")
            payload = mixed.to_bytes(length, "little")
        return bool(first & 0x80), first & 0x0F, payload

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        if length < 126:
            header = struct.pack(">BB", 0x80 | opcode, length)
        elif length < 1 << 16:
            header = struct.pack(">BBH", 0x80 | opcode, 126, length)
        else:
            header = struct.pack(">BBQ", 0x80 | opcode, 127, length)
        self._send(header + payload)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionLostError from error
