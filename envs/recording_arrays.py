"""Arrays in few bytes without loss, in forms that are read from a memory map: what recordings are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)
_CONSTANT, _NARROW, _WIDE, _PLAIN = range(4)  # how a column of floats is stored
_LARGEST_CODE = {_CONSTANT: 0, _NARROW: 255, _WIDE: 65_535}


@dataclass(frozen=True)
class ArrayKind:
    """What a row of an array is: its type, and its shape without the first dimension."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: Array) -> ArrayKind:
        """Return the kind of an array."""
        return cls(array.dtype, array.shape[1:])


def encode(array: Array) -> dict[str, Array]:
    """Return the parts, by name, that `decode` makes the array [n, ...] of again, bit for bit.

    Integers take the smallest type that holds them, masks [n, K] a bit for each entry, real numbers [n, K] the number
    of their value among those of their column, and pictures [n, P, H, W] are stored where they change.
    """
    if array.ndim > 2:
        changes = np.ones(len(array), np.bool_)
        changes[1:] = (array[1:] != array[:-1]).any(tuple(range(1, array.ndim)))
        return {"frames": _smallest(array[changes]), "frame": _smallest(np.cumsum(changes) - 1)}
    if array.dtype == np.bool_ and array.ndim == 2:
        return {"bits": np.packbits(array, axis=1)}
    if array.dtype == np.float32 and array.ndim == 2:
        return _encode_columns(array)
    return {"plain": _smallest(array)}


def decode(parts: Mapping[str, Array], kind: ArrayKind, rows: slice) -> Array:
    """Return rows (a slice with both ends, within the array) of what the parts were made of, as an array of its own."""
    if "frames" in parts:
        return np.asarray(parts["frames"][parts["frame"][rows]], kind.dtype)
    if "bits" in parts:
        return np.unpackbits(parts["bits"][rows], axis=1, count=kind.shape[0]).view(np.bool_)
    if "columns" in parts:
        return _decode_columns(parts, kind, rows)
    return np.array(parts["plain"][rows], kind.dtype)


def _smallest(array: Array) -> Array:
    """Return whole numbers in the smallest type that holds them all; anything else as it is."""
    if array.dtype.kind not in "iu":
        return array
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for dtype in _INTEGERS:
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max and limits.bits <= 8 * array.itemsize:
            return array.astype(dtype)
    return array


def _encode_columns(array: Array) -> dict[str, Array]:
    bits = np.ascontiguousarray(array).view(np.uint32)  # compared as bits, -0.0 and NaN are values like others
    stored: dict[int, list[Array]] = {_NARROW: [], _WIDE: [], _PLAIN: []}
    book: list[Array] = []
    columns = np.zeros((array.shape[1], 2), np.int32)
    first = 0
    for column in range(array.shape[1]):
        values, codes = np.unique(bits[:, column], return_inverse=True)
        storage = next((kind for kind, largest in _LARGEST_CODE.items() if len(values) <= largest + 1), _PLAIN)
        if storage == _WIDE and 2 * len(values) >= len(codes):  # then the values take more than their codes save
            storage = _PLAIN
        columns[column] = storage, first
        if storage == _PLAIN:
            stored[_PLAIN].append(array[:, column])
            continue
        if storage != _CONSTANT:
            stored[storage].append(codes.reshape(-1))
        book.append(values)
        first += len(values)
    parts = {"columns": columns, "book": np.concatenate([*book, np.zeros(0, np.uint32)]).view(np.float32)}
    for name, storage, dtype in _COLUMN_PARTS:
        if stored[storage]:
            parts[name] = np.stack(stored[storage], 1).astype(dtype)
    return parts


_COLUMN_PARTS = (("codes8", _NARROW, np.uint8), ("codes16", _WIDE, np.uint16), ("floats", _PLAIN, np.float32))


def _decode_columns(parts: Mapping[str, Array], kind: ArrayKind, rows: slice) -> Array:
    storage, first = parts["columns"].T
    book = np.asarray(parts["book"])
    array = np.empty((rows.stop - rows.start, kind.shape[0]), kind.dtype)
    constant = np.flatnonzero(storage == _CONSTANT)
    if len(book):
        array[:, constant] = book[first[constant]]
    for name, stored, _ in _COLUMN_PARTS:
        if name in parts:
            chosen, part = np.flatnonzero(storage == stored), parts[name][rows]
            array[:, chosen] = part if stored == _PLAIN else book[part + first[chosen]]
    return array
