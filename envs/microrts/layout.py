"""The observation and action layout of µRTS: names of every column, spaces, and a hash to recognise it by."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.spaces import ACTION_MASK, ENTITY_MASK, ENTITY_VALUES, PLANES, SCALARS, UnitActionSpace, entity_spaces

UNIT_TYPE_NAMES = ("Resource", "Base", "Barracks", "Worker", "Light", "Heavy", "Ranged")
OWNER_NAMES = ("own", "enemy", "neutral")
ACTION_TYPE_NAMES = ("none", "move", "harvest", "return", "produce", "attack")
DIRECTION_NAMES = ("up", "right", "down", "left")
NUMBER_LIMIT = 1000.0
COUNT_LIMIT = 15
"""Hit points and carried resources above this share its category."""

ENTITY_CATEGORIES_SIZES = {
    "unit_type": len(UNIT_TYPE_NAMES),
    "owner": len(OWNER_NAMES),
    "current_action": 1 + len(ACTION_TYPE_NAMES),
    "action_direction": 1 + len(DIRECTION_NAMES),
    "produced_type": 1 + len(UNIT_TYPE_NAMES),
    "awaits_order": 2,
    "hit_points": COUNT_LIMIT + 1,
    "resources": COUNT_LIMIT + 1,
}
"""Vocabulary of each column of entity_categories. In current_action, action_direction and produced_type 0 stands for
"nothing": the unit has no action, its action has no direction, it produces nothing; k + 1 is entry k of the names
above."""
ENTITY_CATEGORY_NAMES = tuple(ENTITY_CATEGORIES_SIZES)
UNIT_TYPE, OWNER, CURRENT_ACTION, ACTION_DIRECTION, PRODUCED_TYPE, AWAITS_ORDER, HIT_POINTS, RESOURCES = range(8)

ENTITY_VALUE_NAMES = (
    "hit_point_fraction",
    "hit_points_div_10",
    "resources_div_10",
    "action_time_left_div_10",
    "action_time_left_fraction",
    "attack_target_x",
    "attack_target_y",
    "map_x",
    "map_y",
    "nearest_enemy_x_div_8",
    "nearest_enemy_y_div_8",
)
"""Columns of entity_values. Time left is in game steps / 10, clipped at 10. The target of an attack in flight is
relative to the attacker, in units of the longest range (3 cells). map_x and map_y run from -1 to 1 over the map. The
nearest enemy is the fewest moves away, walls and units in between aside: where to go is the hardest to learn on a large
map."""

_COUNTED = tuple(name.lower() for name in UNIT_TYPE_NAMES[1:])
_THRESHOLDS = (1, 2, 3, 5, 10)
SCALAR_NAMES = (
    "time_fraction",
    "own_resources_div_10",
    "enemy_resources_div_10",
    "own_uncommitted_resources_div_10",
    *(f"own_resources_at_least_{threshold}" for threshold in _THRESHOLDS),
    *(f"enemy_resources_at_least_{threshold}" for threshold in _THRESHOLDS),
    "resources_left_on_map_div_100",
    *(f"own_{name}_div_10" for name in _COUNTED),
    *(f"enemy_{name}_div_10" for name in _COUNTED),
)
"""Columns of scalars. The thresholds are the prices of a worker (1), of combat units (2, 3), of barracks (5) and of
a base (10). Uncommitted resources are what production under way has not claimed yet."""

PLANE_NAMES = ("walls",)
ATTACK_SIDE = 7
"""Attack targets are the cells of a 7 x 7 square around the attacker, row by row."""
ACTION_COMPONENTS = {
    "type": len(ACTION_TYPE_NAMES),
    "move": len(DIRECTION_NAMES),
    "harvest": len(DIRECTION_NAMES),
    "return": len(DIRECTION_NAMES),
    "produce_direction": len(DIRECTION_NAMES),
    "produce_type": len(UNIT_TYPE_NAMES),
    "attack": ATTACK_SIDE**2,
}
ACTION_ARGUMENTS = ((), ("move",), ("harvest",), ("return",), ("produce_direction", "produce_type"), ("attack",))
ACTION_MASK_SIZE = sum(ACTION_COMPONENTS.values())

REWARD_TERM_NAMES = (
    "win_loss",
    "resource_gather",
    "produce_worker",
    "produce_building",
    "attack",
    "produce_combat_unit",
)
DEFAULT_REWARD_WEIGHTS = (10.0, 1.0, 1.0, 0.2, 1.0, 4.0)
"""The weights of Gym-µRTS (Huang et al. 2021)."""


MAX_DEFAULT_ENTITIES = 256


def default_max_entities(width: int, height: int) -> int:
    """Return the entity slots of a row where no number is given: one for each cell of the map, at most 256."""
    return min(width * height, MAX_DEFAULT_ENTITIES)


def observation_space(*, max_entities: int, width: int, height: int) -> spaces.Dict:
    """Return the space of what one player sees on a map of `width` x `height` cells."""
    entities = entity_spaces(
        max_entities=max_entities,
        category_sizes=list(ENTITY_CATEGORIES_SIZES.values()),
        num_values=len(ENTITY_VALUE_NAMES),
        width=width,
        height=height,
    )
    # No number in a game comes near the limit; a bounded space tells more than an infinite one.
    values = spaces.Box(-NUMBER_LIMIT, NUMBER_LIMIT, (max_entities, len(ENTITY_VALUE_NAMES)), np.float32)
    return spaces.Dict(
        {
            **entities,
            ENTITY_VALUES: values,
            SCALARS: spaces.Box(-NUMBER_LIMIT, NUMBER_LIMIT, (len(SCALAR_NAMES),), np.float32),
            PLANES: spaces.Box(0, 1, (len(PLANE_NAMES), height, width), np.uint8),
            ACTION_MASK: spaces.Box(0, 1, (max_entities, ACTION_MASK_SIZE), np.int8),
        }
    )


def action_space(*, max_entities: int) -> UnitActionSpace:
    """Return the space of one order for each entity slot."""
    return UnitActionSpace(max_entities, ACTION_COMPONENTS, ACTION_ARGUMENTS)


def allocate_buffers(space: spaces.Dict, *, num_rows: int) -> dict[str, NDArray[Any]]:
    """Return the arrays [num_rows, ...] that are shared with Java, by name: observations, actions and results."""
    boxes: dict[str, tuple[Any, Any]] = {name: (box.shape, box.dtype) for name, box in space.spaces.items()}
    max_entities = boxes[ENTITY_MASK][0][0]
    results: dict[str, tuple[Any, Any]] = {
        "actions": ((max_entities, len(ACTION_COMPONENTS)), np.int64),
        "reward_terms": ((len(REWARD_TERM_NAMES),), np.float32),
        "terminated": ((), np.bool_),
        "truncated": ((), np.bool_),
        "outcome": ((), np.int8),
        "elapsed_steps": ((), np.int32),
    }
    return {name: np.zeros((num_rows, *shape), dtype) for name, (shape, dtype) in {**boxes, **results}.items()}


def layout_sha256() -> str:
    """Return a hash of everything that gives a column of observations or actions its meaning."""
    names = [UNIT_TYPE_NAMES, OWNER_NAMES, ACTION_TYPE_NAMES, DIRECTION_NAMES, PLANE_NAMES, REWARD_TERM_NAMES]
    columns = [ENTITY_CATEGORIES_SIZES, ENTITY_VALUE_NAMES, SCALAR_NAMES, ACTION_COMPONENTS, ACTION_ARGUMENTS]
    return hashlib.sha256(json.dumps([names, columns]).encode()).hexdigest()
