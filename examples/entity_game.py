"""A game whose observation is a padded list, for the examples: one collector walks to the gems around it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

SIDE, MAX_GEMS, MAX_STEPS, NUM_FEATURES = 5, 4, 16, 3
STEPS = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])


class Collector(gymnasium.Env[dict[str, NDArray[Any]], Any]):
    """Each gem that is stepped on is worth 1; an episode ends with the last one, or after 16 steps.

    An observation has `entities` [5, 3], one row for the collector and one for each gem left: is it a gem, and where
    it lies as seen from the collector. `entity_mask` [5] is 1 for the rows that are real.
    """

    def __init__(self, config: Any = None) -> None:
        slots = 1 + MAX_GEMS
        self.observation_space = spaces.Dict(
            entities=spaces.Box(-1.0, 1.0, (slots, NUM_FEATURES), np.float32),
            entity_mask=spaces.Box(0.0, 1.0, (slots,), np.float32),
        )
        self.action_space = spaces.Discrete(len(STEPS))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Begin with one to four gems, none where the collector stands."""
        super().reset(seed=seed)
        cells = np.argwhere(np.ones((SIDE, SIDE)))[self.np_random.permutation(SIDE**2)]
        self.collector, self.gems = cells[0], cells[1 : 2 + self.np_random.integers(MAX_GEMS)]
        self.steps = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Walk one cell, or stay where a wall is."""
        self.collector = (self.collector + STEPS[int(action)]).clip(0, SIDE - 1)
        taken = (self.gems == self.collector).all(1)
        self.gems, self.steps = self.gems[~taken], self.steps + 1
        return self._observation(), float(taken.sum()), len(self.gems) == 0, self.steps == MAX_STEPS, {}

    def _observation(self) -> dict[str, NDArray[Any]]:
        observation = {key: np.zeros(box.shape, np.float32) for key, box in self.observation_space.spaces.items()}
        real = 1 + len(self.gems)
        observation["entities"][1:real, 0] = 1.0
        observation["entities"][1:real, 1:] = (self.gems - self.collector) / (SIDE - 1)
        observation["entity_mask"][:real] = 1.0
        return observation
