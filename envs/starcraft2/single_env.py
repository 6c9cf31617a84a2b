"""One game of StarCraft II behind gymnasium's Env interface."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from envs.function_calls import FunctionCallSpace
from envs.spaces import ACTION_MASK, ENTITY_CLASSES
from envs.starcraft2.names import NO_OPPONENT, check_name
from envs.starcraft2.settings import StarCraft2Settings
from envs.starcraft2.vector_env import StarCraft2VectorEnv

Observation = dict[str, NDArray[Any]]


class StarCraft2Env(gymnasium.Env[Observation, NDArray[np.int64]], EzPickle):
    """A game against the built-in AI, or a mini-game: one row of `StarCraft2VectorEnv`.

    `action_space.sample()` draws legal calls for the current observation. info holds "reward_terms" float32 [terms],
    "elapsed_steps" (game loops this step covered), "outcome" (+1 won, 0 drawn, -1 lost, at the end of an episode) and
    "dropped" (the game failed, and the episode was cut off).

    Args:
        opponent: the AI (see `names.parse_opponent`), "none" on a map for one player.
        settings: what the game is like.
        render_mode: None; the game draws nothing.
        changes: settings by name that are different, such as map_name or race.

    Raises:
        UnknownNameError: if the map, the AI, a race, a setting or the release does not exist.
        GameNotFoundError: if the game, the map or pysc2 is not installed.
        ValueError: if an argument is out of its range.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        *,
        opponent: str = "very_easy",
        settings: StarCraft2Settings = StarCraft2Settings(),  # noqa: B008  # frozen
        render_mode: str | None = None,
        **changes: Any,
    ) -> None:
        EzPickle.__init__(self, opponent=opponent, settings=settings, render_mode=render_mode, **changes)
        if render_mode is not None:
            raise ValueError(f"render_mode must be None, got {render_mode!r}; save replays and watch them in the game")
        if not isinstance(opponent, str):
            raise ValueError(
                f"opponent must be the name of an AI or {NO_OPPONENT!r}, got {opponent!r}; "
                "StarCraft2VectorEnv controls both players"
            )
        for name in changes:
            check_name("setting", name, [field.name for field in fields(StarCraft2Settings)])
        self.render_mode = render_mode
        self._games = StarCraft2VectorEnv(replace(settings, **changes), [opponent], num_threads=1)
        self.observation_space = self._games.single_observation_space
        self._calls: FunctionCallSpace = self._games.single_action_space
        self.action_space = self._calls
        self.reward_term_names = self._games.reward_term_names
        self.reward_weights = self._games.reward_weights

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode and return its first observation and info; `options` has no effect."""
        super().reset(seed=seed)
        observations, infos = self._games.reset(seed=seed)
        return self._take(observations), _row(infos)

    def step(self, action: NDArray[np.int64]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Give the orders of `action` [6 + K] and go on by its delay.

        Raises:
            ValueError: if the action is illegal, or has another shape.
            gymnasium.error.ResetNeeded: if the episode has ended or none has begun.
        """
        if self._games.finished[0]:
            raise gymnasium.error.ResetNeeded("the episode is over or has not begun: call reset()")
        observations, rewards, terminated, truncated, infos = self._games.step(np.asarray(action)[None])
        return self._take(observations), float(rewards[0]), bool(terminated[0]), bool(truncated[0]), _row(infos)

    @property
    def restarts(self) -> int:
        """How often the game failed and was started anew."""
        return self._games.restarts

    @property
    def version(self) -> dict[str, Any]:
        """Entries of the game's version; empty before the first reset."""
        return self._games.version

    def _take(self, observations: Observation) -> Observation:
        # The batch's arrays are overwritten by the next step: the caller gets copies.
        observation = {key: array[0].copy() for key, array in observations.items()}
        self._calls.legal_calls = {key: observation[key].copy() for key in (ACTION_MASK, ENTITY_CLASSES)}
        return observation

    def close(self) -> None:
        """Let the game quit."""
        self._games.close()


def _row(infos: dict[str, Any]) -> dict[str, Any]:
    return {
        "reward_terms": infos["reward_terms"][0].copy(),
        "elapsed_steps": int(infos["elapsed_steps"][0]),
        "outcome": int(infos["outcome"][0]),
        "dropped": bool(infos["dropped"][0]),
    }
