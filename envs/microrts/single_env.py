"""One game of µRTS behind gymnasium's Env interface."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import ArrayLike, NDArray

from envs.microrts import layout
from envs.microrts.render import render_observation
from envs.microrts.vector_env import MicroRTSVectorEnv
from envs.spaces import ACTION_MASK, UnitActionSpace

Observation = dict[str, NDArray[Any]]


class MicroRTSEnv(gymnasium.Env[Observation, NDArray[np.int64]], EzPickle):
    """A game against one of the game's AIs: one row of `MicroRTSVectorEnv`, whose arguments these are.

    `action_space.sample()` draws legal orders for the current observation. info holds "reward_terms" float32 [6],
    "elapsed_steps" (game steps this step covered) and "outcome" (+1 won, 0 drawn, -1 lost, at the end of an episode).

    Raises:
        UnknownNameError: if the map or the AI does not exist.
        ValueError: if an argument is out of its range.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(
        self,
        *,
        map_path: str = "maps/8x8/basesWorkers8x8A.xml",
        opponent: str = "RandomBiasedAI",
        agent_player: int = 0,
        max_steps: int = 2000,
        reward_weights: ArrayLike = layout.DEFAULT_REWARD_WEIGHTS,
        max_entities: int | None = None,
        skip_idle_steps: bool = False,
        canonical_orientation: bool = True,
        render_mode: str | None = None,
    ) -> None:
        settings: dict[str, Any] = {
            "map_path": map_path,
            "max_steps": max_steps,
            "reward_weights": reward_weights,
            "max_entities": max_entities,
            "skip_idle_steps": skip_idle_steps,
            "canonical_orientation": canonical_orientation,
        }
        EzPickle.__init__(self, opponent=opponent, agent_player=agent_player, render_mode=render_mode, **settings)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or one of {self.metadata['render_modes']}, got {render_mode!r}")
        if not isinstance(opponent, str):
            raise ValueError(
                f"opponent must be the name of an AI, got {opponent!r}; MicroRTSVectorEnv controls both players"
            )
        self.render_mode = render_mode
        self._games = MicroRTSVectorEnv(opponents=[opponent], agent_players=[agent_player], **settings)
        self.observation_space = self._games.single_observation_space
        self._unit_actions: UnitActionSpace = self._games.single_action_space
        self.action_space = self._unit_actions
        self.reward_term_names = self._games.reward_term_names
        self.reward_weights = self._games.reward_weights
        self._observation: Observation | None = None
        self._title = opponent

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode and return its first observation and info; `options` has no effect."""
        super().reset(seed=seed)
        observations, infos = self._games.reset(seed=seed)
        return self._take(observations), _row(infos)

    def step(self, action: NDArray[np.int64]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Give the orders of `action` [max_entities, 7] to the waiting units and play one step.

        Raises:
            ValueError: if an order is illegal, or the action has another shape.
            gymnasium.error.ResetNeeded: if the episode has ended or none has begun.
        """
        if self._games.finished[0]:
            raise gymnasium.error.ResetNeeded("the episode is over or has not begun: call reset()")
        observations, rewards, terminated, truncated, infos = self._games.step(np.asarray(action)[None])
        return self._take(observations), float(rewards[0]), bool(terminated[0]), bool(truncated[0]), _row(infos)

    def _take(self, observations: Observation) -> Observation:
        # The batch's arrays are overwritten by the next step: the caller gets copies.
        self._observation = {key: array[0].copy() for key, array in observations.items()}
        self._unit_actions.legal_actions = self._observation[ACTION_MASK].copy()
        return self._observation

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of the current observation, uint8 [height, width, 3]; None without a render mode."""
        if self.render_mode is None:
            return None
        if self._observation is None:
            raise gymnasium.error.ResetNeeded("there is nothing to render before reset()")
        return render_observation(self._observation, opponent=self._title, max_steps=self._games.max_steps)

    def close(self) -> None:
        """Let go of the game."""
        self._games.close()


def _row(infos: dict[str, Any]) -> dict[str, Any]:
    return {
        "reward_terms": infos["reward_terms"][0].copy(),
        "elapsed_steps": int(infos["elapsed_steps"][0]),
        "outcome": int(infos["outcome"][0]),
    }
