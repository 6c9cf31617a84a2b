"""Entities: units, passengers and effects with the features of AlphaStar, in the columns of `envs.spaces`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.spaces import ENTITY_CATEGORIES, ENTITY_CLASSES, ENTITY_MASK, ENTITY_POSITIONS, ENTITY_VALUES
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entity_classes import selection_classes, target_classes
from envs.starcraft2.raw_units import COLUMN, COLUMN_NAMES, FUNCTION_OF_ABILITY
from envs.starcraft2.scalars import LastAction
from envs.starcraft2.tables import (
    ATTRIBUTE_NAMES,
    BUFF_IDS,
    EFFECT_IDS,
    UNIT_ATTRIBUTES,
    UNIT_TYPE_IDS,
    buff_index,
    effect_index,
    unit_type_index,
)
from envs.starcraft2.unit_records import FIELD, UnitRecords

MAX_ENTITIES = 512
OWN, ALLY, NEUTRAL, ENEMY = 1, 2, 3, 4
FIRST_EFFECT_TYPE = 1 + len(UNIT_TYPE_IDS)
"""Unit type index of an unknown effect; effect k of the table is k + 1 further on."""
_PLACEHOLDER = 4
_NUM_FUNCTIONS = 1 + int(FUNCTION_OF_ABILITY.max())

# Columns taken from raw_units as they are, up to the last category.
_CAPPED_SIZES = {
    "alliance": 5,
    "cargo_space_taken": 9,
    "display_type": 5,
    "cloak": 5,
    "is_powered": 2,
    "cargo_space_max": 9,
    "assigned_harvesters": 25,
    "ideal_harvesters": 17,
    "weapon_cooldown": 33,
    "order_length": 9,
    "order_id_0": _NUM_FUNCTIONS,
    "order_id_1": _NUM_FUNCTIONS,
    "order_id_2": _NUM_FUNCTIONS,
    "order_id_3": _NUM_FUNCTIONS,
    "hallucination": 2,
    "active": 2,
    "is_on_screen": 2,
    "is_blip": 2,
    "is_in_cargo": 2,
    "attack_upgrade_level": 5,
    "armor_upgrade_level": 5,
    "shield_upgrade_level": 5,
}
_SQUARE_ROOT_SIZES = {"health": 39, "shield": 32, "energy": 15, "buff_duration_remain": 16}
# Whole hundreds of resources and whole tens of percent.
_DIVIDED_SIZES = {"mineral_contents": 19, "vespene_contents": 26, "order_progress_0": 11, "order_progress_1": 11}
_MOST_MINERALS, _MOST_VESPENE = 1800, 2500

CATEGORY_SIZES = {
    "unit_type": 1 + len(UNIT_TYPE_IDS) + 1 + len(EFFECT_IDS),
    **_CAPPED_SIZES,
    **{f"sqrt_{name}": size for name, size in _SQUARE_ROOT_SIZES.items()},
    "mineral_contents_div_100": _DIVIDED_SIZES["mineral_contents"],
    "vespene_contents_div_100": _DIVIDED_SIZES["vespene_contents"],
    "order_progress_0_div_10": _DIVIDED_SIZES["order_progress_0"],
    "order_progress_1_div_10": _DIVIDED_SIZES["order_progress_1"],
    "sqrt_mined_minerals": 43,
    "sqrt_mined_vespene": 51,
    "buff_0": 2 + len(BUFF_IDS),
    "buff_1": 2 + len(BUFF_IDS),
    "addon": 10,
    "is_flying": 2,
    "is_burrowed": 2,
    "was_selected": 2,
    "was_targeted": 2,
}
"""Vocabulary of each column of entity_categories; larger numbers share the last category. unit_type is the index of
`tables.unit_type_index`, then those of the effects. Buffs: 0 none, 1 unknown, then the table's. Addon: 0 none, 1 of
another type, then `ADDON_TYPES`. Order ids are raw functions."""
CATEGORY_NAMES = tuple(CATEGORY_SIZES)
_CATEGORY = {name: column for column, name in enumerate(CATEGORY_NAMES)}

ADDON_TYPES = (5, 6, 37, 38, 39, 40, 41, 42)
"""Unit types of tech labs and reactors: on their own, of a barracks, a factory, a starport."""

_SCALED = {
    "build_progress": 100,
    "health_ratio": 255,
    "shield_ratio": 255,
    "energy_ratio": 255,
    "order_progress_0": 100,
    "order_progress_1": 100,
    "mineral_contents": _MOST_MINERALS,
    "vespene_contents": _MOST_VESPENE,
    "weapon_cooldown": 32,
}
VALUE_NAMES = (
    *(f"{name}_div_{scale}" for name, scale in _SCALED.items()),
    "buff_fraction_left",
    "facing_sine",
    "facing_cosine",
    "radius_div_4",
    "height_div_16",
    "map_x",
    "map_y",
    *(f"is_{name}" for name in ATTRIBUTE_NAMES),
)
"""Columns of entity_values. The first six are AlphaStar's. Radius and height are in world units; map_x and map_y run
from -1 to 1 over the grid of positions; attributes are those of the unit type."""
_VALUE = {name: column for column, name in enumerate(VALUE_NAMES)}


def _rows(names: Mapping[str, int]) -> NDArray[np.intp]:
    return np.asarray([COLUMN[name] for name in names])


def _column(numbers: Iterable[float]) -> NDArray[Any]:
    return np.asarray(list(numbers))[:, None]


_CAPPED, _CAPPED_HIGH = _rows(_CAPPED_SIZES), _column(size - 1 for size in _CAPPED_SIZES.values())
_ROOTED, _ROOTED_HIGH = _rows(_SQUARE_ROOT_SIZES), _column(size - 1 for size in _SQUARE_ROOT_SIZES.values())
_DIVIDED, _DIVIDED_HIGH = _rows(_DIVIDED_SIZES), _column(size - 1 for size in _DIVIDED_SIZES.values())
_DIVISORS, _FULL_CONTENTS = _column((100, 100, 10, 10)), _column((_MOST_MINERALS, _MOST_VESPENE))
_SCALED_ROWS, _SCALES = _rows(_SCALED), _column(_SCALED.values())
_POSITION = slice(COLUMN["x"], COLUMN["y"] + 1)
_CONTENTS = slice(COLUMN["mineral_contents"], COLUMN["vespene_contents"] + 1)
_BUFFS = slice(COLUMN["buff_id_0"], COLUMN["buff_id_1"] + 1)
_FLAGS = slice(FIELD["is_flying"], FIELD["is_burrowed"] + 1)
_ADDON_CATEGORY = np.ones(max(ADDON_TYPES) + 2, np.int32)
_ADDON_CATEGORY[0] = 0
_ADDON_CATEGORY[list(ADDON_TYPES)] = np.arange(2, 2 + len(ADDON_TYPES))

# Groups of the order: own, enemies, effects, allies, neutrals and what belongs to none, by alliance.
_ENEMY_GROUP, _EFFECT_GROUP = 1, 2
_GROUP_OF_ALLIANCE = np.asarray([4, 0, 3, 4, _ENEMY_GROUP])
_BEYOND_EVERY_DISTANCE = 2.0**20


class Candidates(NamedTuple):
    """Units, passengers and effects before they are ordered and cut, one column for each.

    Attributes:
        raw: int64 [46, N], `raw_units` with effects added; the unit type of effects is 0.
        values: float64 [fields, N], `unit_records`; zeros for effects but for the radius.
        effects: int64 [N], `effect_index` + 1 for effects, 0 for units.
    """

    raw: NDArray[np.int64]
    values: NDArray[np.float64]
    effects: NDArray[np.int64]


def candidates(raw_units: NDArray[np.int64], records: UnitRecords, effects: Any, grid: Grid) -> Candidates:
    """Return units (`raw_units` [N, 46] and records) and the effects of an `ObservationRaw`, one for each position."""
    raw = raw_units.T
    places = [(effect, position.x, position.y) for effect in effects for position in effect.pos]
    kinds = np.zeros(raw.shape[1] + len(places), np.int64)
    if not places:
        return Candidates(raw, records.values, kinds)
    effect_raw = np.zeros((len(COLUMN_NAMES), len(places)), np.int64)
    effect_values = np.zeros((len(records.values), len(places)))
    effect_raw[COLUMN["alliance"]] = [effect.alliance for effect, _, _ in places]
    effect_raw[COLUMN["owner"]] = [effect.owner for effect, _, _ in places]
    effect_raw[_POSITION] = grid.project(np.asarray([(x, y) for _, x, y in places])).T
    effect_values[FIELD["radius"]] = [effect.radius for effect, _, _ in places]
    kinds[raw.shape[1] :] = effect_index([effect.effect_id for effect, _, _ in places]) + 1
    return Candidates(np.hstack([raw, effect_raw]), np.hstack([records.values, effect_values]), kinds)


def entity_order(found: Candidates, max_entities: int) -> NDArray[np.intp]:
    """Return which candidates fill the slots: own units, the enemies nearest to them, effects, allies, neutrals.

    Where all do not fit, allies and neutrals are taken by their distance to own units too.
    """
    alliances = np.clip(found.raw[COLUMN["alliance"]], 0, ENEMY)
    groups = np.where(found.effects > 0, _EFFECT_GROUP, _GROUP_OF_ALLIANCE[alliances])
    crowded = len(groups) > max_entities
    by_distance = (groups > _EFFECT_GROUP) | (groups == _ENEMY_GROUP) if crowded else groups == _ENEMY_GROUP
    keys = groups.astype(np.float64) * _BEYOND_EVERY_DISTANCE
    sorted_ones = np.flatnonzero(by_distance)
    keys[sorted_ones] += _distances(found.raw, sorted_ones, np.flatnonzero(groups == 0))
    return np.argsort(keys, kind="stable")[:max_entities]


def _distances(raw: NDArray[np.int64], columns: NDArray[np.intp], own: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the squared distance in cells of each candidate to the nearest own unit, 0 where there is none."""
    if not len(columns) or not len(own):
        return np.zeros(len(columns), np.float32)
    positions_x, positions_y = raw[_POSITION].astype(np.float32)
    x = positions_x[columns, None] - positions_x[own]
    y = positions_y[columns, None] - positions_y[own]
    nearest: NDArray[np.float32] = (x * x + y * y).min(1)
    return nearest


def write_entities(
    arrays: Mapping[str, NDArray[Any]], found: Candidates, grid: Grid, last_action: LastAction | None
) -> NDArray[np.int64]:
    """Fill the entity arrays of an observation and return the tags int64 [max_entities] of its slots.

    Args:
        arrays: the entity arrays of one observation by key; padding is zeroed.
        last_action: whose units are marked as selected and targeted.
    """
    max_entities = len(arrays[ENTITY_MASK])
    order = entity_order(found, max_entities)
    count = len(order)
    raw, values = np.take(found.raw, order, axis=1), np.take(found.values, order, axis=1)
    for array in arrays.values():
        array[count:] = 0
    arrays[ENTITY_MASK][:count] = 1
    positions = np.clip(raw[_POSITION], 0, [[grid.width - 1], [grid.height - 1]])
    arrays[ENTITY_POSITIONS][:count] = positions.T
    type_indices = unit_type_index(raw[COLUMN["unit_type"]])
    categories = _categories(raw, values, found.effects[order], type_indices)
    categories[-2:] = _marks_of_last_action(raw[COLUMN["tag"]], last_action)
    arrays[ENTITY_CATEGORIES][:count] = categories.T
    arrays[ENTITY_VALUES][:count] = _values(raw, values, positions, grid, type_indices).T
    arrays[ENTITY_CLASSES][:count] = _classes(raw, values).T
    tags = np.zeros(max_entities, np.int64)
    tags[:count] = raw[COLUMN["tag"]]
    return tags


def _categories(
    raw: NDArray[np.int64], values: NDArray[np.float64], effects: NDArray[np.int64], type_indices: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return the categories [categories, N] of ordered candidates, but for the marks of the last action."""
    contents = raw[_CONTENTS]
    buffs = raw[_BUFFS]
    mined = np.sqrt(np.maximum(_FULL_CONTENTS - contents, 0)) * (contents > 0)
    parts = (
        np.where(effects > 0, FIRST_EFFECT_TYPE - 1 + effects, type_indices)[None],
        np.minimum(np.maximum(raw[_CAPPED], 0), _CAPPED_HIGH),
        np.minimum(np.sqrt(np.maximum(raw[_ROOTED], 0)), _ROOTED_HIGH),
        np.minimum(np.maximum(raw[_DIVIDED], 0) // _DIVISORS, _DIVIDED_HIGH),
        mined,
        np.where(buffs > 0, buff_index(buffs) + 1, 0),
        np.take(_ADDON_CATEGORY, raw[COLUMN["addon_unit_type"]], mode="clip")[None],
        values[_FLAGS],
    )
    categories = np.empty((len(CATEGORY_NAMES), raw.shape[1]), np.int32)
    start = 0
    for part in parts:
        categories[start : start + len(part)] = part
        start += len(part)
    return categories


def _marks_of_last_action(tags: NDArray[np.int64], action: LastAction | None) -> NDArray[np.int32]:
    """Return which units were selected and which was targeted, [2, N]."""
    marks = np.zeros((2, len(tags)), np.int32)
    if action is not None and action.selected_tags:
        marks[0] = np.isin(tags, np.asarray(action.selected_tags, np.int64))
    if action is not None and action.target_tag:
        marks[1] = tags == action.target_tag
    return marks


def _values(
    raw: NDArray[np.int64],
    values: NDArray[np.float64],
    positions: NDArray[np.int64],
    grid: Grid,
    type_indices: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Return the real values [values, N] of ordered candidates."""
    longest = np.maximum(raw[COLUMN["buff_duration_max"]], 1)
    facing = values[FIELD["facing"]]
    entity_values = np.empty((len(VALUE_NAMES), raw.shape[1]), np.float32)
    entity_values[: len(_SCALED)] = raw[_SCALED_ROWS] / _SCALES
    entity_values[_VALUE["buff_fraction_left"]] = raw[COLUMN["buff_duration_remain"]] / longest
    entity_values[_VALUE["facing_sine"]] = np.sin(facing)
    entity_values[_VALUE["facing_cosine"]] = np.cos(facing)
    entity_values[_VALUE["radius_div_4"]] = values[FIELD["radius"]] / 4
    entity_values[_VALUE["height_div_16"]] = values[FIELD["z"]] / 16
    entity_values[_VALUE["map_x"]] = positions[0] * (2 / (grid.width - 1)) - 1
    entity_values[_VALUE["map_y"]] = positions[1] * (2 / (grid.height - 1)) - 1
    entity_values[-len(ATTRIBUTE_NAMES) :] = UNIT_ATTRIBUTES[type_indices].T
    return entity_values


def _classes(raw: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the selection and the target classes [2, N] of ordered candidates."""
    unit_types, alliances = raw[COLUMN["unit_type"]], raw[COLUMN["alliance"]]
    is_target = (raw[COLUMN["tag"]] != 0) & (raw[COLUMN["is_in_cargo"]] == 0)
    selectable = is_target & (alliances == OWN) & (raw[COLUMN["display_type"]] != _PLACEHOLDER)
    flying = values[FIELD["is_flying"]] > 0
    classes = np.empty((2, raw.shape[1]), np.int32)
    classes[0] = selection_classes(unit_types, selectable, values[FIELD["build_progress"]])
    classes[1] = target_classes(unit_types, np.clip(alliances, 0, ENEMY), flying, is_target)
    return classes
