"""The tables from which C makes raw_units and entities: those that NumPy's encoder uses, entry by entry."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entities import (
    BEYOND_EVERY_DISTANCE,
    BY_DISTANCE,
    BY_DISTANCE_IN_A_CROWD,
    EFFECT_GROUP,
    FARTHEST,
    GROUP_OF_ALLIANCE,
)
from envs.starcraft2.entity_classes import selection_classes, target_classes
from envs.starcraft2.entity_columns import (
    ADDON_CATEGORY,
    CAPPED_SIZES,
    CATEGORY_NAMES,
    DIVIDED_SIZES,
    DIVISORS,
    ENEMY,
    FIRST_EFFECT_TYPE,
    MOST_MINERALS,
    MOST_VESPENE,
    OWN,
    PLACEHOLDER,
    SCALED,
    SQUARE_ROOT_SIZES,
    VALUE_NAMES,
)
from envs.starcraft2.raw_units import COLUMN, COLUMN_NAMES, FUNCTION_OF_ABILITY
from envs.starcraft2.tables import (
    ATTRIBUTE_NAMES,
    BUFF_IDS,
    UNIT_ATTRIBUTES,
    UNIT_TYPE_IDS,
    buff_index,
    unit_type_index,
)
from envs.starcraft2.unit_records import FIELD, RECORD_FIELDS

_UNUSED, _COPIED, _TIMES, _RATIO, _FROM_LEFT, _FROM_TOP, _LOOKED_UP = range(7)
_CAPPED, _ROOT, _WHOLE_QUOTIENT, _MINED, _FLAG = range(10, 15)
_RAW_QUOTIENT, _FIELD_QUOTIENT, _SHARE, _MAP_POSITION = range(20, 24)
_FIELD_OF_COLUMN = {"hallucination": "is_hallucination", "active": "is_active"}


class _Column(ctypes.Structure):
    _fields_ = (
        ("source", ctypes.c_int32),
        ("kind", ctypes.c_int32),
        ("parameter", ctypes.c_double),
        ("high", ctypes.c_int64),
        ("table", ctypes.c_void_p),
    )


_NUMBERS = (
    *("num_raw", "num_fields", "num_categories", "num_values", "num_attributes", "first_effect_type"),
    *("last_x", "last_y", "unit_type", "alliance", "display_type", "x", "y", "tag", "is_in_cargo"),
    *("build_progress", "is_flying", "own", "highest_alliance", "placeholder", "unfinished_class", "last_unit_type"),
)
_POINTERS = ("categories", "values", "type_indices", "selection_classes", "target_classes", "attributes")


class _Entities(ctypes.Structure):
    _fields_ = (*((name, ctypes.c_int64) for name in _NUMBERS), *((name, ctypes.c_void_p) for name in _POINTERS))


class _Sorting(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("alliance", "x", "y", "highest_alliance", "effect_group", "farthest")),
        ("beyond", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("group_of_alliance", "by_distance", "by_distance_in_a_crowd")),
    )


_Entry = tuple[int, int, float, int, int]
"""source, kind, parameter, high, address of a table"""


class NativeTables:
    """The tables that C reads, kept alive."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._kept: list[Any] = []
        ids = np.arange(max(UNIT_TYPE_IDS) + 2)
        ones = np.ones(len(ids), np.bool_)
        self.last_unit_type = len(ids) - 1
        self.type_indices = self.keep(unit_type_index(ids))
        self.selection_classes = self.keep(selection_classes(ids, ones, ones.astype(np.float64)))
        self.unfinished_class = int(selection_classes(ids[:1], ones[:1], np.zeros(1))[0])
        kinds = [(alliance, flying) for alliance in range(ENEMY + 1) for flying in (False, True)]
        by_kind = [target_classes(ids, np.full(len(ids), kind), ones & flying, ones) for kind, flying in kinds]
        self.target_classes = self.keep(np.concatenate(by_kind))
        buffs = np.arange(max(BUFF_IDS) + 2)
        self.functions = self.keep(FUNCTION_OF_ABILITY)
        self.buffs = self.keep(np.where(buffs > 0, buff_index(buffs) + 1, 0))
        self.addons = self.keep(ADDON_CATEGORY)

    def keep(self, table: NDArray[Any], dtype: Any = np.int32) -> NDArray[Any]:
        """Return a table as C wants it."""
        kept = np.ascontiguousarray(table, dtype)
        self._kept.append(kept)
        return kept

    def columns(self, columns: Iterable[_Entry]) -> int:
        """Return the address of an array of columns."""
        entries = [_Column(*entry) for entry in columns]
        kept = (_Column * len(entries))(*entries)
        self._kept.append(kept)
        return ctypes.addressof(kept)

    def about(self) -> _Entities:
        """Return everything that C needs to know to make entities."""
        categories = self.columns(_category(name, self) for name in CATEGORY_NAMES)
        real_names = VALUE_NAMES[: -len(ATTRIBUTE_NAMES)]
        values = self.columns(_value(name, self._grid) for name in real_names)
        attributes = self.keep(UNIT_ATTRIBUTES, np.int8)
        return _Entities(
            num_raw=len(COLUMN_NAMES),
            num_fields=len(RECORD_FIELDS),
            num_categories=len(CATEGORY_NAMES),
            num_values=len(real_names),
            num_attributes=len(ATTRIBUTE_NAMES),
            first_effect_type=FIRST_EFFECT_TYPE,
            last_x=self._grid.width - 1,
            last_y=self._grid.height - 1,
            **{name: COLUMN[name] for name in _NUMBERS if name in COLUMN and name != "build_progress"},
            build_progress=FIELD["build_progress"],
            is_flying=FIELD["is_flying"],
            own=OWN,
            highest_alliance=ENEMY,
            placeholder=PLACEHOLDER,
            unfinished_class=self.unfinished_class,
            last_unit_type=self.last_unit_type,
            categories=categories,
            values=values,
            type_indices=self.type_indices.ctypes.data,
            selection_classes=self.selection_classes.ctypes.data,
            target_classes=self.target_classes.ctypes.data,
            attributes=attributes.ctypes.data,
        )

    def sorting(self) -> _Sorting:
        """Return everything that C needs to know to order entities."""
        return _Sorting(
            **{name: COLUMN[name] for name in ("alliance", "x", "y")},
            highest_alliance=len(GROUP_OF_ALLIANCE) - 1,
            effect_group=EFFECT_GROUP,
            farthest=FARTHEST,
            beyond=BEYOND_EVERY_DISTANCE,
            group_of_alliance=self.keep(GROUP_OF_ALLIANCE, np.int64).ctypes.data,
            by_distance=self.keep(BY_DISTANCE, np.int8).ctypes.data,
            by_distance_in_a_crowd=self.keep(BY_DISTANCE_IN_A_CROWD, np.int8).ctypes.data,
        )


def _looked_up(source: int, table: NDArray[Any]) -> _Entry:
    return source, _LOOKED_UP, 0, len(table) - 1, table.ctypes.data


def raw_column(name: str, grid: Grid, tables: NativeTables) -> _Entry:
    """Return how a column of raw_units is made of a record."""
    field = _FIELD_OF_COLUMN.get(name, name)
    if name in ("build_progress", "order_progress_0", "order_progress_1"):
        return FIELD[name], _TIMES, 100, 0, 0
    if name == "radius":
        return FIELD[name], _TIMES, float(grid.scale[0]), 0, 0
    if name in ("x", "y"):
        axis = ("x", "y").index(name)
        return FIELD[name], (_FROM_LEFT, _FROM_TOP)[axis], float(grid.scale[axis]), 0, 0
    if name.endswith("_ratio"):
        vital = name.removesuffix("_ratio")
        return FIELD[vital], _RATIO, 0, FIELD[f"{vital}_max"], 0
    if name.startswith("order_id_"):
        return _looked_up(FIELD[name.replace("order", "ability")], tables.functions)
    return (FIELD[field], _COPIED, 0, 0, 0) if field in FIELD else (0, _UNUSED, 0, 0, 0)


def _category(name: str, tables: NativeTables) -> _Entry:
    """Return how a category is made of raw_units and records."""
    column, _, divisor = name.partition("_div_")
    root = name.removeprefix("sqrt_")
    if name in CAPPED_SIZES:
        return COLUMN[name], _CAPPED, 0, CAPPED_SIZES[name] - 1, 0
    if root in SQUARE_ROOT_SIZES:
        return COLUMN[root], _ROOT, 0, SQUARE_ROOT_SIZES[root] - 1, 0
    if divisor:
        return (
            COLUMN[column],
            _WHOLE_QUOTIENT,
            DIVISORS[column],
            DIVIDED_SIZES[column] - 1,
            0,
        )
    others: dict[str, _Entry] = {
        "unit_type": _looked_up(COLUMN["unit_type"], tables.type_indices),
        "sqrt_mined_minerals": (COLUMN["mineral_contents"], _MINED, MOST_MINERALS, 0, 0),
        "sqrt_mined_vespene": (COLUMN["vespene_contents"], _MINED, MOST_VESPENE, 0, 0),
        "buff_0": _looked_up(COLUMN["buff_id_0"], tables.buffs),
        "buff_1": _looked_up(COLUMN["buff_id_1"], tables.buffs),
        "addon": _looked_up(COLUMN["addon_unit_type"], tables.addons),
        "is_flying": (FIELD["is_flying"], _FLAG, 0, 0, 0),
        "is_burrowed": (FIELD["is_burrowed"], _FLAG, 0, 0, 0),
    }
    return others.get(name, (0, _UNUSED, 0, 0, 0))


def _value(name: str, grid: Grid) -> _Entry:
    """Return how a real value is made of raw_units and records."""
    column = name.partition("_div_")[0]
    if column in SCALED:
        return COLUMN[column], _RAW_QUOTIENT, SCALED[column], 0, 0
    others: dict[str, _Entry] = {
        "buff_fraction_left": (COLUMN["buff_duration_remain"], _SHARE, 0, COLUMN["buff_duration_max"], 0),
        "radius_div_4": (FIELD["radius"], _FIELD_QUOTIENT, 4, 0, 0),
        "height_div_16": (FIELD["z"], _FIELD_QUOTIENT, 16, 0, 0),
        "map_x": (COLUMN["x"], _MAP_POSITION, 2 / (grid.width - 1), grid.width - 1, 0),
        "map_y": (COLUMN["y"], _MAP_POSITION, 2 / (grid.height - 1), grid.height - 1, 0),
    }
    return others.get(name, (0, _UNUSED, 0, 0, 0))
