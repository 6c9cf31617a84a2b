"""Play with the µRTS environment, shared by its tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.microrts import MicroRTSVectorEnv
from envs.microrts.layout import AWAITS_ORDER
from envs.spaces import ACTION_MASK, ENTITY_CATEGORIES, sample_unit_actions

MAP_8 = "maps/8x8/basesWorkers8x8A.xml"
MAP_16 = "maps/16x16/basesWorkers16x16A.xml"


def copied(arrays: dict[str, Any]) -> dict[str, Any]:
    return {key: value.copy() for key, value in arrays.items()}


def random_actions(env: MicroRTSVectorEnv, observation: dict[str, NDArray[Any]], seed: int) -> NDArray[np.int64]:
    return sample_unit_actions(observation[ACTION_MASK], env.single_action_space, np.random.default_rng(seed))


def no_actions(env: MicroRTSVectorEnv) -> NDArray[np.int64]:
    return np.zeros((env.num_envs, env.max_entities, 7), np.int64)


def waiting(observation: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    return observation[ENTITY_CATEGORIES][..., AWAITS_ORDER] == 1


def same(first: dict[str, NDArray[Any]], second: dict[str, NDArray[Any]]) -> bool:
    return all(np.array_equal(first[key], second[key]) for key in first)
