"""Keeps other processes out of a folder, where the file system can."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where nobody is kept out
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".in-use"

_held: dict[Path, int] = {}  # the open file whose lock others see


def occupy(folder: Path) -> bool:
    """Keep other processes from a folder until `leave`, or until this process ends, however that comes about.

    Returns:
        Whether they are kept out from now on, and were not before.

    Raises:
        BlockingIOError: if another process is there.
        OSError: if the folder does not exist or is not writable.
    """
    if fcntl is None:
        return False
    folder = folder.resolve()
    if folder in _held:
        with contextlib.suppress(FileNotFoundError):  # the folder was removed since, and made again
            if os.path.samestat(os.fstat(_held[folder]), os.stat(folder / LOCK_FILE)):
                return False
        leave(folder)
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    except OSError:  # there are no locks here
        os.close(lock)
        return False
    _held[folder] = lock
    return True


def leave(folder: Path) -> None:
    """Let other processes in again; without effect where nobody was kept out."""
    if (lock := _held.pop(folder.resolve(), None)) is not None:
        os.close(lock)
