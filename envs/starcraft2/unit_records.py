"""The units of an observation as plain numbers: one column of `RECORD_FIELDS` for each unit, from the raw protobuf.

Everything that is derived from units (pysc2's `raw_units`, our entities) starts from these records. Two readers fill
them: `read_units` in Python, which is always there, and `native_reader` in C, which gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_UNIT_FIELDS = (
    "unit_type",
    "alliance",
    "display_type",
    "owner",
    "pos.x",
    "pos.y",
    "pos.z",
    "facing",
    "radius",
    "build_progress",
    "cloak",
    "is_selected",
    "is_on_screen",
    "is_blip",
    "is_powered",
    "is_active",
    "attack_upgrade_level",
    "armor_upgrade_level",
    "shield_upgrade_level",
    "health",
    "health_max",
    "shield",
    "shield_max",
    "energy",
    "energy_max",
    "mineral_contents",
    "vespene_contents",
    "is_flying",
    "is_burrowed",
    "is_hallucination",
    "cargo_space_taken",
    "cargo_space_max",
    "assigned_harvesters",
    "ideal_harvesters",
    "weapon_cooldown",
    "buff_duration_remain",
    "buff_duration_max",
)
_LIST_FIELDS = (
    "buff_id_0",
    "buff_id_1",
    "order_length",
    "ability_id_0",
    "ability_id_1",
    "ability_id_2",
    "ability_id_3",
    "order_progress_0",
    "order_progress_1",
    "is_in_cargo",
)
RECORD_FIELDS = (*(name.replace("pos.", "") for name in _UNIT_FIELDS), *_LIST_FIELDS)
"""Fields of a record: fields of `raw.proto`'s Unit, its first two buffs, its first orders, and whether it is a
passenger. Absent fields hold the protocol's defaults."""
FIELD = {name: row for row, name in enumerate(RECORD_FIELDS)}
TAG_FIELDS = ("tag", "add_on_tag", "engaged_target_tag")

_PASSENGER_FIELDS = ("unit_type", "health", "health_max", "shield", "shield_max", "energy", "energy_max")
_CARRIER_FIELDS = ("alliance", "owner", "x", "y", "z")
_MAX_ORDERS, _MAX_PROGRESSES, _MAX_BUFFS = 4, 2, 2

_unit_values = attrgetter(*_UNIT_FIELDS)
_unit_tags = attrgetter(*TAG_FIELDS)
_passenger_values = attrgetter(*_PASSENGER_FIELDS)


class UnitRecords(NamedTuple):
    """Units, then the passengers of all units as pseudo units at their carrier's place.

    Attributes:
        values: float64 [fields, units + passengers], rows of `RECORD_FIELDS`.
        tags: int64 [3, units + passengers], rows of `TAG_FIELDS`.
        num_units: how many of the columns are units of their own.
    """

    values: NDArray[np.float64]
    tags: NDArray[np.int64]
    num_units: int


def read_units(observation_raw: Any) -> UnitRecords:
    """Return the records of an `ObservationRaw` message."""
    units = observation_raw.units
    carriers = [(column, unit.passengers) for column, unit in enumerate(units) if unit.passengers]
    num_units, num_passengers = len(units), sum(len(passengers) for _, passengers in carriers)
    values = np.zeros((len(RECORD_FIELDS), num_units + num_passengers))
    tags = np.zeros((len(TAG_FIELDS), num_units + num_passengers), np.int64)
    values[: len(_UNIT_FIELDS), :num_units] = _table(map(_unit_values, units), len(_UNIT_FIELDS), num_units, np.float64)
    tags[:, :num_units] = _table(map(_unit_tags, units), len(TAG_FIELDS), num_units, np.uint64).view(np.int64)
    for column, unit in enumerate(units):
        if unit.buff_ids:
            _write_list(values[:, column], "buff_id_0", unit.buff_ids[:_MAX_BUFFS])
        if unit.orders:
            orders = unit.orders
            values[FIELD["order_length"], column] = len(orders)
            _write_list(values[:, column], "ability_id_0", [order.ability_id for order in orders[:_MAX_ORDERS]])
            _write_list(values[:, column], "order_progress_0", [order.progress for order in orders[:_MAX_PROGRESSES]])
    _write_passengers(values, tags, carriers, num_units)
    return UnitRecords(values, tags, num_units)


def _table(units: Iterable[Sequence[Any]], height: int, width: int, dtype: type) -> NDArray[Any]:
    """Return the numbers of each unit as the columns of an array [height, width]."""
    return np.fromiter(chain.from_iterable(units), dtype, height * width).reshape(width, height).T


def _write_list(record: NDArray[np.float64], first: str, numbers: Sequence[float]) -> None:
    record[FIELD[first] : FIELD[first] + len(numbers)] = numbers


def _write_passengers(
    values: NDArray[np.float64], tags: NDArray[np.int64], carriers: list[tuple[int, Any]], first_column: int
) -> None:
    """Append each carrier's passengers, carrier by carrier."""
    own_fields = [FIELD[name] for name in _PASSENGER_FIELDS]
    carrier_fields = [FIELD[name] for name in _CARRIER_FIELDS]
    column = first_column
    for carrier, passengers in carriers:
        for passenger in passengers:
            values[own_fields, column] = _passenger_values(passenger)
            values[carrier_fields, column] = values[carrier_fields, carrier]
            values[FIELD["is_in_cargo"], column] = 1
            tags[0, column] = np.uint64(passenger.tag).astype(np.int64)
            column += 1
