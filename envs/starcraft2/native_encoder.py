"""The fast encoder of units: raw_units and entities made in C, with the tables that Python's encoder uses."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.spaces import ENTITY_CATEGORIES, ENTITY_CLASSES, ENTITY_POSITIONS, ENTITY_VALUES
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entities import BEYOND_EVERY_DISTANCE, FARTHEST, candidates, order_groups, write_mask
from envs.starcraft2.entity_columns import (
    CATEGORY_NAMES,
    VALUE,
    VALUE_NAMES,
)
from envs.starcraft2.native_reader import NativeUnitReader, RecordRows
from envs.starcraft2.native_tables import NativeTables, raw_column
from envs.starcraft2.raw_units import COLUMN, COLUMN_NAMES
from envs.starcraft2.scalars import LastAction
from envs.starcraft2.unit_records import FIELD, RECORD_FIELDS, TAG_FIELDS

_CHECKED = (
    (ENTITY_CATEGORIES, np.int32),
    (ENTITY_VALUES, np.float32),
    (ENTITY_POSITIONS, np.int32),
    (ENTITY_CLASSES, np.int32),
)
_WIDTHS = (len(CATEGORY_NAMES), len(VALUE_NAMES), 2, 2)


class NativeUnitEncoder:
    """Encodes units in C; not to be shared between threads."""

    def __init__(self, library: ctypes.CDLL, grid: Grid) -> None:
        self._grid = grid
        self._reader = NativeUnitReader(library)
        pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
        arguments = {
            "raw_units": (pointer, number, number, pointer, number, real, pointer),
            "addons": (pointer, number, number, number, pointer, number, number, number),
            "order_keys": (pointer, number, number, number, pointer, pointer, number, number, real, pointer, pointer),
            "entities": (*(pointer,) * 5, number, pointer, number, number, *(pointer,) * 5),
        }
        self._functions = {name: library[f"perceiver_star_{name}"] for name in arguments}
        for name, function in self._functions.items():
            function.argtypes, function.restype = arguments[name], None
        self._tables = NativeTables(grid)
        self._raw_columns = self._tables.columns(raw_column(name, grid, self._tables) for name in COLUMN_NAMES)
        self._about = self._tables.about()

    def encode(
        self, observation_raw: Any, arrays: Mapping[str, NDArray[Any]], last_action: LastAction | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Fill the entity arrays of one observation; return `raw_units` [N, 46] and the slots' tags [max_entities].

        Raises:
            ValueError: if an array is not of the space's type and shape, or not in one piece.
        """
        targets = _checked(arrays)
        rows = self._reader.read(observation_raw)
        units = self._raw_units(rows)
        found = candidates(units, rows.records(), observation_raw.effects, self._grid)
        raw, values = np.ascontiguousarray(found.raw.T), np.ascontiguousarray(found.values.T)
        order = self._order(raw, found.effects, len(targets[0]))
        tags = np.zeros(len(targets[0]), np.int64)
        action = last_action or LastAction()
        selected = np.asarray(action.selected_tags, np.int64)
        self._functions["entities"](
            ctypes.addressof(self._about),
            *(array.ctypes.data for array in (raw, values, found.effects, order)),
            len(order),
            selected.ctypes.data,
            len(selected),
            action.target_tag,
            *(array.ctypes.data for array in (*targets, tags)),
        )
        # The C library's sine may differ from NumPy's in the last digit.
        facing = values[order, FIELD["facing"]]
        arrays[ENTITY_VALUES][: len(order), VALUE["facing_sine"]] = np.sin(facing)
        arrays[ENTITY_VALUES][: len(order), VALUE["facing_cosine"]] = np.cos(facing)
        write_mask(arrays, len(order))
        return units, tags

    def _raw_units(self, rows: RecordRows) -> NDArray[np.int64]:
        """Return `raw_units.raw_units` of the records."""
        units = np.empty((len(rows.values), len(COLUMN_NAMES)), np.int64)
        pointer, tags = units.ctypes.data, rows.tags.ctypes.data
        self._functions["raw_units"](
            rows.values.ctypes.data,
            len(RECORD_FIELDS),
            len(units),
            self._raw_columns,
            len(COLUMN_NAMES),
            self._grid.map_height,
            pointer,
        )
        units[:, COLUMN["tag"]] = rows.tags[:, 0]
        columns = len(COLUMN_NAMES), COLUMN["unit_type"], COLUMN["addon_unit_type"]
        self._functions["addons"](pointer, *columns, tags, len(TAG_FIELDS), len(units), rows.num_units)
        return units

    def _order(self, raw: NDArray[np.int64], effects: NDArray[np.int64], max_entities: int) -> NDArray[np.intp]:
        """Return `entities.entity_order` of the candidates, raw [N, 46] row by row."""
        groups, by_distance = order_groups(raw[:, COLUMN["alliance"]], effects, max_entities)
        scratch, keys = np.empty((2, len(raw)), np.int64), np.empty(len(raw))
        self._functions["order_keys"](
            raw.ctypes.data,
            len(COLUMN_NAMES),
            COLUMN["x"],
            COLUMN["y"],
            groups.ctypes.data,
            by_distance.ctypes.data,
            len(raw),
            FARTHEST,
            BEYOND_EVERY_DISTANCE,
            scratch.ctypes.data,
            keys.ctypes.data,
        )
        return np.argsort(keys, kind="stable")[:max_entities]


def _checked(arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the arrays that C writes into, in its order."""
    targets = []
    for (key, dtype), width in zip(_CHECKED, _WIDTHS, strict=True):
        array = arrays[key]
        if array.dtype != dtype or array.shape[1:] != (width,) or not array.flags.c_contiguous:
            expected = f"a contiguous {np.dtype(dtype)} array of {width} columns"
            raise ValueError(f"expected {key} as {expected}, got {array.dtype} {array.shape}")
        targets.append(array)
    return targets
