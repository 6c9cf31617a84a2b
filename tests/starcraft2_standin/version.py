"""The versions that the stand-in reports, marked so that no result on it can pass for a StarCraft II result."""

from __future__ import annotations

import hashlib

from .facts import DATA

MARK = "STANDIN"
RELEASE = "4.10.0"
BASE_BUILD = 75689
"""The build of 4.10.0, which pysc2 knows by number; it must be the folder's name."""
GAME_VERSION = f"{RELEASE}.{BASE_BUILD}-{MARK}"


def data_version() -> str:
    """Return the mark and a digest of the tables, 32 characters like the game's own."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(DATA.glob("*.tsv"))))
    return (MARK + digest.hexdigest().upper())[:32]
