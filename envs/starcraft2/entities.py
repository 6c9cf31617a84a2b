"""Entities: units, passengers and effects with the features of AlphaStar, in the columns of `envs.spaces`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.spaces import ENTITY_CATEGORIES, ENTITY_CLASSES, ENTITY_MASK, ENTITY_POSITIONS, ENTITY_VALUES
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entity_classes import selection_classes, target_classes
from envs.starcraft2.entity_columns import (
    ADDON_CATEGORY,
    CAPPED_SIZES,
    CATEGORY,
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
    VALUE,
    VALUE_NAMES,
)
from envs.starcraft2.raw_units import COLUMN, COLUMN_NAMES
from envs.starcraft2.scalars import LastAction
from envs.starcraft2.tables import ATTRIBUTE_NAMES, UNIT_ATTRIBUTES, buff_index, effect_index, unit_type_index
from envs.starcraft2.unit_records import FIELD, UnitRecords


def _rows(names: Mapping[str, int]) -> NDArray[np.intp]:
    return np.asarray([COLUMN[name] for name in names])


def _column(numbers: Iterable[float]) -> NDArray[Any]:
    return np.asarray(list(numbers))[:, None]


_CAPPED, _CAPPED_HIGH = _rows(CAPPED_SIZES), _column(size - 1 for size in CAPPED_SIZES.values())
_ROOTED, _ROOTED_HIGH = _rows(SQUARE_ROOT_SIZES), _column(size - 1 for size in SQUARE_ROOT_SIZES.values())
_DIVIDED, _DIVIDED_HIGH = _rows(DIVIDED_SIZES), _column(size - 1 for size in DIVIDED_SIZES.values())
_DIVISORS, _FULL_CONTENTS = _column(DIVISORS.values()), _column((MOST_MINERALS, MOST_VESPENE))
_SCALED_ROWS, _SCALES = _rows(SCALED), _column(SCALED.values())
_POSITION = slice(COLUMN["x"], COLUMN["y"] + 1)
_CONTENTS = slice(COLUMN["mineral_contents"], COLUMN["vespene_contents"] + 1)
_BUFFS = slice(COLUMN["buff_id_0"], COLUMN["buff_id_1"] + 1)
_FLAGS = slice(FIELD["is_flying"], FIELD["is_burrowed"] + 1)

# Groups of the order: own, enemies, effects, allies, neutrals and what belongs to none, by alliance.
EFFECT_GROUP = 2
GROUP_OF_ALLIANCE = np.asarray([4, 0, 3, 4, 1])
BY_DISTANCE = np.asarray([0, 1, 0, 0, 0], np.int8)
BY_DISTANCE_IN_A_CROWD = np.asarray([0, 1, 0, 1, 1], np.int8)
FARTHEST = 2**18
"""Coordinates beyond this, which only a broken message has, count as this far away."""
BEYOND_EVERY_DISTANCE = 2.0**40


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
    groups = np.take(GROUP_OF_ALLIANCE, found.raw[COLUMN["alliance"]], mode="clip")
    groups[found.effects > 0] = EFFECT_GROUP
    keys = groups * BEYOND_EVERY_DISTANCE
    by_distance = BY_DISTANCE_IN_A_CROWD if len(groups) > max_entities else BY_DISTANCE
    measured = np.flatnonzero(by_distance[groups])
    keys[measured] += _distances(found.raw, measured, np.flatnonzero(groups == 0))
    return np.argsort(keys, kind="stable")[:max_entities]


def _distances(raw: NDArray[np.int64], columns: NDArray[np.intp], own: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the squared distance in cells of each candidate to the nearest own unit, 0 where there is none."""
    if not len(columns) or not len(own):
        return np.zeros(len(columns))
    positions_x, positions_y = np.clip(raw[_POSITION], -FARTHEST, FARTHEST).astype(np.float64)
    x = positions_x[columns, None] - positions_x[own]
    y = positions_y[columns, None] - positions_y[own]
    nearest: NDArray[np.float64] = (x * x + y * y).min(1)
    return nearest


def write_entities(
    arrays: Mapping[str, NDArray[Any]], found: Candidates, grid: Grid, last_action: LastAction | None
) -> NDArray[np.int64]:
    """Fill the entity arrays of an observation and return the tags int64 [max_entities] of its slots.

    Args:
        arrays: the entity arrays of one observation by key; padding is zeroed.
        last_action: whose units are marked as selected and targeted.
    """
    order = entity_order(found, len(arrays[ENTITY_MASK]))
    count = len(order)
    raw, values = np.take(found.raw, order, axis=1), np.take(found.values, order, axis=1)
    write_mask(arrays, count)
    positions = np.clip(raw[_POSITION], 0, [[grid.width - 1], [grid.height - 1]])
    arrays[ENTITY_POSITIONS][:count] = positions.T
    type_indices = unit_type_index(raw[COLUMN["unit_type"]])
    categories = _categories(raw, values, found.effects[order], type_indices)
    arrays[ENTITY_CATEGORIES][:count] = categories.T
    arrays[ENTITY_VALUES][:count] = _values(raw, values, positions, grid, type_indices).T
    arrays[ENTITY_CLASSES][:count] = _classes(raw, values).T
    tags = np.zeros(len(arrays[ENTITY_MASK]), np.int64)
    tags[:count] = raw[COLUMN["tag"]]
    _write_marks(arrays, tags, last_action)
    return tags


def write_mask(arrays: Mapping[str, NDArray[Any]], count: int) -> None:
    """Mark the first `count` slots as real and zero the others."""
    for array in arrays.values():
        array[count:] = 0
    arrays[ENTITY_MASK][:count] = 1


def _write_marks(arrays: Mapping[str, NDArray[Any]], tags: NDArray[np.int64], action: LastAction | None) -> None:
    """Mark in the last two categories which units the last action selected, and which it targeted.

    Args:
        tags: of the slots [max_entities].
    """
    if action is not None and action.selected_tags:
        selected = np.isin(tags, np.asarray(action.selected_tags, np.int64))
        arrays[ENTITY_CATEGORIES][:, CATEGORY["was_selected"]] = selected & (tags != 0)
    if action is not None and action.target_tag:
        arrays[ENTITY_CATEGORIES][:, CATEGORY["was_targeted"]] = tags == action.target_tag


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
        np.take(ADDON_CATEGORY, raw[COLUMN["addon_unit_type"]], mode="clip")[None],
        values[_FLAGS] != 0,
        np.zeros((2, raw.shape[1])),
    )
    categories = np.empty((len(CATEGORY_NAMES), raw.shape[1]), np.int32)
    start = 0
    for part in parts:
        categories[start : start + len(part)] = part
        start += len(part)
    return categories


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
    entity_values[: len(SCALED)] = raw[_SCALED_ROWS] / _SCALES
    entity_values[VALUE["buff_fraction_left"]] = raw[COLUMN["buff_duration_remain"]] / longest
    entity_values[VALUE["facing_sine"]] = np.sin(facing)
    entity_values[VALUE["facing_cosine"]] = np.cos(facing)
    entity_values[VALUE["radius_div_4"]] = values[FIELD["radius"]] / 4
    entity_values[VALUE["height_div_16"]] = values[FIELD["z"]] / 16
    entity_values[VALUE["map_x"]] = positions[0] * (2 / (grid.width - 1)) - 1
    entity_values[VALUE["map_y"]] = positions[1] * (2 / (grid.height - 1)) - 1
    entity_values[-len(ATTRIBUTE_NAMES) :] = UNIT_ATTRIBUTES[type_indices].T
    return entity_values


def _classes(raw: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the selection and the target classes [2, N] of ordered candidates."""
    unit_types, alliances = raw[COLUMN["unit_type"]], raw[COLUMN["alliance"]]
    is_target = (raw[COLUMN["tag"]] != 0) & (raw[COLUMN["is_in_cargo"]] == 0)
    selectable = is_target & (alliances == OWN) & (raw[COLUMN["display_type"]] != PLACEHOLDER)
    flying = values[FIELD["is_flying"]] > 0
    classes = np.empty((2, raw.shape[1]), np.int32)
    classes[0] = selection_classes(unit_types, selectable, values[FIELD["build_progress"]])
    classes[1] = target_classes(unit_types, np.clip(alliances, 0, ENEMY), flying, is_target)
    return classes
