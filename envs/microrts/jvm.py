"""The Java virtual machine: one for each process, started when the first game needs it, and never stopped."""

from __future__ import annotations

import functools
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from envs.errors import GameCrashedError, GameNotFoundError, GameStartError, GameVersionError
from envs.microrts.installation import BRIDGE_JAR, EXTRA_INSTALL_COMMAND, game_jars, java_library
from envs.microrts.layout import ATTACK_SIDE, UNIT_TYPE_NAMES

JAVA_OPTIONS_VARIABLE = "PERCEIVER_STAR_JAVA_OPTIONS"
JAVA_OUTPUT_VARIABLE = "PERCEIVER_STAR_JAVA_OUTPUT"
_DEFAULT_OPTIONS = (
    "-Xms64m",
    "-Xmx1g",
    "-XX:+UseSerialGC",
    "-Xrs",  # leaves Ctrl-C and SIGTERM to Python
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",  # to seed Collections.shuffle, which some AIs use
)
OLDEST_JAVA = 17
_start_lock = threading.Lock()
_started_in: list[int] = []  # the process


def java_class(name: str) -> Any:
    """Return a Java class by its full name, starting the virtual machine where it does not run yet.

    The variable PERCEIVER_STAR_JAVA_OPTIONS adds options, such as "-Xmx4g"; what the game and its AIs print is
    dropped unless PERCEIVER_STAR_JAVA_OUTPUT=1.

    Raises:
        GameStartError: if Java does not start, or runs in a process that this one was forked from.
        GameNotFoundError: if JPype, Java or the game is missing.
        GameVersionError: if the game's rules do not have the unit types that the layout names.
    """
    jpype = import_jpype()
    if _is_copy():
        raise GameStartError(
            "Java was started before this process was forked, and does not live on in it: make processes with spawn or "
            'forkserver, as by AsyncVectorEnv(..., context="spawn")'
        )
    with _start_lock:
        _start_once(jpype)
    return jpype.JClass(name)


def java_runs() -> bool:
    """Whether the virtual machine runs. When Python exits, it ends before the last games are let go."""
    jpype = sys.modules.get("jpype")  # as Python exits, nothing can be imported
    return jpype is not None and not _is_copy() and bool(jpype.isJVMStarted())


def _is_copy() -> bool:
    """Whether this process was forked from the one that started Java: it has Java's memory, but none of its threads."""
    return _started_in not in ([], [os.getpid()])


def import_jpype() -> Any:
    """Return the module jpype.

    Raises:
        GameNotFoundError: if it is not installed.
    """
    try:
        import jpype
    except ImportError as error:
        raise GameNotFoundError(
            f"the Java bridge JPype is not installed; install it with: {EXTRA_INSTALL_COMMAND}"
        ) from error
    return jpype


@functools.lru_cache(maxsize=1)
def _start_once(jpype: Any) -> None:
    """Start Java where it does not run yet, and prepare it; what fails is tried again at the next call."""
    if not jpype.isJVMStarted():
        _start(jpype)
    _started_in[:] = [os.getpid()]
    _prepare(jpype)


def _start(jpype: Any) -> None:
    # Our jar comes after the game's: bots carry old copies of the game's classes, we carry none.
    class_path = [str(jar) for jar in (*game_jars(), BRIDGE_JAR)]
    options = [*_DEFAULT_OPTIONS, *os.environ.get(JAVA_OPTIONS_VARIABLE, "").split()]
    library = java_library()
    try:
        # An old Java may not know an option; it plays the game all the same.
        jpype.startJVM(
            library, *options, classpath=class_path, convertStrings=False, interrupt=False, ignoreUnrecognized=True
        )
    except (OSError, RuntimeError) as error:
        raise GameStartError(f"Java at {library} does not start with the options {options}: {error}") from error


def _prepare(jpype: Any) -> None:
    release = jpype.getJVMVersion()
    if release[0] < OLDEST_JAVA:
        raise GameNotFoundError(
            f"this is Java {release[0]}, the bridge to the game needs {OLDEST_JAVA} or newer; correct or unset "
            f"JAVA_HOME, or: {EXTRA_INSTALL_COMMAND}"
        )
    # JPype lets Java collect all of its garbage after each of Python's collections: a third of an actor's time.
    gc.callbacks[:] = [callback for callback in gc.callbacks if getattr(callback, "__module__", None) != "_jpype"]
    if os.environ.get(JAVA_OUTPUT_VARIABLE, "") in ("", "0"):
        system = jpype.JClass("java.lang.System")
        nothing = jpype.JClass("java.io.OutputStream").nullOutputStream()
        system.setOut(jpype.JClass("java.io.PrintStream")(nothing))
        system.setErr(jpype.JClass("java.io.PrintStream")(nothing))
    _check_rules(jpype.JClass("rts.units.UnitTypeTable")())
    with crashes_reported("putting its random numbers under seeds"):
        jpype.JClass("perceiverstar.Seeding").replaceGenerators()


@functools.lru_cache(maxsize=1)
def unit_type_table() -> Any:
    """Return the game's own table of unit types, with their prices and speeds.

    There must be one for all: AIs compare unit types by identity, and with a table of their own they would never
    produce a unit.
    """
    return java_class("rts.units.UnitTypeTable")()


def _check_rules(table: Any) -> None:
    names = tuple(str(unit_type.name) for unit_type in table.getUnitTypes())
    side = 2 * int(table.getMaxAttackRange()) + 1
    if names != UNIT_TYPE_NAMES or side != ATTACK_SIDE:
        raise GameVersionError(
            f"this build of µRTS has the unit types {names} and attacks in a square of {side} cells; "
            f"expected {UNIT_TYPE_NAMES} and {ATTACK_SIDE}: use gym-microrts 0.6.0"
        )


def direct_buffers(arrays: dict[str, Any]) -> Any:
    """Return a java.util.Map of direct byte buffers that share the memory of C-contiguous NumPy arrays, by name."""
    from jpype.nio import convertToDirectBuffer

    buffers = java_class("java.util.HashMap")()
    for name, array in arrays.items():
        buffers.put(name, convertToDirectBuffer(memoryview(array).cast("B")))
    return buffers


@contextmanager
def crashes_reported(doing: str) -> Iterator[None]:
    """Turn an exception inside Java into a GameCrashedError that says what was being done.

    Raises:
        GameCrashedError: with the Java exception's name and message.
    """
    jpype = import_jpype()
    try:
        yield
    except jpype.JException as error:
        trace = [str(line) for line in error.getStackTrace()[:3]]
        raise GameCrashedError(f"the game failed {doing}: {error} at {'; '.join(trace)}") from error
