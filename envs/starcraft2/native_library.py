"""Our few C functions, built with the system's compiler when they are first asked for.

Nothing needs them: without a compiler, or with PERCEIVER_STAR_NATIVE=0, Python gives the same numbers, only slower.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

NATIVE_VARIABLE = "PERCEIVER_STAR_NATIVE"
"""Environment variable; 0 keeps to Python."""
_HERE = Path(__file__).parent
SOURCES = tuple(_HERE / f"native_{name}.c" for name in ("records", "entities", "masks", "planes"))
_HEADER = _HERE / "native_messages.h"
_COMPILERS = ("cc", "gcc", "clang")
# No fused multiplication and addition: every result is rounded as in Python.
_OPTIONS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared")
_LIBRARIES = ("-lm",)
_COMPILE_TIMEOUT_SECONDS = 60.0

_logger = logging.getLogger(__name__)
_lock = threading.Lock()
_loaded: list[ctypes.CDLL | None] = []


def native_library() -> ctypes.CDLL | None:
    """Return the library, built where it has to be, or None where it is switched off or cannot be had."""
    if os.environ.get(NATIVE_VARIABLE) == "0":
        return None
    with _lock:
        if not _loaded:
            _loaded.append(_load())
    return _loaded[0]


def _load() -> ctypes.CDLL | None:
    """Build and load the library; every failure is a reason to go without."""
    try:
        return ctypes.CDLL(str(build(cache_directory())))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        _logger.info("units are encoded in Python, slower but equal: %s", error)
        return None


def cache_directory() -> Path:
    """Return the folder for built libraries, made where it is missing.

    Raises:
        OSError: if others could write there, or who could is unknown: what lies in it is loaded into this process.
        RuntimeError: if there is no home folder.
    """
    if not hasattr(os, "getuid"):
        raise OSError("this system does not tell whose a folder is")
    base = os.environ.get("XDG_CACHE_HOME")
    directory = (Path(base) if base else Path.home() / ".cache") / "perceiver-star"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(f"{directory} can be written by others; make it yours alone with chmod 700")
    return directory


def build(directory: Path) -> Path:
    """Return the shared library in `directory`, compiled from our sources where it is not there yet.

    Raises:
        OSError: if there is no compiler or `directory` cannot be written.
        subprocess.SubprocessError: if the compiler fails or takes too long.
    """
    machine = f"{platform.system()}-{platform.machine()} {' '.join(_OPTIONS)}"
    key = hashlib.sha256(b"".join(path.read_bytes() for path in (*SOURCES, _HEADER)) + machine.encode()).hexdigest()[
        :16
    ]
    library = directory / f"native-{key}.so"
    if library.is_file():
        return library
    compiler = next((path for name in _COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        raise FileNotFoundError(f"there is no C compiler ({', '.join(_COMPILERS)})")
    # Other processes may build at the same time: each writes a file of its own and renames it into place.
    with tempfile.TemporaryDirectory(dir=directory, prefix="build-") as workspace:
        output = Path(workspace) / "library.so"
        command = [compiler, *_OPTIONS, "-o", str(output), *map(str, SOURCES), *_LIBRARIES]
        subprocess.run(command, check=True, capture_output=True, timeout=_COMPILE_TIMEOUT_SECONDS)
        output.replace(library)
    return library
