"""Small games of function calls for tests: spaces, and random observations of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agent.interface import AgentSpec, PackedObservation, pack_observation
from envs.function_calls import QUEUED, REPEAT, SELECTED, TARGET_ENTITY, TARGET_POINT, FunctionCallSpace
from envs.spaces import (
    ACTION_MASK,
    ENTITY_CLASSES,
    ENTITY_KEYS,
    ENTITY_MASK,
    PLANES,
    SCALARS,
    VALUE_SCALARS,
    entity_spaces,
)

Observation = dict[str, NDArray[Any]]

MAX_ENTITIES = 6
FUNCTIONS: tuple[tuple[str, ...], ...] = (
    (),
    (QUEUED, SELECTED),
    (QUEUED, REPEAT, TARGET_POINT, SELECTED),
    (TARGET_ENTITY, SELECTED),
    (TARGET_POINT,),
    (QUEUED, REPEAT, TARGET_ENTITY, TARGET_POINT, SELECTED),
)
# Selection classes: never, worker, soldier. Target classes: never, enemy, neutral.
SELECTION_TABLE = [[0, 0, 0], [0, 1, 1], [0, 1, 1], [0, 1, 0], [0, 0, 0], [0, 0, 1]]
TARGET_TABLE = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 0], [0, 1, 0]]


def call_space(
    *,
    max_selected: int = 3,
    point_shape: tuple[int, int] = (8, 8),
    max_delay: int = 4,
    max_entities: int = MAX_ENTITIES,
) -> FunctionCallSpace:
    return FunctionCallSpace(
        FUNCTIONS,
        max_entities=max_entities,
        max_selected=max_selected,
        max_delay=max_delay,
        point_shape=point_shape,
        selection_table=SELECTION_TABLE,
        target_table=TARGET_TABLE,
    )


def observation_space(space: FunctionCallSpace, plane_shape: tuple[int, int] | None = (8, 8)) -> spaces.Dict:
    height, width = space.point_shape
    entities = space.max_entities
    parts: dict[str, spaces.Space[Any]] = {
        **entity_spaces(max_entities=entities, category_sizes=(3, 7), num_values=2, width=width, height=height),
        ENTITY_CLASSES: spaces.Box(0, 2, (entities, 2), np.int32),
        SCALARS: spaces.Box(-1, 1, (3,), np.float32),
        VALUE_SCALARS: spaces.Box(-1, 1, (2,), np.float32),
        ACTION_MASK: spaces.Box(0, 1, (len(FUNCTIONS),), np.int8),
    }
    if plane_shape is not None:
        parts[PLANES] = spaces.Box(0, 3, (2, *plane_shape), np.uint8)
    return spaces.Dict(parts)


def call_game(
    space: FunctionCallSpace | None = None,
    plane_shape: tuple[int, int] | None = (8, 8),
    reward_terms: tuple[str, ...] = ("win", "built"),
) -> AgentSpec:
    space = space or call_space()
    return AgentSpec.from_spaces(observation_space(space, plane_shape), space, reward_terms)


def legal_functions(space: FunctionCallSpace, classes: NDArray[Any]) -> NDArray[np.int8]:
    """Return which functions have all that they must choose, [F] for entity classes [E, 2]."""
    legal = []
    for function, read in enumerate(space.arguments):
        selectable = space.selection_table[function, classes[:, 0]].any()
        targetable = space.target_table[function, classes[:, 1]].any()
        legal.append((SELECTED not in read or selectable) and (TARGET_ENTITY not in read or targetable))
    return np.array(legal, np.int8)


def random_observation(
    seed: int, counts: list[int], space: FunctionCallSpace | None = None, plane_shape: tuple[int, int] | None = (8, 8)
) -> Observation:
    """Return observations [N, ...] with the given numbers of entities; padding holds garbage, each asks for a call."""
    generator = np.random.default_rng(seed)
    space = space or call_space()
    observation: Observation = {}
    for key, box in observation_space(space, plane_shape).spaces.items():
        assert isinstance(box, spaces.Box)
        shape = (len(counts), *box.shape)
        if box.dtype == np.float32:
            observation[key] = generator.normal(size=shape).astype(np.float32)
        else:
            observation[key] = generator.integers(box.low, box.high.astype(np.int64) + 1, shape).astype(box.dtype)
    real = np.arange(space.max_entities) < np.asarray(counts)[:, None]
    observation[ENTITY_MASK] = real.astype(np.int8)
    observation[ENTITY_CLASSES][~real] = 0
    for n in range(len(counts)):
        observation[ACTION_MASK][n] = legal_functions(space, observation[ENTITY_CLASSES][n])
    for key in (*ENTITY_KEYS, ENTITY_CLASSES):
        if key != ENTITY_MASK:
            observation[key][~real] = 1
    return observation


def random_calls(
    seed: int, counts: list[int], space: FunctionCallSpace | None = None, plane_shape: tuple[int, int] | None = (8, 8)
) -> PackedObservation:
    space = space or call_space()
    observation = random_observation(seed, counts, space, plane_shape)
    return pack_observation(observation, call_game(space, plane_shape))
