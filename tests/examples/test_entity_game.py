from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
from gymnasium.utils.env_checker import check_env


def test_is_a_proper_environment(load_example: Callable[[str], ModuleType]) -> None:
    check_env(load_example("entity_game").Collector(), skip_render_check=True)


def test_walking_to_the_nearest_gem_collects_them_all(load_example: Callable[[str], ModuleType]) -> None:
    game = load_example("entity_game")
    env = game.Collector()
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        assert not observation["entities"][observation["entity_mask"] == 0].any()
        num_gems = int(observation["entities"][:, 0].sum())
        assert observation["entity_mask"].sum() == 1 + num_gems
        total, ended = 0.0, False
        while not ended:
            gems = observation["entities"][observation["entities"][:, 0] == 1, 1:]
            nearest = gems[np.abs(gems).sum(1).argmin()]
            observation, reward, terminated, truncated, _ = env.step(int((game.STEPS @ nearest).argmax()))
            assert env.observation_space.contains(observation)
            total, ended = total + reward, terminated or truncated
            assert observation["entity_mask"].sum() == 1 + num_gems - total
        assert total == num_gems or truncated
        assert total > 0
