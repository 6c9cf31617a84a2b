"""Which game this is: what a checkpoint stores, and what is compared when it is loaded."""

from __future__ import annotations

from envs.errors import GameVersionError
from envs.microrts.installation import jars_sha256
from envs.microrts.layout import layout_sha256


def game_version() -> dict[str, str]:
    """Return the game's name and the hashes of its build and of our observation and action layout.

    Raises:
        GameNotFoundError: if the game is not installed.
    """
    return {"game": "microrts", "game_build_sha256": jars_sha256(), "layout_sha256": layout_sha256()}


def require_same_version(recorded: dict[str, str]) -> None:
    """Check that the installed game is the one that `game_version` once described.

    Raises:
        GameVersionError: naming every part that differs.
    """
    here = game_version()
    different = sorted(key for key in {*here, *recorded} if here.get(key) != recorded.get(key))
    if different:
        parts = "; ".join(f"{key} is {here.get(key)}, expected {recorded.get(key)}" for key in different)
        raise GameVersionError(f"this is not the version of the game that was recorded: {parts}")
