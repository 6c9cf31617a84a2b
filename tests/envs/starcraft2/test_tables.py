from __future__ import annotations

import importlib

import numpy as np
import pytest

from envs.starcraft2 import tables
from envs.starcraft2.compatibility import PYSC2_NAME

units = importlib.import_module(f"{PYSC2_NAME}.lib.units")
buffs = importlib.import_module(f"{PYSC2_NAME}.lib.buffs")
upgrades = importlib.import_module(f"{PYSC2_NAME}.lib.upgrades")
# Where pysc2 keeps its types depends on the distribution.
features = importlib.import_module(f"{PYSC2_NAME}.lib.features" + "_types" * (PYSC2_NAME == "pysc2_evolved"))

TABLES = {
    "unit type": (tables.UNIT_TYPE_IDS, tables.UNIT_TYPE_NAMES, tables.unit_type_index),
    "buff": (tables.BUFF_IDS, tables.BUFF_NAMES, tables.buff_index),
    "upgrade": (tables.UPGRADE_IDS, tables.UPGRADE_NAMES, tables.upgrade_index),
    "effect": (tables.EFFECT_IDS, tables.EFFECT_NAMES, tables.effect_index),
}


@pytest.mark.parametrize("name", TABLES)
def test_ids_rise_names_are_unique_and_indices_lead_back(name: str) -> None:
    ids, names, index = TABLES[name]
    assert list(ids) == sorted(set(ids))
    assert ids[0] > 0
    assert len(set(names)) == len(names) == len(ids)
    assert all(names)
    np.testing.assert_array_equal(index(np.asarray(ids)), np.arange(1, len(ids) + 1))


@pytest.mark.parametrize("name", TABLES)
def test_what_a_table_does_not_hold_has_index_0(name: str) -> None:
    ids, _, index = TABLES[name]
    missing = [number for number in range(-2, max(ids) + 5) if number not in ids]
    assert not index(np.asarray([*missing, 2**31, 2**40])).any()
    assert index(np.zeros((2, 3), np.int64)).shape == (2, 3)
    assert index([]).shape == (0,)


def test_everything_that_pysc2_names_is_in_the_tables_under_its_name() -> None:
    for enums, ids, names in (
        ((units.Neutral, units.Protoss, units.Terran, units.Zerg), tables.UNIT_TYPE_IDS, tables.UNIT_TYPE_NAMES),
        ((buffs.Buffs,), tables.BUFF_IDS, tables.BUFF_NAMES),
        ((upgrades.Upgrades,), tables.UPGRADE_IDS, tables.UPGRADE_NAMES),
    ):
        name_of = dict(zip(ids, names, strict=True))
        assert all(name_of[entry.value] == entry.name for enum in enums for entry in enum)
    effects = {entry.value: entry.name for entry in features.Effects if entry.value}
    assert effects == dict(zip(tables.EFFECT_IDS, tables.EFFECT_NAMES, strict=True))


def attributes_of(name: str) -> set[str]:
    row = tables.UNIT_ATTRIBUTES[1 + tables.UNIT_TYPE_NAMES.index(name)]
    return {attribute for attribute, has in zip(tables.ATTRIBUTE_NAMES, row, strict=True) if has}


def test_attributes_are_those_of_the_game() -> None:
    assert attributes_of("Marine") == {"light", "biological"}
    assert attributes_of("Barracks") == {"armored", "mechanical", "structure"}
    assert attributes_of("Colossus") == {"armored", "mechanical", "massive"} | ({"robotic"} & attributes_of("Colossus"))
    assert not tables.UNIT_ATTRIBUTES[0].any()
    assert tables.UNIT_ATTRIBUTES.shape == (1 + len(tables.UNIT_TYPE_IDS), 11)
    with pytest.raises(ValueError, match="read-only"):
        tables.UNIT_ATTRIBUTES[0] = 1
