"""The connection to a game: the websocket and the protocol of websocket-client and pysc2, with less work a request."""

from __future__ import annotations

from typing import Any

from envs.starcraft2.compatibility import protocol, sc_pb, websocket

_ONE_TEXT_FRAME, _ONE_BINARY_FRAME = 0x81, 0x82
_MASKED = 0x80
# Masks keep what runs in a browser from forging frames; that of zeros leaves the content as it is.
_MASK = bytes(4)
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

    def send(self, payload: Any, opcode: int = websocket.ABNF.OPCODE_TEXT) -> int:
        """Send a request, as pysc2 does in a text frame, and return the size of the frame.

        Raises:
            websocket.WebSocketException: if the connection is closed.
            OSError: if it breaks, or the game takes nothing in time.
        """
        if opcode != websocket.ABNF.OPCODE_TEXT or not isinstance(payload, bytes):
            return int(super().send(payload, opcode))
        frame = _header(len(payload)) + _MASK + payload
        self._connected().sendall(frame)
        return len(frame)

    def settimeout(self, timeout: float | None) -> None:
        """Limit how long each following request and answer may take, in seconds."""
        if timeout != self.gettimeout():
            super().settimeout(timeout)

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
                received = self._connected().recv_into(view[self._filled :])
                if not received:
                    raise websocket.WebSocketConnectionClosedException("the game closed the connection")
                self._filled += received

    def _connected(self) -> Any:
        connection = self.sock  # another thread may drop it
        if connection is None:
            raise websocket.WebSocketConnectionClosedException("the connection is closed")
        return connection

    def _take(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end` of the buffer, and take all before `end` out of it."""
        with memoryview(self._buffer) as view:
            taken = bytes(view[start:end])
            self._filled -= end
            view[: self._filled] = view[end : end + self._filled]
        return taken


class GameProtocol(protocol.StarcraftProtocol):  # type: ignore[misc]
    """pysc2's protocol without its logs and stopwatches, which take longer than what is sent and read.

    Args:
        connection: a connection that pysc2's own protocol has opened.
        status: of the game.
    """

    def __init__(self, connection: GameWebSocket, status: Any) -> None:
        super().__init__(sock=connection)
        self._status = status

    def send(self, **requests: Any) -> Any:
        """Return the answer to the one request that is given by its name, such as ping=sc_pb.RequestPing().

        Raises:
            protocol.ConnectionError: if the connection fails, or the answer is one to another request.
            protocol.ProtocolError: if the answer is empty, incomplete or an error.
        """
        (name,) = requests
        request = sc_pb.Request(id=next(self._count), **requests)
        try:
            self._sock.send(request.SerializeToString())
            answer = self._sock.recv()
        except (websocket.WebSocketConnectionClosedException, websocket.WebSocketTimeoutException, OSError) as error:
            raise protocol.ConnectionError(f"Error during {name}: {error}") from error
        if not answer:
            raise protocol.ProtocolError("Got an empty response from SC2.")
        response = sc_pb.Response.FromString(answer)
        if not response.HasField("status"):
            raise protocol.ProtocolError("Got an incomplete response without a status.")
        self._status = protocol.Status(response.status)
        if response.error:
            raise protocol.ProtocolError(f"Error in RPC response to {name}:\n" + "\n".join(response.error))
        if response.HasField("id") and response.id != request.id:
            raise protocol.ConnectionError(f"Error during {name}: Got a response with a different id")
        return getattr(response, name)


def _header(length: int) -> bytes:
    """Return the beginning of the frame of a request of this length."""
    if length < min(_LENGTH_BYTES):
        return bytes((_ONE_TEXT_FRAME, _MASKED | length))
    code = next(code for code, size in _LENGTH_BYTES.items() if length < 256**size)
    return bytes((_ONE_TEXT_FRAME, _MASKED | code)) + length.to_bytes(_LENGTH_BYTES[code], "big")
