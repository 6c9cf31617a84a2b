"""Handlers that others replace come back."""

from __future__ import annotations

import signal
import threading

from training.signal_handlers import FAULT_SIGNALS, fault_action, handlers_kept


def fault_handlers() -> list[bytes]:
    """Return the address of each handler, which comes first; what follows is not all defined."""
    return [fault_action(number)[:8] for number in FAULT_SIGNALS]


def test_replaced_handlers_come_back() -> None:
    before = fault_handlers()
    own = signal.getsignal(signal.SIGTERM)
    with handlers_kept():
        for number in (*FAULT_SIGNALS, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        assert all(now != then for now, then in zip(fault_handlers(), before, strict=True))
    assert fault_handlers() == before
    assert signal.getsignal(signal.SIGTERM) == own


def test_other_threads_may_keep_them_too() -> None:
    before = fault_handlers()
    errors = []

    def replace() -> None:
        try:
            with handlers_kept():
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=replace)
    thread.start()
    thread.join()
    assert errors == []
    assert fault_handlers() == before
