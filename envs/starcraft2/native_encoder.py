"""The fast encoder of units: raw_units and entities made in C, with the tables that Python's encoder uses."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.spaces import ENTITY_CATEGORIES, ENTITY_CLASSES, ENTITY_POSITIONS, ENTITY_VALUES
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entities import candidates, write_mask
from envs.starcraft2.entity_columns import CATEGORY_NAMES, VALUE, VALUE_NAMES
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


_FIRST_CAPACITY = 1024
_TAG_COLUMNS = tuple(COLUMN[name] for name in ("tag", "unit_type", "addon_unit_type"))


class _Candidates(NamedTuple):
    """raw_units [N, 46], records [N, fields] and effects [N] (None without any), and the addresses of the three."""

    raw: NDArray[np.int64]
    values: NDArray[np.float64]
    effects: NDArray[np.int64] | None
    addresses: tuple[int, int, int | None]


class NativeUnitEncoder:
    """Encodes units in C; not to be shared between threads."""

    def __init__(self, library: ctypes.CDLL, grid: Grid) -> None:
        self._grid = grid
        self._reader = NativeUnitReader(library)
        pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
        arguments = {
            "raw_units": (*(pointer, number) * 2, number, number, pointer, *(number,) * 4, real, pointer),
            "order_keys": (pointer, pointer, number, pointer, number, number, pointer, pointer),
            "entities": (*(pointer,) * 5, number, pointer, number, number, *(pointer,) * 5),
        }
        self._functions = {name: library[f"perceiver_star_{name}"] for name in arguments}
        for name, function in self._functions.items():
            function.argtypes, function.restype = arguments[name], None
        self._tables = NativeTables(grid)
        self._raw_columns = self._tables.columns(raw_column(name, grid, self._tables) for name in COLUMN_NAMES)
        self._about, self._sorting = self._tables.about(), self._tables.sorting()
        self._targets: list[NDArray[Any]] = []
        self._target_addresses: list[int] = []
        self._allocate(_FIRST_CAPACITY)

    def _allocate(self, capacity: int) -> None:
        self._keys, self._scratch = np.empty(capacity), np.empty((3, capacity), np.int64)
        self._key_addresses = _address(self._scratch), _address(self._keys)

    def encode(
        self,
        observation_raw: Any,
        arrays: Mapping[str, NDArray[Any]],
        last_action: LastAction | None,
        answer: bytes | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Fill the entity arrays of one observation; return `raw_units` [N, 46] and the slots' tags [max_entities].

        Args:
            answer: the Response that the observation came in, as bytes.

        Raises:
            ValueError: if an array is not of the space's type and shape, or not in one piece.
        """
        targets, max_entities = self._addresses(arrays), len(arrays[ENTITY_CLASSES])
        rows = self._reader.read(observation_raw, answer)
        units = self._raw_units(rows)
        found = self._candidates(units, rows, observation_raw.effects)
        order = self._order(found, max_entities)
        tags = np.zeros(max_entities, np.int64)
        action = last_action or LastAction()
        selected = np.asarray(action.selected_tags, np.int64)
        self._functions["entities"](
            ctypes.addressof(self._about),
            *found.addresses,
            _address(order),
            len(order),
            _address(selected),
            len(selected),
            action.target_tag,
            *targets,
            _address(tags),
        )
        # The C library's sine may differ from NumPy's in the last digit.
        facing = found.values[order, FIELD["facing"]]
        arrays[ENTITY_VALUES][: len(order), VALUE["facing_sine"]] = np.sin(facing)
        arrays[ENTITY_VALUES][: len(order), VALUE["facing_cosine"]] = np.cos(facing)
        write_mask(arrays, len(order))
        return units, tags

    def _addresses(self, arrays: Mapping[str, NDArray[Any]]) -> list[int]:
        """Return the addresses of the arrays that C writes into, in its order."""
        targets = [arrays[key] for key, _ in _CHECKED]
        # Rows of a batch are the same ones each time.
        if not self._targets or any(map(operator.is_not, targets, self._targets)):
            _check(targets)
            self._targets, self._target_addresses = targets, [_address(target) for target in targets]
        return self._target_addresses

    def _raw_units(self, rows: RecordRows) -> NDArray[np.int64]:
        """Return `raw_units.raw_units` of the records."""
        units = np.empty((len(rows.values), len(COLUMN_NAMES)), np.int64)
        self._functions["raw_units"](
            rows.addresses[0],
            len(RECORD_FIELDS),
            rows.addresses[1],
            len(TAG_FIELDS),
            len(units),
            rows.num_units,
            self._raw_columns,
            len(COLUMN_NAMES),
            *_TAG_COLUMNS,
            self._grid.map_height,
            _address(units),
        )
        return units

    def _candidates(self, units: NDArray[np.int64], rows: RecordRows, effects: Any) -> _Candidates:
        """Return `entities.candidates` row by row."""
        if not effects:
            return _Candidates(units, rows.values, None, (_address(units), rows.addresses[0], None))
        found = candidates(units, rows.records(), effects, self._grid)
        raw, values = np.ascontiguousarray(found.raw.T), np.ascontiguousarray(found.values.T)
        addresses = _address(raw), _address(values), _address(found.effects)
        return _Candidates(raw, values, found.effects, addresses)

    def _order(self, found: _Candidates, max_entities: int) -> NDArray[np.intp]:
        """Return `entities.entity_order` of the candidates."""
        num_candidates = len(found.raw)
        if num_candidates > len(self._keys):
            self._allocate(2 * num_candidates)
        raw, _, effects = found.addresses
        self._functions["order_keys"](
            ctypes.addressof(self._sorting),
            raw,
            len(COLUMN_NAMES),
            effects,
            num_candidates,
            max_entities,
            *self._key_addresses,
        )
        return np.argsort(self._keys[:num_candidates], kind="stable")[:max_entities]


def _address(array: NDArray[Any]) -> int:
    return array.ctypes.data


def _check(targets: list[NDArray[Any]]) -> None:
    for array, (key, dtype), width in zip(targets, _CHECKED, _WIDTHS, strict=True):
        shape = (len(targets[0]), width)
        if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
            expected = f"a contiguous {np.dtype(dtype)} array {shape}"
            raise ValueError(f"expected {key} as {expected}, got {array.dtype} {array.shape}")
