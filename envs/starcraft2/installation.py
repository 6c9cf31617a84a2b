"""Where StarCraft II is installed, which builds and maps it has, and what to do when something is missing.

Nothing here imports pysc2 or starts the game.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from envs.errors import GameNotFoundError, UnknownNameError

PATH_VARIABLE = "SC2PATH"
OLDEST_BUILD = 55958
"""Release 3.16.1, the first with the interface (s2client-proto)."""
GAME_REMEDY = (
    "install it (Linux builds: https://github.com/Blizzard/s2client-proto#linux-packages; Windows and macOS: "
    f"Battle.net), and set {PATH_VARIABLE} to its folder if that is not one of the usual places"
)
MAPS_REMEDY = (
    "unpack the map packs of https://github.com/Blizzard/s2client-proto#map-packs, and pysc2's mini-games of "
    "https://github.com/google-deepmind/pysc2#get-the-maps, into the game's folder Maps"
)
_PROGRAMS = {"Darwin": "SC2.app/Contents/MacOS/SC2", "Windows": "SC2_x64.exe"}
_USUAL_FOLDERS = {
    "Darwin": ("/Applications/StarCraft II",),
    "Windows": ("C:/Program Files (x86)/StarCraft II", "C:/Program Files/StarCraft II"),
    "Linux": ("~/StarCraftII", "/opt/StarCraftII", "/usr/local/StarCraftII"),
}
# The game writes where it was started from into this file: folder of the file, levels up from the program in it.
_EXECUTE_INFO = {
    "Darwin": ("~/Library/Application Support/Blizzard", 6),
    "Windows": ("~/Documents", 3),
}
_BUILD_FOLDER = re.compile(r"base(\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is missing or won't work.

    Attributes:
        reason: what is wrong.
        remedy: one line that mends it.
    """

    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class InstallationReport:
    """What there is of StarCraft II on this machine.

    Attributes:
        directory: the game's folder; None where there is none.
        builds: numbers of the installed builds, oldest first.
        maps: installed maps by path below the folder Maps.
        problems: what keeps the game from being played; empty where all is well.
    """

    directory: Path | None
    builds: tuple[int, ...]
    maps: tuple[str, ...]
    problems: tuple[Problem, ...]


def inspect_installation() -> InstallationReport:
    """Return what there is of the game, with reasons and remedies for what is missing; raises nothing."""
    try:
        directory = game_directory()
    except GameNotFoundError as error:
        reason = str(error).split("; ")[0]
        return InstallationReport(
            directory=None, builds=(), maps=(), problems=(Problem(reason=reason, remedy=GAME_REMEDY),)
        )
    builds, maps = list_builds(directory), list_maps(directory)
    problems = []
    if not builds:
        reason = f"{directory / 'Versions'} has no folder BaseNNNNN with the program {_program()}"
        problems.append(Problem(reason=reason, remedy=GAME_REMEDY))
    elif builds[-1] < OLDEST_BUILD:
        reason = f"the newest build is {builds[-1]}; the interface needs {OLDEST_BUILD} (3.16.1) or newer"
        problems.append(Problem(reason=reason, remedy="install a newer release, such as 4.10"))
    elif not os.access(program_path(directory, builds[-1]), os.X_OK):
        path = program_path(directory, builds[-1])
        problems.append(Problem(reason=f"{path} may not be executed", remedy=f"chmod +x {path}"))
    if not maps:
        problems.append(Problem(reason=f"{directory / 'Maps'} has no maps", remedy=MAPS_REMEDY))
    return InstallationReport(directory=directory, builds=tuple(builds), maps=tuple(maps), problems=tuple(problems))


def searched_directories() -> list[Path]:
    """Return the folders in which the game is looked for: SC2PATH alone where it is set, else the usual places."""
    named = os.environ.get(PATH_VARIABLE)
    if named:
        return [Path(named).expanduser()]
    recorded = _recorded_directory()
    usual = _USUAL_FOLDERS.get(platform.system(), _USUAL_FOLDERS["Linux"])
    return [*([recorded] if recorded else []), *(Path(folder).expanduser() for folder in usual)]


def game_directory() -> Path:
    """Return the folder of the game.

    Raises:
        GameNotFoundError: if there is none, with the places that were looked at and what to do.
    """
    searched = searched_directories()
    for directory in searched:
        if (directory / "Versions").is_dir():
            return directory
    places = ", ".join(map(str, searched))
    if os.environ.get(PATH_VARIABLE):
        problem = f"StarCraft II is not where {PATH_VARIABLE} points: {places} has no folder Versions"
    else:
        problem = f"StarCraft II was not found in {places}, and {PATH_VARIABLE} is not set"
    raise GameNotFoundError(f"{problem}; {GAME_REMEDY}")


def list_builds(directory: Path | None = None) -> list[int]:
    """Return the numbers of the builds whose program is there, oldest first."""
    versions = (directory or game_directory()) / "Versions"
    found = [match for path in versions.glob("*") if (match := _BUILD_FOLDER.fullmatch(path.name))]
    return sorted(int(match[1]) for match in found if (versions / match[0] / _program()).is_file())


def program_path(directory: Path, build: int | None = None) -> Path:
    """Return the game's program: of a build, or of the newest.

    Raises:
        GameNotFoundError: if it is not installed.
        UnknownNameError: if there are others but not this one.
    """
    builds = list_builds(directory)
    if not builds:
        raise GameNotFoundError(f"{directory / 'Versions'} has no build of StarCraft II; {GAME_REMEDY}")
    if build is not None and build not in builds:
        raise UnknownNameError(
            "build of StarCraft II", str(build), map(str, builds), hint=f"installed: {', '.join(map(str, builds))}"
        )
    chosen = builds[-1] if build is None else build
    for path in (directory / "Versions").glob("*"):
        match = _BUILD_FOLDER.fullmatch(path.name)
        if match and int(match[1]) == chosen and (path / _program()).is_file():
            return path / _program()
    raise GameNotFoundError(f"build {chosen} of StarCraft II has just gone from {directory}; {GAME_REMEDY}")


def list_maps(directory: Path | None = None) -> list[str]:
    """Return the installed maps by their path below the game's folder Maps, such as Melee/Simple64.SC2Map."""
    folder = (directory or game_directory()) / "Maps"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.SC2Map") if path.is_file())


def program_environment(directory: Path) -> dict[str, str]:
    """Return the environment variables for the game's program."""
    environment = dict(os.environ)
    if platform.system() == "Linux":
        paths = [environment.get("LD_LIBRARY_PATH"), f"{directory / 'Libs'}/"]
        environment["LD_LIBRARY_PATH"] = ":".join(filter(None, paths))
    return environment


def working_directory(directory: Path) -> Path | None:
    """Return the folder in which the game's program must be started; None where any will do."""
    return directory / "Support64" if platform.system() == "Windows" else None


def _program() -> str:
    return _PROGRAMS.get(platform.system(), "SC2_x64")


def _recorded_directory() -> Path | None:
    folder, levels = _EXECUTE_INFO.get(platform.system(), ("", 0))
    path = Path(folder).expanduser() / "StarCraft II/ExecuteInfo.txt"
    if not folder or not path.is_file():
        return None
    match = re.search(r"executable\s*=\s*([^\r\n\0]+)", path.read_text(encoding="utf-8", errors="replace"))
    parents = Path(match[1].strip().replace("\\", "/")).parents if match else ()
    return parents[levels - 1] if len(parents) >= levels else None
