"""CartPole as a batch: Gymnasium's vectorised dynamics with explicit resets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.envs.classic_control.utils import maybe_parse_reset_bounds
from gymnasium.utils import seeding
from numpy.typing import NDArray

_ENTRY_POINTS = (
    "gymnasium.envs.classic_control.cartpole:CartPoleEnv",
    "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv",
)
_KNOWN_OPTIONS = {"max_episode_steps", "sutton_barto_reward"}


class CartPoleBatch:
    """N CartPole games that step together, equal game by game to `gymnasium.make` with the same seeds and actions.

    `CartPoleVectorEnv` resets ended games by itself, one step late. Here that is switched off: a game keeps its state
    until `reset`, and every game draws its start from a generator of its own, as `CartPoleEnv` does.
    """

    def __init__(self, num_envs: int, **options: Any) -> None:
        self._games = CartPoleVectorEnv(num_envs=num_envs, **options)
        self._games.reset()
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self.observation_space = self._games.single_observation_space
        self.action_space = self._games.single_action_space

    def reset(
        self, rows: NDArray[np.intp], seeds: Sequence[int | None], options: dict[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """Start new games in `rows` and return the observations [N, 4] of all games."""
        low, high = maybe_parse_reset_bounds(options, self._games.low, self._games.high)
        for row in rows:
            generator = self._generators[row]
            if generator is None or seeds[row] is not None:
                generator = self._generators[row] = seeding.np_random(seeds[row])[0]
            self._state[:, row] = generator.uniform(low=low, high=high, size=4)
            self._games.steps[row] = 0
        return self._state.T.astype(np.float32)

    @property
    def _state(self) -> NDArray[np.float64]:
        state: Any = self._games.state
        assert state is not None
        return cast("NDArray[np.float64]", state)

    def step(
        self, actions: NDArray[np.int64], ended: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        """Step all games but those that have `ended`.

        Returns:
            Observations [N, 4], rewards [N], terminated [N] and truncated [N]; an ended game repeats its last
            observation, without reward or end.
        """
        games = self._games
        before = self._state
        games.prev_done[:] = False
        observations, rewards, terminated, truncated, _ = games.step(actions)
        if ended.any():
            self._state[:, ended] = before[:, ended]
            games.steps[ended] -= 1
            observations[ended] = before.T[ended]
            rewards[ended], terminated[ended], truncated[ended] = 0, False, False
        return observations, rewards, terminated, truncated


def cartpole_batch(env_id: str, num_envs: int, make_kwargs: dict[str, Any]) -> CartPoleBatch | None:
    """Return the batch that plays what `gymnasium.make(env_id, **make_kwargs)` plays; None if that is not CartPole."""
    spec = gymnasium.registry.get(env_id)
    if spec is None or (spec.entry_point, spec.vector_entry_point) != _ENTRY_POINTS or spec.additional_wrappers:
        return None
    options = {"max_episode_steps": spec.max_episode_steps, **spec.kwargs, **make_kwargs}
    limit = options["max_episode_steps"]
    if set(options) != _KNOWN_OPTIONS and set(options) != {"max_episode_steps"}:
        return None
    if limit is None or limit < 1 or not hasattr(CartPoleVectorEnv(1), "prev_done"):
        return None
    return CartPoleBatch(num_envs, **options)
