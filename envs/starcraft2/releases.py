"""Releases of StarCraft II: which build and data each has, by pysc2's table."""

from __future__ import annotations

from pathlib import Path

from envs.errors import GameNotFoundError, UnknownNameError
from envs.starcraft2.compatibility import run_configs
from envs.starcraft2.installation import GAME_REMEDY, list_builds


def find_release(release: str, directory: Path) -> tuple[int, str]:
    """Return the build number and data version of a release such as 4.10.0.

    Raises:
        UnknownNameError: if pysc2 knows no such release; close matches are in the message.
        GameNotFoundError: if its build is not installed.
    """
    known = run_configs.lib.VERSIONS
    name = f"{release}.0" if release.count(".") == 1 else release
    if name not in known:
        raise UnknownNameError("release of StarCraft II", release, known)
    build = int(known[name].build_version)
    installed = list_builds(directory)
    if build not in installed:
        raise GameNotFoundError(
            f"release {name} needs build {build}, installed in {directory} are {installed}; {GAME_REMEDY}"
        )
    return build, str(known[name].data_version)


def releases_of_build(build: int) -> list[str]:
    """Return the names of the releases that a build plays."""
    return [name for name, version in run_configs.lib.VERSIONS.items() if version.build_version == build]
