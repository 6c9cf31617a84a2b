"""The fast mask of functions: that of `FunctionMasks`, made in C from its tables."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.abilities import ABILITIES, Ability
from envs.starcraft2.action_masks import ABILITY_OF_FUNCTION, FINISHED_PERCENT, RESOURCE_BUFFS, FunctionMasks
from envs.starcraft2.entity_columns import OWN, PLACEHOLDER
from envs.starcraft2.native_library import native_library
from envs.starcraft2.observation import EncodedObservation
from envs.starcraft2.raw_units import COLUMN, COLUMN_NAMES
from envs.starcraft2.scalars import PLAYER_NAMES

_KINDS = ("unit", "upgrade", "order", "busy", "loaded", "carrying", "selection", "target", "always")
_COLUMNS = ("alliance", "display_type", "unit_type", "build_progress", "order_length", "cargo_space_taken")
_COUNTS = ("num_functions", "num_conditions", "num_flags", "num_there", "num_needed", "num_raw")
_LIMITS = ("own", "placeholder", "finished", "first_resource_buff", "last_resource_buff")
_TABLES = ("members", "first", "there", "needed", "barring", "general", "abilities", "price", "is_variant", "shown")
_MEANS = [PLAYER_NAMES.index(name) for name in ("minerals", "vespene", "food_cap", "food_used")]


class _Masks(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in (*_COUNTS, *_COLUMNS)),
        ("order_columns", ctypes.c_int64 * 4),
        ("buff_columns", ctypes.c_int64 * 2),
        *((name, ctypes.c_int64) for name in _LIMITS),
        ("starts", ctypes.c_int64 * len(_KINDS)),
        ("sizes", ctypes.c_int64 * len(_KINDS)),
        *((name, ctypes.c_void_p) for name in _TABLES),
    )


class NativeFunctionMasks(FunctionMasks):
    """Makes the masks of encoded observations in C; not to be shared between threads."""

    def __init__(self, library: ctypes.CDLL, abilities: Mapping[int, Ability], **hiding: bool) -> None:
        super().__init__(abilities, **hiding)
        self._function = library.perceiver_star_function_mask
        pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
        self._function.argtypes = (pointer, *(pointer, number) * 3, *(real,) * 3, pointer, pointer)
        self._function.restype = None
        layout = self._conditions.layout
        tables = self._kept_tables()
        places = [layout.kinds.get(kind, slice(0, 0)) for kind in _KINDS]
        self._masks = _Masks(
            num_functions=len(self._general),
            num_conditions=len(layout.first),
            num_flags=layout.num_flags,
            num_there=len(self._there),
            num_needed=len(self._needed),
            num_raw=len(COLUMN_NAMES),
            **{name: COLUMN[name] for name in _COLUMNS},
            order_columns=tuple(COLUMN[f"order_id_{index}"] for index in range(4)),
            buff_columns=tuple(COLUMN[f"buff_id_{index}"] for index in range(2)),
            own=OWN,
            placeholder=PLACEHOLDER,
            finished=FINISHED_PERCENT,
            first_resource_buff=RESOURCE_BUFFS[0],
            last_resource_buff=RESOURCE_BUFFS[-1],
            starts=tuple(place.start for place in places),
            sizes=tuple(place.stop - place.start for place in places),
            **{name: table.ctypes.data for name, table in tables.items()},
        )
        self._tables = tables
        self._scratch = np.empty(layout.num_flags + len(layout.first) + len(self._general), np.uint8)
        self._mask = np.empty(len(self._general), np.int8)
        self._addresses = self._scratch.ctypes.data, self._mask.ctypes.data

    def of(self, encoded: EncodedObservation, entity_classes: NDArray[np.int32]) -> NDArray[np.int8]:
        """Return the mask int8 [functions] of an observation and its entity classes [E, 2]."""
        units, upgrades = np.ascontiguousarray(encoded.raw_units), np.ascontiguousarray(encoded.upgrades, np.int32)
        classes = np.ascontiguousarray(entity_classes, np.int32)
        minerals, vespene, food_cap, food_used = encoded.player[_MEANS].tolist()
        self._function(
            ctypes.addressof(self._masks),
            units.ctypes.data,
            len(units),
            upgrades.ctypes.data,
            len(upgrades),
            classes.ctypes.data,
            len(classes),
            minerals,
            vespene,
            food_cap - food_used,
            *self._addresses,
        )
        return self._mask.copy()

    def _kept_tables(self) -> dict[str, NDArray[Any]]:
        """Return the tables as C wants them."""
        layout = self._conditions.layout
        numbers = {
            "members": layout.members,
            "first": np.append(layout.first, len(layout.members)),
            "there": self._there,
            "needed": self._needed,
            "barring": self._barring,
            "general": self._general,
            "abilities": ABILITY_OF_FUNCTION,
        }
        return {
            **{name: np.ascontiguousarray(table, np.int64) for name, table in numbers.items()},
            "price": np.ascontiguousarray(self._price, np.float64),
            "is_variant": np.ascontiguousarray(self._is_variant, np.uint8),
            "shown": np.ascontiguousarray(self._shown, np.uint8),
        }


def fastest_masks(abilities: Mapping[int, Ability] = ABILITIES, **hiding: bool) -> FunctionMasks:
    """Return the fastest masks that this machine allows; see `FunctionMasks`. Each thread needs its own."""
    library = native_library()
    return FunctionMasks(abilities, **hiding) if library is None else NativeFunctionMasks(library, abilities, **hiding)
