"""Games against the stand-in, shared by the tests of the client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil

from envs.function_calls import sample_function_call
from envs.spaces import ACTION_MASK, ENTITY_CLASSES
from envs.starcraft2.actions import no_op
from envs.starcraft2.settings import StarCraft2Settings
from envs.starcraft2.vector_env import StarCraft2VectorEnv

SMALL_MAP = "Flat32"


def make_env(
    opponents: Any, *, num_threads: int | None = None, seed: int | None = None, **settings: Any
) -> StarCraft2VectorEnv:
    """Return games on the small map, unless the settings name another one."""
    return StarCraft2VectorEnv(
        StarCraft2Settings(**{"map_name": SMALL_MAP, **settings}), opponents, num_threads=num_threads, seed=seed
    )


@contextmanager
def vector_env(opponents: list[str | None], **settings: Any) -> Iterator[StarCraft2VectorEnv]:
    env = make_env(opponents, **{"race": "terran", "opponent_race": "zerg", "seed": 0, **settings})
    try:
        yield env
    finally:
        env.close()


def no_ops(env: StarCraft2VectorEnv, delay: int = 16) -> np.ndarray[Any, Any]:
    """Return a batch of no_op with a delay in game loops."""
    actions = np.tile(no_op(env.single_action_space.max_entities), (env.num_envs, 1))
    actions[:, 1] = delay - 1
    return actions


def random_actions(env: StarCraft2VectorEnv, observation: dict[str, Any], seed: int) -> np.ndarray[Any, Any]:
    """Return a batch of random legal calls with delays of at most 16 game loops."""
    generator, space = np.random.default_rng(seed), env.single_action_space
    actions = np.stack(
        [
            sample_function_call(mask, classes, space, generator)
            for mask, classes in zip(observation[ACTION_MASK], observation[ENTITY_CLASSES], strict=True)
        ]
    )
    actions[:, 1] %= 16
    return actions


def play_until_finished(env: StarCraft2VectorEnv, *, delay: int = 64, max_steps: int = 1000) -> dict[str, Any]:
    """Wait in every row until all episodes have ended; return the infos of the last step, with its ends."""
    for _ in range(max_steps):
        _, _, terminated, truncated, infos = env.step(no_ops(env, delay))
        if env.finished.all():
            return {**infos, "terminated": terminated, "truncated": truncated}
    raise AssertionError(f"no end after {max_steps} steps")


def copied(arrays: dict[str, Any]) -> dict[str, Any]:
    return {key: value.copy() for key, value in arrays.items()}


def is_alive(process_id: int) -> bool:
    """Return whether a process runs; one that only waits for its parent to notice its end does not."""
    try:
        return bool(psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for_end(process_ids: Iterable[int], timeout_seconds: float = 10.0) -> list[int]:
    """Return the processes that still run after waiting for their end."""
    left = list(process_ids)
    deadline = time.monotonic() + timeout_seconds
    while left and time.monotonic() < deadline:
        left = [process_id for process_id in left if is_alive(process_id)]
        if left:
            time.sleep(0.05)
    return left
