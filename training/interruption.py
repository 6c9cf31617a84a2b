"""Ctrl-C and SIGTERM as a flag, so that a run ends at a point where it can be saved."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_on_signals(notice: str = "") -> Iterator[threading.Event]:
    """Give a flag that the first Ctrl-C or SIGTERM sets; a second one interrupts at once.

    Outside the main thread, which alone hears signals, nothing sets the flag.

    Args:
        notice: written to standard error when the flag is set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: Any) -> None:
        del number, frame
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        os.write(sys.stderr.fileno(), notice.encode())  # a handler may not use a stream that was interrupted

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
