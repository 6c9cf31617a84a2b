"""Small games for tests: spaces in the layout of `envs.spaces`, and random observations of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agent.interface import AgentInput, AgentSpec, PackedObservation, pack_observation
from envs.spaces import ACTION_MASK, ENTITY_KEYS, ENTITY_MASK, PLANES, SCALARS, UnitActionSpace, entity_spaces

Observation = dict[str, NDArray[Any]]

WIDTH, HEIGHT, MAX_ENTITIES = 5, 4, 6
COMPONENTS = {"type": 3, "direction": 4, "target": 5}
ARGUMENTS: list[list[str]] = [[], ["direction"], ["direction", "target"]]


def unit_action_space() -> UnitActionSpace:
    return UnitActionSpace(MAX_ENTITIES, COMPONENTS, ARGUMENTS)


def unit_observation_space() -> spaces.Dict:
    """Entities, scalars and a plane of walls; units act."""
    action_space = unit_action_space()
    return spaces.Dict(
        {
            **entity_spaces(max_entities=MAX_ENTITIES, category_sizes=(3, 7), num_values=2, width=WIDTH, height=HEIGHT),
            SCALARS: spaces.Box(-1, 1, (3,), np.float32),
            PLANES: spaces.Box(0, 1, (2, HEIGHT, WIDTH), np.uint8),
            ACTION_MASK: spaces.Box(0, 1, (MAX_ENTITIES, action_space.mask_size), np.int8),
        }
    )


def unit_game(reward_terms: tuple[str, ...] = ("win", "harvest")) -> AgentSpec:
    return AgentSpec.from_spaces(unit_observation_space(), unit_action_space(), reward_terms)


def vector_space(num_scalars: int = 3) -> spaces.Dict:
    return spaces.Dict({SCALARS: spaces.Box(-np.inf, np.inf, (num_scalars,), np.float32)})


def random_observation(
    space: spaces.Dict, generator: np.random.Generator, counts: list[int], *, orders: bool = True
) -> Observation:
    """Return observations [N, ...] with the given numbers of entities; padding holds large garbage values.

    About half of the units await an order, none without `orders`; every component of theirs has a legal choice.
    """
    observation: Observation = {}
    for key, box in space.spaces.items():
        assert isinstance(box, spaces.Box)
        shape = (len(counts), *box.shape)
        if key in (SCALARS, "entity_values"):
            observation[key] = generator.normal(size=shape).astype(np.float32)
        else:
            observation[key] = generator.integers(box.low, box.high.astype(np.int64) + 1, shape).astype(box.dtype)
    if ENTITY_MASK not in space.spaces:
        return observation
    real = np.arange(MAX_ENTITIES) < np.asarray(counts)[:, None]
    for key in ENTITY_KEYS:
        observation[key][~real] = 77
    observation[ENTITY_MASK] = real.astype(np.int8)
    first = 0
    for size in COMPONENTS.values():
        choice = generator.integers(first, first + size, real.shape)
        np.put_along_axis(observation[ACTION_MASK], choice[..., None], 1, -1)
        first += size
    waiting = real & (generator.random(real.shape) < 0.5) & orders
    observation[ACTION_MASK][real & ~waiting] = 0
    return observation


def random_units(seed: int, counts: list[int], *, orders: bool = True) -> PackedObservation:
    observation = random_observation(unit_observation_space(), np.random.default_rng(seed), counts, orders=orders)
    return pack_observation(observation, unit_game())


def random_unit_input(seed: int, counts: list[int]) -> AgentInput:
    return AgentInput.from_packed(random_units(seed, counts))
