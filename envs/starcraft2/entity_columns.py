"""The columns of entities: which features of units, with which vocabularies and scales (AlphaStar's)."""

from __future__ import annotations

import numpy as np

from envs.starcraft2.raw_units import FUNCTION_OF_ABILITY
from envs.starcraft2.tables import ATTRIBUTE_NAMES, BUFF_IDS, EFFECT_IDS, UNIT_TYPE_IDS

MAX_ENTITIES = 512
OWN, ALLY, NEUTRAL, ENEMY = 1, 2, 3, 4
FIRST_EFFECT_TYPE = 1 + len(UNIT_TYPE_IDS)
"""Unit type index of an unknown effect; effect k of the table is k + 1 further on."""
PLACEHOLDER = 4
_NUM_FUNCTIONS = 1 + int(FUNCTION_OF_ABILITY.max())

CAPPED_SIZES = {
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
"""Columns taken from raw_units as they are, up to the last category."""
SQUARE_ROOT_SIZES = {"health": 39, "shield": 32, "energy": 15, "buff_duration_remain": 16}
DIVIDED_SIZES = {"mineral_contents": 19, "vespene_contents": 26, "order_progress_0": 11, "order_progress_1": 11}
DIVISORS = {"mineral_contents": 100, "vespene_contents": 100, "order_progress_0": 10, "order_progress_1": 10}
"""Whole hundreds of resources and whole tens of percent."""
MOST_MINERALS, MOST_VESPENE = 1800, 2500

CATEGORY_SIZES = {
    "unit_type": 1 + len(UNIT_TYPE_IDS) + 1 + len(EFFECT_IDS),
    **CAPPED_SIZES,
    **{f"sqrt_{name}": size for name, size in SQUARE_ROOT_SIZES.items()},
    "mineral_contents_div_100": DIVIDED_SIZES["mineral_contents"],
    "vespene_contents_div_100": DIVIDED_SIZES["vespene_contents"],
    "order_progress_0_div_10": DIVIDED_SIZES["order_progress_0"],
    "order_progress_1_div_10": DIVIDED_SIZES["order_progress_1"],
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
CATEGORY = {name: column for column, name in enumerate(CATEGORY_NAMES)}

ADDON_TYPES = (5, 6, 37, 38, 39, 40, 41, 42)
"""Unit types of tech labs and reactors: on their own, of a barracks, a factory, a starport."""

SCALED = {
    "build_progress": 100,
    "health_ratio": 255,
    "shield_ratio": 255,
    "energy_ratio": 255,
    "order_progress_0": 100,
    "order_progress_1": 100,
    "mineral_contents": MOST_MINERALS,
    "vespene_contents": MOST_VESPENE,
    "weapon_cooldown": 32,
}
VALUE_NAMES = (
    *(f"{name}_div_{scale}" for name, scale in SCALED.items()),
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
VALUE = {name: column for column, name in enumerate(VALUE_NAMES)}

ADDON_CATEGORY = np.ones(max(ADDON_TYPES) + 2, np.int32)
"""Category of each unit type as an add-on; the last entry stands for all that follow."""
ADDON_CATEGORY[0] = 0
ADDON_CATEGORY[list(ADDON_TYPES)] = np.arange(2, 2 + len(ADDON_TYPES))
