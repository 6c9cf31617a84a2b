"""Arrays in few bytes without loss, in forms that are read from a memory map: what recordings are made of."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}  # types to compare values of any type bit for bit

# How a column is stored: one value, a bit a row, the number of its value in one or two bytes, or as it is.
_CONSTANT, _BIT, _NARROW, _WIDE, _PLAIN = range(5)
_MOST_VALUES = {_CONSTANT: 1, _BIT: 2, _NARROW: 1 << 8, _WIDE: 1 << 16}
_CODES = {_BIT: "codes1", _NARROW: "codes8", _WIDE: "codes16", _PLAIN: "numbers"}

# A picture is stored whole where so much of it has changed since the last whole one, and as its changes elsewhere.
_WHOLE_AFTER = 0.5


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

    Of [n, K], what takes less of: the number of each row among the different ones; or, of masks a bit an entry, of
    numbers that of each value among those of its column. Of pictures [n, P, H, W], what changes from one to the next.
    Whole numbers [n] take the smallest type that holds them.
    """
    if array.ndim > 2:
        return _encode_pictures(array)
    if array.ndim < 2:
        return {"plain": _smallest(array)}
    entries = _encode_entries(array)
    distinct = _distinct_rows(array)
    if distinct is not None:
        rows, row = distinct
        fewer = {**_encode_entries(rows), "row": _smallest(row)}
        return min(entries, fewer, key=_size)
    return entries


def decode(parts: Mapping[str, Array], kind: ArrayKind, rows: slice) -> Array:
    """Return rows (a slice with both ends, within the array) of what the parts were made of, as an array of its own."""
    if "ends" in parts:
        return _decode_pictures(parts, kind, rows)
    if "plain" in parts:
        return np.array(parts["plain"][rows], kind.dtype)
    chosen = parts["row"][rows] if "row" in parts else rows
    if "bits" in parts:
        return np.unpackbits(parts["bits"][chosen], axis=1, count=kind.shape[0]).view(np.bool_)
    return _decode_columns(parts, kind, chosen, rows.stop - rows.start)


def _size(parts: Mapping[str, Array]) -> int:
    return sum(part.nbytes for part in parts.values())


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


def _as_bits(array: Array) -> Array:
    """Return the array's bits as numbers, by which -0.0 and NaN are values like others."""
    return np.ascontiguousarray(array).view(_BITS[array.itemsize])


def _distinct_rows(array: Array) -> tuple[Array, Array] | None:
    """Return the different rows, and which of them each row is; None where their hashes do not tell."""
    if not array.size:
        return None
    factors = np.random.default_rng(0).integers(1, 1 << 63, size=array.shape[1], dtype=np.uint64)
    _, first, row = np.unique(_as_bits(array) @ (factors | 1), return_index=True, return_inverse=True)
    rows, row = array[first], row.reshape(-1)
    return None if (_as_bits(rows)[row] != _as_bits(array)).any() else (rows, row)


def _encode_entries(array: Array) -> dict[str, Array]:
    return {"bits": np.packbits(array, axis=1)} if array.dtype == np.bool_ else _encode_columns(array)


def _encode_columns(array: Array) -> dict[str, Array]:
    bits = _as_bits(array)
    codes: dict[int, list[Array]] = {storage: [] for storage in _CODES}
    book: list[Array] = [np.zeros(0, bits.dtype)]
    columns = np.zeros((array.shape[1], 2), np.int32)
    first = 0
    for column in range(array.shape[1]):
        values, numbers = _numbered(bits[:, column])
        storage = next((kind for kind, most in _MOST_VALUES.items() if len(values) <= most), _PLAIN)
        if storage == _WIDE and len(numbers) * (array.itemsize - 2) <= len(values) * array.itemsize:
            storage = _PLAIN  # the values would take more than their numbers save
        columns[column] = storage, first
        if storage == _PLAIN:
            codes[storage].append(array[:, column])
            continue
        if storage != _CONSTANT:
            codes[storage].append(numbers)
        book.append(values)
        first += len(values)
    parts = {"columns": columns, "book": np.concatenate(book).view(array.dtype)}
    for storage, name in _CODES.items():
        if codes[storage]:
            together = np.stack(codes[storage], 1)
            parts[name] = np.packbits(together, axis=1) if storage == _BIT else together
    return parts


def _numbered(column: Array) -> tuple[Array, Array]:
    """Return the distinct values of a column, sorted, and each row's number among them in a small type."""
    if len(column) and (column == column[0]).all():
        return column[:1], np.zeros(len(column), np.uint8)
    values, numbers = np.unique(column, return_inverse=True)
    return values, numbers.reshape(-1).astype(np.uint8 if len(values) <= _MOST_VALUES[_NARROW] else np.uint16)


def _decode_columns(parts: Mapping[str, Array], kind: ArrayKind, rows: slice | Array, length: int) -> Array:
    storages, first = parts["columns"].T
    book = np.asarray(parts["book"])
    if not length or not len(storages):
        return np.empty((length, len(storages)), kind.dtype)
    constant = book[first[storages == _CONSTANT]]
    columns = [np.broadcast_to(constant, (length, len(constant)))]
    for storage, name in _CODES.items():
        if name in parts:
            begins, codes = first[storages == storage], parts[name][rows]
            if storage == _BIT:
                codes = np.unpackbits(codes, axis=1, count=len(begins))
            columns.append(codes if storage == _PLAIN else book[codes + begins])
    # They stand together by how they are stored; each goes back to its place.
    places = np.empty(len(storages), np.intp)
    places[np.argsort(storages, kind="stable")] = np.arange(len(storages))
    return np.concatenate(columns, 1).take(places, axis=1)


def _encode_pictures(array: Array) -> dict[str, Array]:
    """Return whole pictures, equal planes stored once, and what has changed at each row since the row before."""
    flat = array.reshape(len(array), int(np.prod(array.shape[1:])))
    bits = _as_bits(flat)
    whole_rows, positions, values, counts = [], [], [], []
    changed = 0
    for row in range(len(flat)):
        places = np.flatnonzero(bits[row] != bits[row - 1]) if row else np.zeros(0, np.int64)
        changed += len(places)
        if row == 0 or changed > _WHOLE_AFTER * flat.shape[1]:
            whole_rows.append(row)
            places, changed = places[:0], 0
        positions.append(places)
        values.append(flat[row, places])
        counts.append(len(places))
    whole = np.ascontiguousarray(array[np.asarray(whole_rows, np.int64)])
    planes = whole.reshape(len(whole) * array.shape[1], *array.shape[2:])
    stored, numbers = _distinct(planes)
    return {
        "ends": _smallest(np.cumsum(counts, dtype=np.int64)),
        "positions": _smallest(np.concatenate([np.zeros(0, np.int64), *positions])),
        "values": np.concatenate([flat[:0, 0], *values]),
        "whole": np.asarray(whole_rows, np.int64),
        "whole_planes": numbers.reshape(len(whole), array.shape[1]),
        "planes": planes[stored],
    }


def _distinct(planes: Array) -> tuple[list[int], Array]:
    """Return the indices of planes [n, H, W] that are equal to none before, and which of them each one is."""
    found: dict[bytes, int] = {}
    first = [found.setdefault(plane.tobytes(), index) for index, plane in enumerate(planes)]
    stored = sorted(found.values())
    return stored, np.searchsorted(stored, np.asarray(first, np.int64))


def _decode_pictures(parts: Mapping[str, Array], kind: ArrayKind, rows: slice) -> Array:
    pictures = np.empty((rows.stop - rows.start, *kind.shape), kind.dtype)
    flat = pictures.reshape(len(pictures), int(np.prod(kind.shape)))
    ends, whole = parts["ends"], parts["whole"]
    row = rows.start
    while row < rows.stop:
        latest = int(np.searchsorted(whole, row, side="right")) - 1
        until = min(rows.stop, int(whole[latest + 1]) if latest + 1 < len(whole) else rows.stop)
        picture = parts["planes"][parts["whole_planes"][latest]].reshape(-1).astype(kind.dtype)
        applied = int(ends[whole[latest]])
        starts = [row, *(row + 1 + np.flatnonzero(ends[row + 1 : until] != ends[row : until - 1])), until]
        for start, stop in itertools.pairwise(starts):
            changes = slice(applied, int(ends[start]))
            picture[parts["positions"][changes]] = parts["values"][changes]  # of equal places the last one stays
            flat[start - rows.start : stop - rows.start] = picture
            applied = changes.stop
        row = until
    return pictures
