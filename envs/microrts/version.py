"""Which game this is: what a checkpoint stores, and what is compared when it is loaded."""

from __future__ import annotations

from envs.microrts.installation import jars_sha256
from envs.microrts.layout import layout_sha256


def game_version() -> dict[str, str]:
    """Return the game's name and the hashes of its build and of our observation and action layout.

    Raises:
        GameNotFoundError: if the game is not installed.
    """
    return {"game": "microrts", "game_build_sha256": jars_sha256(), "layout_sha256": layout_sha256()}
