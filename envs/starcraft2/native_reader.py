"""The fast reader of units: what `unit_records.read_units` returns, read in C."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.compatibility import raw_pb, sc_pb
from envs.starcraft2.native_library import NATIVE_VARIABLE
from envs.starcraft2.unit_records import FIELD, RECORD_FIELDS, TAG_FIELDS, UnitRecords

_FIRST_CAPACITY = 1024
_PATH = ((sc_pb.Response, "observation"), (sc_pb.ResponseObservation, "observation"), (sc_pb.Observation, "raw_data"))
"""Where a Response holds its ObservationRaw."""
_NUM_FIELD_NUMBERS = _MAX_COLUMNS = 64


_NAMED_COLUMNS = (
    *("x", "buff_id_0", "order_length", "ability_id_0"),
    *("order_progress_0", "is_in_cargo", "alliance", "owner"),
)


class _Layout(ctypes.Structure):
    """The C side's `Layout`: where each field goes in a row."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("num_columns", *_NAMED_COLUMNS)),
        ("unit_columns", ctypes.c_int32 * _NUM_FIELD_NUMBERS),
        ("passenger_columns", ctypes.c_int32 * _NUM_FIELD_NUMBERS),
        ("unit_defaults", ctypes.c_double * _MAX_COLUMNS),
    )


class RecordRows(NamedTuple):
    """`UnitRecords` row by row, in the reader's buffers: values [N, fields], tags [N, 3], and the addresses of both."""

    values: NDArray[np.float64]
    tags: NDArray[np.int64]
    num_units: int
    addresses: tuple[int, int]

    def records(self) -> UnitRecords:
        """Return them field by field, views of the same memory."""
        return UnitRecords(self.values.T, self.tags.T, self.num_units)


class NativeUnitReader:
    """Reads units into a buffer of its own, which the next reading overwrites: one reader for each thread."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._function = library.perceiver_star_read_units
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._function.argtypes = (
            ctypes.c_char_p,
            number,
            *(pointer, number, pointer),
            *(pointer, pointer, number, pointer),
        )
        self._function.restype = number
        self._path = np.array([message.DESCRIPTOR.fields_by_name[name].number for message, name in _PATH], np.int32)
        self._layout = _layout()
        self._num_units = ctypes.c_int64()
        self._addresses = self._path.ctypes.data, ctypes.addressof(self._layout), ctypes.addressof(self._num_units)
        self._allocate(_FIRST_CAPACITY)

    def _allocate(self, capacity: int) -> None:
        self._capacity = capacity
        self._values = np.zeros((capacity, len(RECORD_FIELDS)))
        self._tags = np.zeros((capacity, len(TAG_FIELDS)), np.int64)
        self._pointers = (self._values.ctypes.data, self._tags.ctypes.data)

    def read(self, observation_raw: Any, answer: bytes | None = None) -> RecordRows:
        """Return the records of an `ObservationRaw` message, valid until the next call.

        Args:
            answer: the Response that the message came in, as bytes; they need not be made anew then.

        Raises:
            ValueError: if the C side cannot read the message.
        """
        if answer is not None:
            rows = self._read(answer, len(self._path))
            # pysc2 gives the last observation once more where the game has ended and tells no new one.
            if rows is not None and rows.num_units == len(observation_raw.units):
                return rows
        rows = self._read(observation_raw.SerializeToString(), 0)
        if rows is None:
            raise ValueError(f"expected a well-formed ObservationRaw; set {NATIVE_VARIABLE}=0 to read it in Python")
        return rows

    def _read(self, data: bytes, depth: int) -> RecordRows | None:
        """Return the records of the message at the end of `depth` steps of the path; None if there is not one."""
        path, layout, num_units = self._addresses
        while True:
            rows = self._function(data, len(data), path, depth, layout, *self._pointers, self._capacity, num_units)
            if rows <= self._capacity:
                break
            self._allocate(2 * rows)
        if rows < 0:
            return None
        return RecordRows(self._values[:rows], self._tags[:rows], self._num_units.value, self._pointers)


def _layout() -> _Layout:
    """Return the columns of each field, by its number in `raw.proto`."""
    layout = _Layout(num_columns=len(RECORD_FIELDS), **{name: FIELD[name] for name in _NAMED_COLUMNS})
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
