"""The games of an actor: who is met is dealt anew at each episode's start."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.league import Deal
from training.rollout import BatchedEnvironment
from training.seats import Seats

Array = NDArray[Any]


class TrainingGames:
    """A batched environment that deals opponents; everything else is that of the environment inside.

    The infos of a step tell, beside those of the environment, "opponent", a tuple of names, and "side" [N] of the
    episode that each row was in.

    Args:
        environment: the games.
        seats: who is met at first.
    """

    def __init__(self, environment: BatchedEnvironment, seats: Seats) -> None:
        self._environment = environment
        self.num_envs = environment.num_envs
        self.single_observation_space: Any = environment.single_observation_space
        self.single_action_space: Any = environment.single_action_space
        self.reward_term_names = environment.reward_term_names
        self.reward_weights = environment.reward_weights
        self._seats, self._names, self._deal = seats, seats.names, Deal()
        self._generator = np.random.default_rng()

    def take_up(self, deal: Deal) -> None:
        """Deal opponents so, from each game's next episode on."""
        self._deal = deal

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes in all rows, or in those of options["reset_mask"]; a seed makes the deal repeatable."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        options = dict(options or {})
        if self._deal.ais is not None:
            chosen = options.get("reset_mask", np.ones(self.num_envs, bool))
            options["opponents"] = self._dealt(np.flatnonzero(chosen & self._seats.has_ai))
        return self._environment.reset(seed=seed, options=options or None)

    def _dealt(self, rows: Array) -> list[str | None]:
        """Deal an AI to each of the rows; return the new AI of each game, None for the others."""
        names = list(self._names)
        opponents: list[str | None] = [None] * len(self._seats.opponents)
        for row in rows:
            name = self._deal.draw_ai(int(self._seats.sides[row]), self._generator)
            assert name is not None
            names[row] = opponents[self._seats.games[row]] = name
        self._names = tuple(names)
        return opponents

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Step all games."""
        observation, rewards, terminated, truncated, infos = self._environment.step(actions)
        infos = {**infos, "opponent": self._names, "side": self._seats.sides}
        return observation, rewards, terminated, truncated, infos

    def close(self) -> None:
        """Free the games."""
        self._environment.close()
