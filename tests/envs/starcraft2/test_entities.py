from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import starcraft2_frames as frames
from envs.spaces import ENTITY_CATEGORIES, ENTITY_CLASSES, ENTITY_MASK, ENTITY_POSITIONS, ENTITY_VALUES
from envs.starcraft2 import entities
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entity_classes import TARGET_CLASS_NAMES, UNFINISHED_CLASS, selection_class_of
from envs.starcraft2.entity_columns import ADDON_TYPES, CATEGORY_NAMES, CATEGORY_SIZES, FIRST_EFFECT_TYPE, VALUE_NAMES
from envs.starcraft2.raw_units import COLUMN, raw_units
from envs.starcraft2.scalars import LastAction
from envs.starcraft2.tables import BUFF_IDS, UNIT_TYPE_IDS, effect_index, unit_type_index
from envs.starcraft2.unit_records import read_units

GRID = Grid((168, 184))
Arrays = dict[str, NDArray[Any]]


def empty_arrays(max_entities: int) -> Arrays:
    """Return arrays that hold something else before they are written."""
    return {
        ENTITY_CATEGORIES: np.full((max_entities, len(CATEGORY_NAMES)), 9, np.int32),
        ENTITY_VALUES: np.full((max_entities, len(VALUE_NAMES)), 9, np.float32),
        ENTITY_POSITIONS: np.full((max_entities, 2), 9, np.int32),
        ENTITY_MASK: np.full(max_entities, 9, np.int8),
        ENTITY_CLASSES: np.full((max_entities, 2), 9, np.int32),
    }


def write(raw: Any, *, max_entities: int = 512, last: LastAction | None = None) -> tuple[Arrays, NDArray[np.int64]]:
    records = read_units(raw)
    found = entities.candidates(raw_units(records, GRID), records, raw.effects, GRID)
    arrays = empty_arrays(max_entities)
    return arrays, entities.write_entities(arrays, found, GRID, last)


def message(seed: int, num_units: int) -> Any:
    return frames.observation(np.random.default_rng(seed), num_units=num_units).observation.raw_data


def expected_categories(unit: dict[str, int], raw_unit: Any) -> dict[str, int]:
    """Return the categories of one unit, written out one by one."""

    def capped(number: float, name: str) -> int:
        return min(max(int(number), 0), CATEGORY_SIZES[name] - 1)

    def buff(number: int) -> int:
        return 0 if number == 0 else 2 + BUFF_IDS.index(number) if number in BUFF_IDS else 1

    def root(number: float) -> float:
        return math.sqrt(max(number, 0))

    def mined(full: int, left: int) -> float:
        return root(full - left) if left > 0 else 0

    known = unit["unit_type"] in UNIT_TYPE_IDS
    addon = unit["addon_unit_type"]
    expected = {name: capped(unit[name], name) for name in CATEGORY_NAMES if name in COLUMN and name != "unit_type"}
    return expected | {
        "unit_type": 1 + UNIT_TYPE_IDS.index(unit["unit_type"]) if known else 0,
        "sqrt_health": capped(root(unit["health"]), "sqrt_health"),
        "sqrt_shield": capped(root(unit["shield"]), "sqrt_shield"),
        "sqrt_energy": capped(root(unit["energy"]), "sqrt_energy"),
        "sqrt_buff_duration_remain": capped(root(unit["buff_duration_remain"]), "sqrt_buff_duration_remain"),
        "mineral_contents_div_100": capped(unit["mineral_contents"] // 100, "mineral_contents_div_100"),
        "vespene_contents_div_100": capped(unit["vespene_contents"] // 100, "vespene_contents_div_100"),
        "order_progress_0_div_10": unit["order_progress_0"] // 10,
        "order_progress_1_div_10": unit["order_progress_1"] // 10,
        "sqrt_mined_minerals": int(mined(1800, unit["mineral_contents"])),
        "sqrt_mined_vespene": int(mined(2500, unit["vespene_contents"])),
        "buff_0": buff(unit["buff_id_0"]),
        "buff_1": buff(unit["buff_id_1"]),
        "addon": 0 if addon == 0 else 2 + ADDON_TYPES.index(addon) if addon in ADDON_TYPES else 1,
        "is_flying": int(raw_unit.is_flying),
        "is_burrowed": int(raw_unit.is_burrowed),
        "was_selected": 0,
        "was_targeted": 0,
    }


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40))
def test_categories_are_those_of_a_loop_over_units(seed: int, num_units: int) -> None:
    raw = message(seed, num_units)
    arrays, tags = write(raw)
    units = raw_units(read_units(raw), GRID)
    by_tag = {unit.tag: unit for unit in raw.units}
    slot_of = {int(tag): slot for slot, tag in enumerate(tags)}
    for row in units[:num_units]:
        unit = dict(zip(COLUMN, row.tolist(), strict=True))
        expected = expected_categories(unit, by_tag[unit["tag"]])
        got = dict(zip(CATEGORY_NAMES, arrays[ENTITY_CATEGORIES][slot_of[unit["tag"]]].tolist(), strict=True))
        assert got == expected
    assert int(arrays[ENTITY_MASK].sum()) == len(units) + sum(len(effect.pos) for effect in raw.effects)


def test_values_of_one_unit() -> None:
    raw = message(0, 0)
    unit = raw.units.add(
        unit_type=48, tag=3, alliance=1, health=22.5, health_max=45, build_progress=1, facing=math.pi / 2
    )
    unit.pos.x, unit.pos.y, unit.pos.z, unit.radius = 0.1, 183.9, 8, 0.375
    unit.buff_duration_remain, unit.buff_duration_max = 5, 20
    unit.orders.add(ability_id=23, progress=0.25)
    arrays, _ = write(raw)
    values = dict(zip(VALUE_NAMES, arrays[ENTITY_VALUES][0].tolist(), strict=True))
    nonzero = {name: number for name, number in values.items() if abs(number) > 1e-6}
    assert nonzero == {
        "build_progress_div_100": 1,
        "health_ratio_div_255": pytest.approx(127 / 255),
        "order_progress_0_div_100": pytest.approx(0.25),
        "buff_fraction_left": pytest.approx(0.25),
        "facing_sine": pytest.approx(1),
        "radius_div_4": pytest.approx(0.09375),
        "height_div_16": pytest.approx(0.5),
        "map_x": -1,
        "map_y": -1,
        "is_light": 1,
        "is_biological": 1,
    }


def test_own_units_come_first_then_the_nearest_enemies() -> None:
    raw = message(0, 0)
    for tag, alliance, x in ((1, 3, 50), (2, 4, 120), (3, 1, 60), (4, 4, 70), (5, 2, 61), (6, 1, 100)):
        raw.units.add(unit_type=48, tag=tag, alliance=alliance).pos.x = x
    effect = raw.effects.add(effect_id=1, alliance=4, radius=1.5)
    effect.pos.add(x=60, y=10)
    arrays, tags = write(raw)
    assert tags[:7].tolist() == [3, 6, 4, 2, 0, 5, 1]
    assert arrays[ENTITY_CATEGORIES][4, 0] == FIRST_EFFECT_TYPE + effect_index([1])[0]
    assert arrays[ENTITY_POSITIONS][4].tolist() == GRID.to_cells(np.asarray([(60, 10)]))[0].tolist()
    assert arrays[ENTITY_CLASSES][4].tolist() == [0, 0]


@pytest.mark.parametrize("num_units", [0, 5, 300, 700, 900])
def test_what_does_not_fit_is_the_farthest(num_units: int) -> None:
    raw = message(num_units, num_units)
    arrays, tags = write(raw)
    everyone, all_tags = write(raw, max_entities=4096)
    count = min(int(everyone[ENTITY_MASK].sum()), 512)
    assert int(arrays[ENTITY_MASK].sum()) == count
    kept = set(tags[:count].tolist())
    alliances = {unit.tag: unit.alliance for unit in raw.units}
    own = [tag for tag in all_tags.tolist() if alliances.get(tag) == 1]
    assert len(own) <= 512
    assert set(own) <= kept
    for key, array in arrays.items():
        assert not array[count:].any(), key
    assert not tags[count:].any()
    own_positions = np.asarray([position_of(raw, tag) for tag in own if tag in alliances], float).reshape(-1, 2)
    for alliance in (4, 2, 3):
        distances: dict[bool, list[float]] = {True: [], False: []}
        for tag in [tag for tag, other in alliances.items() if other == alliance]:
            distance = ((own_positions - position_of(raw, tag)) ** 2).sum(1).min(initial=np.inf)
            distances[tag in kept].append(float(distance))
        assert max(distances[True], default=0) <= min(distances[False], default=np.inf)
    assert (num_units >= 700) == (len(kept & set(alliances)) < num_units)


def position_of(raw: Any, tag: int) -> NDArray[np.int64]:
    unit = next(unit for unit in raw.units if unit.tag == tag)
    return GRID.project(np.asarray([(unit.pos.x, unit.pos.y)]))[0]


def test_classes_tell_what_can_be_ordered_and_targeted() -> None:
    raw = message(0, 0)
    raw.units.add(unit_type=48, tag=1, alliance=1, build_progress=1)
    raw.units.add(unit_type=21, tag=2, alliance=1, build_progress=0.5)
    raw.units.add(unit_type=21, tag=3, alliance=1, display_type=4, build_progress=1)
    carrier = raw.units.add(unit_type=54, tag=4, alliance=1, build_progress=1, is_flying=True)
    carrier.passengers.add(unit_type=48, tag=5)
    raw.units.add(unit_type=48, tag=6, alliance=4, build_progress=1)
    raw.units.add(unit_type=341, tag=7, alliance=3)
    arrays, tags = write(raw)
    classes = dict(zip(tags.tolist(), arrays[ENTITY_CLASSES].tolist(), strict=True))
    selection = {tag: pair[0] for tag, pair in classes.items()}
    marine, medivac = selection_class_of([48, 54]).tolist()
    assert selection == {1: marine, 2: UNFINISHED_CLASS, 3: 0, 4: medivac, 5: 0, 6: 0, 7: 0, 0: 0}
    target = {tag: TARGET_CLASS_NAMES[pair[1]] for tag, pair in classes.items()}
    assert target[6] == "enemy_ground_unit"
    assert target[7] == "mineral_field"
    assert target[4] == "own_air_mechanical"
    assert target[5] == target[0] == "none"


def test_units_of_the_last_action_are_marked() -> None:
    raw = message(0, 0)
    for tag in (1, 2, 3, 2**40):
        raw.units.add(unit_type=48, tag=tag, alliance=1)
    arrays, tags = write(raw, last=LastAction(selected_tags=(2, 2**40, 77), target_tag=3))
    marks = arrays[ENTITY_CATEGORIES][:, -2:]
    assert tags[marks[:, 0] == 1].tolist() == [2, 2**40]
    assert tags[marks[:, 1] == 1].tolist() == [3]
    arrays, _ = write(raw, last=LastAction())
    assert not arrays[ENTITY_CATEGORIES][:, -2:].any()


def test_unit_types_and_effects_have_categories_of_their_own() -> None:
    assert unit_type_index([max(UNIT_TYPE_IDS)])[0] < FIRST_EFFECT_TYPE
    raw = message(0, 0)
    raw.effects.add(effect_id=12, alliance=1).pos.add(x=1, y=1)
    raw.effects.add(effect_id=99, alliance=1).pos.add(x=1, y=1)
    arrays, _ = write(raw)
    assert arrays[ENTITY_CATEGORIES][:2, 0].tolist() == [CATEGORY_SIZES["unit_type"] - 1, FIRST_EFFECT_TYPE]
