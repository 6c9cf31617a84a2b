"""Entities: units, passengers and effects with the features of AlphaStar, in the columns of `envs.spaces`."""

from __future__ import annotations

from collections.abc import Mapping
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
_DIVISORS = np.asarray([100, 100, 10, 10])
_MOST_MINERALS, _MOST_VESPENE = 1800, 2500
_FULL_CONTENTS = np.asarray([_MOST_MINERALS, _MOST_VESPENE])

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

_CAPPED_SOURCE = np.asarray([COLUMN[name] for name in _CAPPED_SIZES])
_CAPPED_HIGH = np.asarray(list(_CAPPED_SIZES.values())) - 1
_ROOT_SOURCE = np.asarray([COLUMN[name] for name in _SQUARE_ROOT_SIZES])
_ROOT_HIGH = np.asarray(list(_SQUARE_ROOT_SIZES.values())) - 1
_DIVIDED_SOURCE = np.asarray([COLUMN[name] for name in _DIVIDED_SIZES])
_DIVIDED_HIGH = np.asarray(list(_DIVIDED_SIZES.values())) - 1
_CONTENTS_SOURCE = slice(COLUMN["mineral_contents"], COLUMN["vespene_contents"] + 1)
_BUFF_SOURCE = slice(COLUMN["buff_id_0"], COLUMN["buff_id_1"] + 1)
_SCALED_SOURCE = np.asarray([COLUMN[name] for name in _SCALED])
_SCALES = np.asarray(list(_SCALED.values()), np.float32)
_ADDON_CATEGORY = np.ones(max(ADDON_TYPES) + 2, np.int32)
_ADDON_CATEGORY[0] = 0
_ADDON_CATEGORY[list(ADDON_TYPES)] = np.arange(2, 2 + len(ADDON_TYPES))
_FLAG_FIELDS = [FIELD["is_flying"], FIELD["is_burrowed"]]


class EntityRows(NamedTuple):
    """Units, passengers and effects before they are ordered and cut.

    Attributes:
        raw: int64 [N, 46], `raw_units` with a row for each effect and position; its unit_type is 0.
        values: float64 [N, fields], `unit_records`; zeros for effects but for radius.
        effects: int64 [N], index of `effect_index` + 1 for effects, 0 for units.
    """

    raw: NDArray[np.int64]
    values: NDArray[np.float64]
    effects: NDArray[np.int64]


def with_effects(raw: NDArray[np.int64], records: UnitRecords, effects: Any, grid: Grid) -> EntityRows:
    """Return `raw_units` and records with the effects of an `ObservationRaw` as pseudo units, one for each position."""
    rows = [(effect, position.x, position.y) for effect in effects for position in effect.pos]
    kinds = np.zeros(len(raw) + len(rows), np.int64)
    if not rows:
        return EntityRows(raw, records.values, kinds)
    effect_raw = np.zeros((len(rows), len(COLUMN_NAMES)), np.int64)
    effect_values = np.zeros((len(rows), records.values.shape[1]))
    effect_raw[:, COLUMN["alliance"]] = [effect.alliance for effect, _, _ in rows]
    effect_raw[:, COLUMN["owner"]] = [effect.owner for effect, _, _ in rows]
    effect_raw[:, COLUMN["x"] : COLUMN["y"] + 1] = grid.project(np.asarray([(x, y) for _, x, y in rows]))
    effect_values[:, FIELD["radius"]] = [effect.radius for effect, _, _ in rows]
    kinds[len(raw) :] = effect_index([effect.effect_id for effect, _, _ in rows]) + 1
    return EntityRows(np.concatenate([raw, effect_raw]), np.concatenate([records.values, effect_values]), kinds)


def entity_order(rows: EntityRows, max_entities: int) -> NDArray[np.intp]:
    """Return which rows fill the slots: own units, the enemies nearest to them, effects, allies, neutrals.

    Where all do not fit, allies and neutrals are taken by their distance to own units too.
    """
    alliances = rows.raw[:, COLUMN["alliance"]]
    is_effect = rows.effects > 0
    own = np.flatnonzero((alliances == OWN) & ~is_effect)
    enemies = np.flatnonzero((alliances == ENEMY) & ~is_effect)
    others = np.flatnonzero((alliances != OWN) & (alliances != ENEMY) & ~is_effect)
    enemies = enemies[np.argsort(_distances(rows.raw, enemies, own), kind="stable")]
    crowded = len(alliances) > max_entities
    group = alliances[others] != ALLY
    distances = _distances(rows.raw, others, own) if crowded else np.zeros(len(others), np.int64)
    others = others[np.lexsort((distances, group))]
    return np.concatenate([own, enemies, np.flatnonzero(is_effect), others])[:max_entities]


def _distances(raw: NDArray[np.int64], rows: NDArray[np.intp], own: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the squared distance in cells of each row to the nearest own unit, 0 where there is none."""
    if not len(rows) or not len(own):
        return np.zeros(len(rows), np.float32)
    x, y = (raw[:, COLUMN[axis]].astype(np.float32) for axis in ("x", "y"))
    squared = (x[rows, None] - x[own]) ** 2 + (y[rows, None] - y[own]) ** 2
    nearest: NDArray[np.float32] = squared.min(1)
    return nearest


def write_entities(
    arrays: Mapping[str, NDArray[Any]], rows: EntityRows, grid: Grid, last_action: LastAction | None
) -> NDArray[np.int64]:
    """Fill the entity arrays of an observation and return the tags int64 [max_entities] of its slots.

    Args:
        arrays: the arrays of one observation by key; padding is zeroed.
        last_action: whose units are marked as selected and targeted.
    """
    max_entities = len(arrays[ENTITY_MASK])
    order = entity_order(rows, max_entities)
    count = len(order)
    raw, values, effects = rows.raw[order], rows.values[order], rows.effects[order]
    for array in arrays.values():
        array[count:] = 0
    arrays[ENTITY_MASK][:count] = 1
    positions = np.clip(raw[:, COLUMN["x"] : COLUMN["y"] + 1], 0, (grid.width - 1, grid.height - 1))
    arrays[ENTITY_POSITIONS][:count] = positions
    type_indices = unit_type_index(raw[:, 0])
    _write_categories(arrays[ENTITY_CATEGORIES][:count], raw, values, effects, type_indices)
    _write_last_action(arrays[ENTITY_CATEGORIES][:count], raw, last_action)
    _write_values(arrays[ENTITY_VALUES][:count], raw, values, positions, grid)
    arrays[ENTITY_VALUES][:count, _VALUE["is_light"] :] = UNIT_ATTRIBUTES[type_indices]
    _write_classes(arrays[ENTITY_CLASSES][:count], raw, values)
    tags = np.zeros(max_entities, np.int64)
    tags[:count] = raw[:, COLUMN["tag"]]
    return tags


def _write_categories(
    categories: NDArray[np.int32],
    raw: NDArray[np.int64],
    values: NDArray[np.float64],
    effects: NDArray[np.int64],
    type_indices: NDArray[np.int32],
) -> None:
    contents = raw[:, _CONTENTS_SOURCE]
    mined = np.where(contents > 0, np.sqrt(np.maximum(_FULL_CONTENTS - contents, 0)), 0)
    buffs = raw[:, _BUFF_SOURCE]
    addons = np.minimum(raw[:, COLUMN["addon_unit_type"]], len(_ADDON_CATEGORY) - 1)
    parts = (
        np.where(effects > 0, FIRST_EFFECT_TYPE - 1 + effects, type_indices)[:, None],
        np.clip(raw[:, _CAPPED_SOURCE], 0, _CAPPED_HIGH),
        np.minimum(np.sqrt(np.maximum(raw[:, _ROOT_SOURCE], 0)), _ROOT_HIGH),
        np.clip(raw[:, _DIVIDED_SOURCE] // _DIVISORS, 0, _DIVIDED_HIGH),
        mined,
        np.where(buffs > 0, buff_index(buffs) + 1, 0),
        _ADDON_CATEGORY[addons][:, None],
        values[:, _FLAG_FIELDS],
    )
    start = 0
    for part in parts:
        categories[:, start : start + part.shape[1]] = part
        start += part.shape[1]


def _write_last_action(categories: NDArray[np.int32], raw: NDArray[np.int64], action: LastAction | None) -> None:
    tags = raw[:, COLUMN["tag"]]
    selected, targeted = _CATEGORY["was_selected"], _CATEGORY["was_targeted"]
    categories[:, selected] = np.isin(tags, action.selected_tags) if action and action.selected_tags else 0
    categories[:, targeted] = tags == action.target_tag if action and action.target_tag else 0


def _write_values(
    entity_values: NDArray[np.float32],
    raw: NDArray[np.int64],
    values: NDArray[np.float64],
    positions: NDArray[np.int64],
    grid: Grid,
) -> None:
    entity_values[:, : len(_SCALED)] = raw[:, _SCALED_SOURCE] / _SCALES
    longest = np.maximum(raw[:, COLUMN["buff_duration_max"]], 1)
    entity_values[:, _VALUE["buff_fraction_left"]] = raw[:, COLUMN["buff_duration_remain"]] / longest
    facing = values[:, FIELD["facing"]]
    entity_values[:, _VALUE["facing_sine"]] = np.sin(facing)
    entity_values[:, _VALUE["facing_cosine"]] = np.cos(facing)
    entity_values[:, _VALUE["radius_div_4"]] = values[:, FIELD["radius"]] / 4
    entity_values[:, _VALUE["height_div_16"]] = values[:, FIELD["z"]] / 16
    scale = np.asarray([2 / (grid.width - 1), 2 / (grid.height - 1)])
    entity_values[:, _VALUE["map_x"] : _VALUE["map_y"] + 1] = positions * scale - 1


def _write_classes(classes: NDArray[np.int32], raw: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    unit_types, alliances = raw[:, COLUMN["unit_type"]], raw[:, COLUMN["alliance"]]
    is_target = (raw[:, COLUMN["tag"]] != 0) & (raw[:, COLUMN["is_in_cargo"]] == 0)
    selectable = is_target & (alliances == OWN) & (raw[:, COLUMN["display_type"]] != _PLACEHOLDER)
    classes[:, 0] = selection_classes(unit_types, selectable, values[:, FIELD["build_progress"]])
    flying = values[:, FIELD["is_flying"]] > 0
    classes[:, 1] = target_classes(unit_types, np.clip(alliances, 0, ENEMY), flying, is_target)
