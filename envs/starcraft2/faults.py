"""What can go wrong with a running game, told apart by kind so that it can be counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from envs.errors import GameCrashedError
from envs.starcraft2.compatibility import DecodeError, protocol, remote_controller, websocket

HANG, CRASH, GARBAGE, VERSION, START = "hang", "crash", "garbage", "version", "start"
FAULT_KINDS = (HANG, CRASH, GARBAGE, VERSION, START)
"""No answer in time; the process or its connection is gone; an answer that can't be or is refused; another version
than before; the game did not start."""

_COMMUNICATION_ERRORS = (
    protocol.ConnectionError,
    protocol.ProtocolError,
    remote_controller.ConnectError,
    remote_controller.RequestError,
    websocket.WebSocketException,
    DecodeError,
    OSError,
    # pysc2's own words for observations that are none and for numbers that no name of the protocol has.
    ValueError,
    RuntimeError,
)


class GameFaultError(GameCrashedError):
    """A game hangs, is gone, or answers nonsense: it has to be killed.

    Attributes:
        kind: one of `FAULT_KINDS`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[GameFaultError], tuple[str, str]]:
        """Pickle with the kind, so that the error crosses process borders."""
        return (type(self), (self.kind, str(self)))


@contextmanager
def faults_reported(doing: str, process: Any) -> Iterator[None]:
    """Turn whatever pysc2 or the connection raises into a GameFaultError that says what was being done.

    Args:
        doing: what is asked of the game, such as "step".
        process: has `describe_end(timeout_seconds)`, which tells how the process ended, or None while it runs.

    Raises:
        GameFaultError: of the kind that fits.
    """
    try:
        yield
    except GameFaultError:
        raise
    except _COMMUNICATION_ERRORS as error:
        message = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
        if _any_cause(error, (websocket.WebSocketTimeoutException, TimeoutError)):
            raise GameFaultError(HANG, f"the game did not answer {doing!r} in time ({message})") from error
        closed = (protocol.ConnectionError, websocket.WebSocketConnectionClosedException, OSError)
        # A process that dies closes its socket a moment before its end can be seen.
        end = process.describe_end(1.0 if _any_cause(error, closed) else 0.0)
        if end or (isinstance(error, protocol.ConnectionError) and _any_cause(error, closed[1:])):
            raise GameFaultError(CRASH, f"the game is gone during {doing!r}: {end or message}") from error
        raise GameFaultError(GARBAGE, f"the game answered {doing!r} with something unusable ({message})") from error


@contextmanager
def nonsense_reported() -> Iterator[None]:
    """Turn what our code says of observations that it cannot take into a GameFaultError, as it ends one game only.

    Raises:
        GameFaultError: of the kind garbage.
    """
    try:
        yield
    except ValueError as error:
        raise GameFaultError(GARBAGE, f"the game shows what cannot be encoded: {error}") from error


def _any_cause(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> bool:
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__ or error.__context__  # the official pysc2 names no cause
    return False
