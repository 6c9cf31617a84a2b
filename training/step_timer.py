"""How long the games take."""

from __future__ import annotations

import time
from typing import Any

from numpy.typing import NDArray

from training.rollout import BatchedEnvironment

Array = NDArray[Any]


class StepTimer:
    """A batched environment that measures its own steps; everything else is that of the environment inside."""

    def __init__(self, environment: BatchedEnvironment) -> None:
        self._environment = environment
        self.num_envs = environment.num_envs
        self.single_observation_space: Any = environment.single_observation_space
        self.single_action_space: Any = environment.single_action_space
        self.reward_term_names = environment.reward_term_names
        self.reward_weights = environment.reward_weights
        self._seconds, self._steps = 0.0, 0
        self._restarts_told = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes."""
        return self._environment.reset(seed=seed, options=options)

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Step all games."""
        start = time.perf_counter()
        result = self._environment.step(actions)
        self._seconds += time.perf_counter() - start
        self._steps += 1
        return result

    def close(self) -> None:
        """Free the games."""
        self._environment.close()

    def take_milliseconds(self) -> float:
        """Return the mean time of a step of all games since the last call, in milliseconds; 0 without steps."""
        mean = 1000 * self._seconds / self._steps if self._steps else 0.0
        self._seconds, self._steps = 0.0, 0
        return mean

    def take_restarts(self) -> int:
        """Return how many games failed and were started anew since the last call."""
        restarts = getattr(self._environment, "restarts", 0)
        new, self._restarts_told = restarts - self._restarts_told, restarts
        return int(new)
