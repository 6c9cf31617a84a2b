"""Folders for the games' temporary files, which are removed even if the process that made them was killed.

Each holds a file that its maker keeps locked; the system lets go of the lock when the maker ends, however that comes
about, and whoever makes the next folder removes those that nobody holds any more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where what a killed process leaves stays
    fcntl = None  # type: ignore[assignment]

PREFIX = "perceiver-star-sc2-"
_LOCK_NAME = "held"


class TemporaryFolder:
    """A new folder for temporary files, after those of processes that have ended were removed.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        remove_abandoned_folders()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._descriptor: int | None = None
        if fcntl is not None:
            unnamed = self.path / "new"
            self._descriptor = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            unnamed.rename(self.path / _LOCK_NAME)  # nobody sees it before it is locked

    def remove(self) -> None:
        """Remove the folder with all that is in it; again has no effect."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def remove_abandoned_folders() -> None:
    """Remove this user's folders whose makers have ended."""
    if fcntl is None:
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder / _LOCK_NAME, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
