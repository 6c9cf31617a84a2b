"""Signal handlers that another library must not take away."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Iterator

# A Java virtual machine uses the first four for its own work: it stops threads by guarded memory, and finds null
# references by reading them. Without its handlers the next such access ends the process.
FAULT_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
# More than `struct sigaction` takes anywhere.
_SIGACTION_BYTES = 512


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Put the handlers of faults and of SIGTERM back as they were before.

    Python's own functions see only handlers that Python has set, so those of faults are read and written by the C
    library's `sigaction`.
    """
    faults = {number: fault_action(number) for number in FAULT_SIGNALS}
    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        for number, action in faults.items():
            _sigaction(number, action, None)
        if main_thread and before is not None:  # Python allows it nowhere else
            signal.signal(signal.SIGTERM, before)


def fault_action(number: signal.Signals) -> bytes:
    """Return what the process does on a signal, as the C library's `struct sigaction`."""
    action = ctypes.create_string_buffer(_SIGACTION_BYTES)
    _sigaction(number, None, action)
    return action.raw


def _sigaction(number: signal.Signals, new: bytes | None, old: ctypes.Array[ctypes.c_char] | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sigaction(int(number), new, old) != 0:
        raise OSError(ctypes.get_errno(), f"sigaction failed for {number.name}")
