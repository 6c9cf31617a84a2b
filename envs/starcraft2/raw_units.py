"""pysc2's `raw_units`: the 46 columns of FeatureUnit for every unit, equal number for number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.compatibility import raw_functions
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.unit_records import FIELD, UnitRecords

COLUMN_NAMES = (
    "unit_type",
    "alliance",
    "health",
    "shield",
    "energy",
    "cargo_space_taken",
    "build_progress",
    "health_ratio",
    "shield_ratio",
    "energy_ratio",
    "display_type",
    "owner",
    "x",
    "y",
    "facing",
    "radius",
    "cloak",
    "is_selected",
    "is_blip",
    "is_powered",
    "mineral_contents",
    "vespene_contents",
    "cargo_space_max",
    "assigned_harvesters",
    "ideal_harvesters",
    "weapon_cooldown",
    "order_length",
    "order_id_0",
    "order_id_1",
    "tag",
    "hallucination",
    "buff_id_0",
    "buff_id_1",
    "addon_unit_type",
    "active",
    "is_on_screen",
    "order_progress_0",
    "order_progress_1",
    "order_id_2",
    "order_id_3",
    "is_in_cargo",
    "buff_duration_remain",
    "buff_duration_max",
    "attack_upgrade_level",
    "armor_upgrade_level",
    "shield_upgrade_level",
)
"""pysc2's FeatureUnit. Progress is in percent, ratios run to 255, x and y are cells, `order_id_*` are raw functions,
alliance is 1 own, 2 ally, 3 neutral, 4 enemy."""
COLUMN = {name: index for index, name in enumerate(COLUMN_NAMES)}

_FIELD_OF_COLUMN = {"hallucination": "is_hallucination", "active": "is_active"}
_COPIED = [name for name in COLUMN_NAMES if _FIELD_OF_COLUMN.get(name, name) in FIELD]
_COPIED_COLUMNS = np.asarray([COLUMN[name] for name in _COPIED])
_COPIED_FIELDS = np.asarray([FIELD[_FIELD_OF_COLUMN.get(name, name)] for name in _COPIED])
_PERCENT_COLUMNS = np.asarray([COLUMN[name] for name in ("build_progress", "order_progress_0", "order_progress_1")])
_PERCENT_FIELDS = np.asarray([FIELD[name] for name in ("build_progress", "order_progress_0", "order_progress_1")])
_ORDER_COLUMNS = np.asarray([COLUMN[f"order_id_{index}"] for index in range(4)])
_ORDER_FIELDS = slice(FIELD["ability_id_0"], FIELD["ability_id_3"] + 1)
_POSITION_FIELDS = slice(FIELD["x"], FIELD["y"] + 1)
_VITALS = ("health", "shield", "energy")
_VITAL_FIELDS = np.asarray([FIELD[name] for name in _VITALS])
_VITAL_MAX_FIELDS = np.asarray([FIELD[f"{name}_max"] for name in _VITALS])
_RATIO_COLUMNS = slice(COLUMN["health_ratio"], COLUMN["energy_ratio"] + 1)


def _function_of_ability() -> NDArray[np.int64]:
    """Return the raw function of each ability id: the first of those that call it, 0 where none does."""
    lowest: dict[int, int] = {}
    for function in raw_functions:
        if function.ability_id >= 0:
            lowest[function.ability_id] = min(int(function.id), lowest.get(function.ability_id, int(function.id)))
    table = np.zeros(max(lowest) + 2, np.int64)
    table[list(lowest)] = list(lowest.values())
    table.setflags(write=False)
    return table


FUNCTION_OF_ABILITY = _function_of_ability()


def raw_function_ids(ability_ids: NDArray[Any]) -> NDArray[np.int64]:
    """Return the ids of the raw functions that give these abilities, 0 where pysc2 has none; same shape."""
    # Abilities beyond the table share its last entry, 0, as does what is below it.
    return np.take(FUNCTION_OF_ABILITY, ability_ids.astype(np.int64), mode="clip")


def raw_units(records: UnitRecords, grid: Grid, *, with_passengers: bool = True) -> NDArray[np.int64]:
    """Return `raw_units` int64 [N, 46], columns of `COLUMN_NAMES`, in the game's order.

    Equal to pysc2's at `raw_resolution` = the grid's, and with `add_cargo_to_units` where `with_passengers`.
    """
    count = records.values.shape[1] if with_passengers else records.num_units
    values = records.values[:, :count]
    units = np.zeros((len(COLUMN_NAMES), count), np.int64)
    units[_COPIED_COLUMNS] = values[_COPIED_FIELDS]
    units[_PERCENT_COLUMNS] = values[_PERCENT_FIELDS] * 100
    units[_RATIO_COLUMNS] = vital_ratios(values) * 255
    units[COLUMN["x"] : COLUMN["y"] + 1] = grid.project(values[_POSITION_FIELDS].T).T
    units[COLUMN["radius"]] = values[FIELD["radius"]] * grid.scale[0]
    units[_ORDER_COLUMNS] = raw_function_ids(values[_ORDER_FIELDS])
    units[COLUMN["tag"]] = records.tags[0, :count]
    write_addon_types(units[COLUMN["addon_unit_type"]], records)
    return units.T


def vital_ratios(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return health, shield and energy [3, N] as fractions of their maxima, 0 where there is no maximum."""
    maxima = values[_VITAL_MAX_FIELDS]
    ratios: NDArray[np.float64] = np.zeros_like(maxima)
    np.divide(values[_VITAL_FIELDS], maxima, out=ratios, where=maxima > 0)
    return ratios


def write_addon_types(types: NDArray[np.int64], records: UnitRecords) -> None:
    """Write the unit type of each unit's add-on, where it has one that is seen."""
    tags, addon_tags = records.tags[0, : records.num_units], records.tags[1]
    with_addon = np.flatnonzero(addon_tags)
    if with_addon.size:
        # The last unit of that tag counts, as in pysc2.
        matches = addon_tags[with_addon, None] == tags[::-1]
        found = matches.any(1)
        addons = records.num_units - 1 - matches[found].argmax(1)
        types[with_addon[found]] = records.values[FIELD["unit_type"], addons]
