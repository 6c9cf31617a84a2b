"""An optional fast reader of units: a few C functions built with the system's compiler when they are first asked for.

Nothing needs it: without a compiler, or with PERCEIVER_STAR_NATIVE=0, units are read in Python, with the same numbers.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from envs.starcraft2.compatibility import raw_pb
from envs.starcraft2.unit_records import FIELD, RECORD_FIELDS, TAG_FIELDS, UnitRecords, read_units

NATIVE_VARIABLE = "PERCEIVER_STAR_NATIVE"
"""Environment variable; 0 keeps to the Python reader."""
SOURCE = Path(__file__).with_name("unit_records.c")
_COMPILERS = ("cc", "gcc", "clang")
_OPTIONS = ("-std=c11", "-O2", "-fPIC", "-shared")
_COMPILE_TIMEOUT_SECONDS = 60.0
_FIRST_CAPACITY = 1024
_NUM_FIELD_NUMBERS = _MAX_COLUMNS = 64

_logger = logging.getLogger(__name__)
_lock = threading.Lock()
_loaded: list[Any] = []


class _Layout(ctypes.Structure):
    """The C side's `Layout`: where each field goes in a row."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("num_columns", "x", "buff_id_0", "order_length", "ability_id_0")),
        *((name, ctypes.c_int32) for name in ("order_progress_0", "is_in_cargo", "alliance", "owner")),
        ("unit_columns", ctypes.c_int32 * _NUM_FIELD_NUMBERS),
        ("passenger_columns", ctypes.c_int32 * _NUM_FIELD_NUMBERS),
        ("unit_defaults", ctypes.c_double * _MAX_COLUMNS),
    )


class NativeUnitReader:
    """Reads units in C through a buffer of its own: one reader for each thread."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._layout = _layout()
        self._num_units = ctypes.c_int64()
        self._allocate(_FIRST_CAPACITY)

    def _allocate(self, capacity: int) -> None:
        self._capacity = capacity
        self._values = np.zeros((capacity, len(RECORD_FIELDS)))
        self._tags = np.zeros((capacity, len(TAG_FIELDS)), np.int64)
        self._pointers = (self._values.ctypes.data, self._tags.ctypes.data)

    def read(self, observation_raw: Any) -> UnitRecords:
        """Return what `read_units` returns.

        Raises:
            ValueError: if the C side cannot read the message.
        """
        data = observation_raw.SerializeToString()
        while True:
            layout, num_units = ctypes.byref(self._layout), ctypes.byref(self._num_units)
            rows = self._function(data, len(data), layout, *self._pointers, self._capacity, num_units)
            if rows <= self._capacity:
                break
            self._allocate(2 * rows)
        if rows < 0:
            raise ValueError("expected a well-formed ObservationRaw; set PERCEIVER_STAR_NATIVE=0 to read it in Python")
        values = np.array(self._values[:rows].T, order="C")
        return UnitRecords(values, np.array(self._tags[:rows].T, order="C"), self._num_units.value)


def unit_reader() -> Callable[[Any], UnitRecords]:
    """Return the fastest reader of `ObservationRaw` messages that this machine allows; each thread needs its own."""
    function = native_function()
    return read_units if function is None else NativeUnitReader(function).read


def native_function() -> Any | None:
    """Return the C function, built where it has to be, or None where it is switched off or cannot be had."""
    if os.environ.get(NATIVE_VARIABLE) == "0":
        return None
    with _lock:
        if not _loaded:
            _loaded.append(_load())
    return _loaded[0]


def _load() -> Any | None:
    """Build, load and try the library; every failure is a reason to go without."""
    try:
        library = ctypes.CDLL(str(build(cache_directory())))
        function = library.perceiver_star_read_units
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        function.argtypes = (ctypes.c_char_p, number, pointer, pointer, pointer, number, pointer)
        function.restype = ctypes.c_int64
        _check(NativeUnitReader(function))
    except (OSError, AttributeError, ValueError, subprocess.SubprocessError) as error:
        _logger.info("units are read in Python, slower but equal: %s", error)
        return None
    return function


def cache_directory() -> Path:
    """Return the folder for built libraries, made where it is missing.

    Raises:
        OSError: if others could write there: what lies in it is loaded into this process.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    directory = (Path(base) if base else Path.home() / ".cache") / "perceiver-star"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(f"{directory} can be written by others; make it yours alone with chmod 700")
    return directory


def build(directory: Path) -> Path:
    """Return the shared library in `directory`, compiled from our source where it is not there yet.

    Raises:
        OSError: if there is no compiler or `directory` cannot be written.
        subprocess.SubprocessError: if the compiler fails or takes too long.
    """
    source = SOURCE.read_bytes()
    machine = f"{platform.system()}-{platform.machine()} {' '.join(_OPTIONS)}"
    key = hashlib.sha256(source + machine.encode()).hexdigest()[:16]
    library = directory / f"unit_records-{key}.so"
    if library.is_file():
        return library
    compiler = next((path for name in _COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        raise FileNotFoundError(f"there is no C compiler ({', '.join(_COMPILERS)})")
    # Other processes may build at the same time: each writes a file of its own and renames it into place.
    with tempfile.TemporaryDirectory(dir=directory, prefix="build-") as workspace:
        output = Path(workspace) / "library.so"
        command = [compiler, *_OPTIONS, "-o", str(output), str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True, timeout=_COMPILE_TIMEOUT_SECONDS)
        output.replace(library)
    return library


def _layout() -> _Layout:
    """Return the columns of each field, by its number in `raw.proto`."""
    layout = _Layout(num_columns=len(RECORD_FIELDS), **{name: FIELD[name] for name, _ in _Layout._fields_[1:9]})
    for message, columns in ((raw_pb.Unit, layout.unit_columns), (raw_pb.PassengerUnit, layout.passenger_columns)):
        columns[:] = [FIELD.get(name, -1) for name in _names_by_number(message.DESCRIPTOR)]
    for field in raw_pb.Unit.DESCRIPTOR.fields:
        if field.name in FIELD:
            layout.unit_defaults[FIELD[field.name]] = field.default_value
    return layout


def _names_by_number(descriptor: Any) -> list[str]:
    """Return the name of each field number of a message, "" where there is none."""
    names = {field.number: field.name for field in descriptor.fields}
    return [names.get(number, "") for number in range(_NUM_FIELD_NUMBERS)]


def _check(reader: NativeUnitReader) -> None:
    """Raise ValueError where the C reader does not read a small message as the Python one does."""
    message = raw_pb.ObservationRaw()
    unit = message.units.add(tag=2**40, unit_type=54, alliance=1, owner=-1, health=0.1, buff_ids=[7, 8, 9])
    unit.pos.x, unit.pos.y, unit.pos.z = 1.5, 2.25, 3.0
    unit.orders.add(ability_id=23, progress=0.3)
    unit.passengers.add(tag=2**33, unit_type=48, health=45.0)
    expected, records = read_units(message), reader.read(message)
    same = records.num_units == expected.num_units and np.array_equal(records.values, expected.values)
    if not same or not np.array_equal(records.tags, expected.tags):
        raise ValueError("the compiled reader does not read what the Python reader reads")
