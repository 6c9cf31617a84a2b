"""From an ObservationRaw to raw_units and the entity arrays: in Python, or in C where that can be had; always equal."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.spaces import ENTITY_CATEGORIES, ENTITY_CLASSES, ENTITY_MASK, ENTITY_POSITIONS, ENTITY_VALUES
from envs.starcraft2.compatibility import raw_pb
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entities import candidates, write_entities
from envs.starcraft2.entity_columns import CATEGORY_NAMES, VALUE_NAMES
from envs.starcraft2.native_encoder import NativeUnitEncoder
from envs.starcraft2.native_library import native_library
from envs.starcraft2.raw_units import raw_units
from envs.starcraft2.scalars import LastAction
from envs.starcraft2.unit_records import read_units

Arrays = Mapping[str, NDArray[Any]]

_logger = logging.getLogger(__name__)


class UnitEncoder(Protocol):
    """Encodes the units of observations on one map."""

    def encode(
        self, observation_raw: Any, arrays: Arrays, last_action: LastAction | None, answer: bytes | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Fill the entity arrays of one observation; return `raw_units` [N, 46] and the slots' tags [max_entities].

        Args:
            answer: the Response that the observation came in, as bytes, where they are at hand.
        """
        ...


class PythonUnitEncoder:
    """Encodes units with NumPy."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def encode(
        self, observation_raw: Any, arrays: Arrays, last_action: LastAction | None, answer: bytes | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """See `UnitEncoder`."""
        records = read_units(observation_raw)
        units = raw_units(records, self._grid)
        found = candidates(units, records, observation_raw.effects, self._grid)
        return units, write_entities(arrays, found, self._grid, last_action)


def unit_encoder(grid: Grid) -> UnitEncoder:
    """Return the fastest encoder that this machine allows; each thread needs its own."""
    library = native_library()
    if library is None:
        return PythonUnitEncoder(grid)
    encoder = NativeUnitEncoder(library, grid)
    if not _agree(encoder, PythonUnitEncoder(grid)):
        _logger.warning("units are encoded in Python: the compiled encoder does not give the same numbers here")
        return PythonUnitEncoder(grid)
    return encoder


def entity_arrays(max_entities: int) -> dict[str, NDArray[Any]]:
    """Return zeroed entity arrays of one observation."""
    return {
        ENTITY_CATEGORIES: np.zeros((max_entities, len(CATEGORY_NAMES)), np.int32),
        ENTITY_VALUES: np.zeros((max_entities, len(VALUE_NAMES)), np.float32),
        ENTITY_POSITIONS: np.zeros((max_entities, 2), np.int32),
        ENTITY_MASK: np.zeros(max_entities, np.int8),
        ENTITY_CLASSES: np.zeros((max_entities, 2), np.int32),
    }


def _agree(first: UnitEncoder, second: UnitEncoder) -> bool:
    """Return whether both encode a small message alike."""
    message = raw_pb.ObservationRaw()
    unit = message.units.add(tag=2**40, unit_type=54, alliance=1, owner=-1, health=0.1, buff_ids=[7, 8, 9])
    unit.health_max, unit.pos.x, unit.pos.y, unit.pos.z, unit.facing = 0.7, 1.5, 2.25, 3.0, 2.0
    unit.orders.add(ability_id=23, progress=0.3)
    unit.passengers.add(tag=2**33, unit_type=48, health=45.0)
    results = []
    for encoder in (first, second):
        arrays = entity_arrays(4)
        results.append((*encoder.encode(message, arrays, LastAction(target_tag=2**40)), *arrays.values()))
    return all(np.array_equal(one, other) for one, other in zip(*results, strict=True))
