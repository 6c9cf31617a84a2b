from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.recording_arrays import ArrayKind, decode, encode

GENERATOR = np.random.default_rng(0)


def values(*columns: Any) -> NDArray[np.float32]:
    return np.stack([np.asarray(column, np.float32) for column in columns], 1)


ARRAYS = {
    "slots": GENERATOR.integers(0, 200, 50),
    "negative": GENERATOR.integers(-300, 300, (50, 3), dtype=np.int64),
    "categories": GENERATOR.integers(0, 1000, (50, 8), dtype=np.int32),
    "large": np.asarray([0, 2**40]),
    "mask": GENERATOR.random((50, 78)) < 0.3,
    "planes": np.repeat(GENERATOR.integers(0, 2, (5, 2, 4, 3), dtype=np.uint8), 10, 0),
    "moving planes": (np.arange(24).reshape(1, 2, 4, 3) == np.arange(50).reshape(50, 1, 1, 1) % 30).astype(np.uint8),
    "jumping planes": GENERATOR.integers(0, 3, (50, 2, 4, 3), dtype=np.uint8),
    "flags beside counts": np.stack([GENERATOR.integers(0, size, 50) for size in (1, 2, 2, 2, 200, 999)], 1),
    "float planes": GENERATOR.random((5, 1, 2, 2)).astype(np.float32),
    "values": values(np.arange(2000) % 7 / 10, np.arange(2000) % 300, GENERATOR.random(2000), np.full(2000, 0.1)),
    "odd numbers": values([0.0, -0.0, np.nan, np.inf], [1.0, 1.0, 1.0, 1.0]),
    "doubles": GENERATOR.random((20, 2)),
    "flags": GENERATOR.random(20) < 0.5,
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("rows", [slice(0, None), slice(0, 0), slice(1, 4), slice(17, 20)])
def test_arrays_come_back_bit_for_bit(name: str, rows: slice) -> None:
    array = ARRAYS[name]
    rows = slice(*rows.indices(len(array))[:2])
    again = decode(encode(array), ArrayKind.of(array), rows)
    assert again.dtype == array.dtype
    assert again.shape == array[rows].shape
    assert again.tobytes() == array[rows].tobytes()
    assert again.flags.writeable


@pytest.mark.parametrize("name", ARRAYS)
def test_empty_arrays_come_back(name: str) -> None:
    empty = ARRAYS[name][:0]
    again = decode(encode(empty), ArrayKind.of(empty), slice(0, 0))
    assert (again.dtype, again.shape) == (empty.dtype, empty.shape)


def test_few_values_take_few_bytes() -> None:
    parts = encode(ARRAYS["values"])
    # Seven values, three hundred, a value a row, one value.
    assert parts["codes8"].shape == (2000, 1)
    assert parts["codes16"].shape == (2000, 1)
    assert parts["numbers"].shape == (2000, 1)
    assert len(parts["book"]) == 7 + 300 + 1
    assert encode(ARRAYS["flags beside counts"])["codes1"].shape == (50, 1)
    assert encode(ARRAYS["mask"])["bits"].shape == (50, 10)


def test_only_changes_of_pictures_are_stored() -> None:
    moving = encode(ARRAYS["moving planes"])
    assert len(moving["whole"]) < 10, "two pixels of 24 change at a time"
    assert len(moving["values"]) < 2 * 49
    still = encode(np.ones((1000, 3, 4, 4), np.uint8))
    assert still["planes"].shape == (1, 4, 4), "equal planes are stored once"
    assert len(still["values"]) == 0
