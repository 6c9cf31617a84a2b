"""A game of your own: an entity list is observed, and each worker gets an order.

python examples/custom_env.py                                                                     # a few updates
PYTHONPATH=examples perceiver-star train --recipe gymnasium --env-id custom_env:Gatherers-v0      # with actors
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.spaces import ACTION_MASK, UnitActionSpace, entity_spaces
from training.recipes import get_recipe
from training.run import run_training

SIDE, WORKERS, GEMS, MAX_STEPS = 6, 2, 4, 30
STEPS = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])


class Gatherers(gymnasium.Env[dict[str, Any], Any]):
    """Workers walk over a square map; a gem is won by the one that steps on it."""

    def __init__(self) -> None:
        slots = WORKERS + GEMS
        entities = entity_spaces(max_entities=slots, category_sizes=[2], num_values=2, width=SIDE, height=SIDE)
        # An order has a type, stay or move, and moving reads a direction: 2 + 4 choices under the mask.
        self.action_space = UnitActionSpace(slots, {"type": 2, "direction": 4}, arguments=[(), ("direction",)])
        entities[ACTION_MASK] = spaces.Box(0, 1, (slots, self.action_space.mask_size), np.int8)
        self.observation_space = spaces.Dict(entities)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin with workers and gems on different cells."""
        super().reset(seed=seed)
        places = np.argwhere(np.ones((SIDE, SIDE)))[self.np_random.permutation(SIDE**2)[: WORKERS + GEMS]]
        self.workers, self.gems, self.steps = places[:WORKERS], places[WORKERS:], 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Move the workers; the reward is the number of gems won."""
        types, directions = np.asarray(action)[:WORKERS].T
        self.workers = self.workers + STEPS[directions] * types[:, None]
        taken = (self.gems[:, None] == self.workers[None]).all(-1).any(1)
        self.gems, self.steps = self.gems[~taken], self.steps + 1
        return self._observation(), float(taken.sum()), len(self.gems) == 0, self.steps == MAX_STEPS, {}

    def _observation(self) -> dict[str, Any]:
        observation = {key: np.zeros(box.shape, box.dtype) for key, box in self.observation_space.spaces.items()}
        places = np.concatenate([self.workers, self.gems])
        real = len(places)  # padding comes after them
        observation["entity_categories"][WORKERS:real] = 1
        observation["entity_positions"][:real] = places
        observation["entity_values"][:real] = 2 * places / (SIDE - 1) - 1
        observation["entity_mask"][:real] = 1
        targets = self.workers[:, None] + STEPS
        observation[ACTION_MASK][:WORKERS, :2] = 1
        observation[ACTION_MASK][:WORKERS, 2:] = ((targets >= 0) & (targets < SIDE)).all(-1)
        self.action_space.legal_actions = observation[ACTION_MASK]  # for action_space.sample()
        return observation


gymnasium.register("Gatherers-v0", Gatherers)


def main(run_dir: str, total_steps: int = 20_000) -> None:
    """Train for a few updates and show how many gems are won."""
    recipe = get_recipe("gymnasium")
    game, actors = replace(recipe.environment, env_id="Gatherers-v0"), replace(recipe.actors, num_actors=0)
    config = replace(recipe, environment=game, actors=actors, total_steps=total_steps)
    run_training(config, run_dir, report=lambda update: print(update.metrics.get("charts/episodic_return", "")))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(directory)
