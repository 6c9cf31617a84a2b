"""The websocket to a game: websocket-client's, which reads large answers in fewer pieces."""

from __future__ import annotations

from typing import Any

from envs.starcraft2.compatibility import websocket

_ONE_BINARY_FRAME = 0x82
_LENGTH_BYTES = {126: 2, 127: 8}
_FIRST_CAPACITY = 2**18
_LONGEST_ANSWER = 2**30


class GameWebSocket(websocket.WebSocket):  # type: ignore[misc]
    """A connection to a game.

    websocket-client asks the system for the first two bytes of a frame, for its length, and for 16 KiB of its content
    at a time; an observation has 100 KiB and more. What is one unmasked binary frame, as all answers of the game are,
    is read here in as few pieces as it comes in; everything else is left to websocket-client.

    Attributes:
        last_answer: the last answer, as it came.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.last_answer: bytes = b""
        self._buffer = bytearray(_FIRST_CAPACITY)
        self._filled = 0

    def recv(self) -> Any:
        """Return the next answer.

        Raises:
            websocket.WebSocketException: if the connection is closed or an answer is longer than any can be.
            TimeoutError: if it does not come in time.
        """
        self._fill(2)
        kind, length = self._buffer[:2]
        if kind != _ONE_BINARY_FRAME or length > max(_LENGTH_BYTES):
            self.last_answer = super().recv()
            return self.last_answer
        start = 2 + _LENGTH_BYTES.get(length, 0)
        if start > 2:
            self._fill(start)
            length = int.from_bytes(self._buffer[2:start], "big")
        if length > _LONGEST_ANSWER:
            raise websocket.WebSocketProtocolException(f"expected an answer of at most 1 GiB, got {length} bytes")
        self._fill(start + length)
        self.last_answer = self._take(start, start + length)
        return self.last_answer

    def _recv(self, bufsize: int) -> Any:
        """Return up to `bufsize` bytes: what has been read already comes first."""
        return self._take(0, min(bufsize, self._filled)) if self._filled else super()._recv(bufsize)

    def _fill(self, count: int) -> None:
        """Read until there are `count` bytes in the buffer."""
        if count > len(self._buffer):
            self._buffer.extend(bytes(count - len(self._buffer)))
        with memoryview(self._buffer) as view:
            while self._filled < count:
                connection = self.sock  # another thread may drop it
                if connection is None:
                    raise websocket.WebSocketConnectionClosedException("the connection is closed")
                received = connection.recv_into(view[self._filled :])
                if not received:
                    raise websocket.WebSocketConnectionClosedException("the game closed the connection")
                self._filled += received

    def _take(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end` of the buffer, and take all before `end` out of it."""
        with memoryview(self._buffer) as view:
            taken = bytes(view[start:end])
            self._filled -= end
            view[: self._filled] = view[end : end + self._filled]
        return taken
