"""Scripted batched environments: what they will say is known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.spaces import ACTION_MASK, ENTITY_CATEGORIES, ENTITY_MASK, ENTITY_POSITIONS, ENTITY_VALUES, SCALARS
from tests.agent import games

Array = NDArray[Any]


class CountingEnvironment:
    """Row n ends every episode after `lengths[n]` steps, by termination where `terminates[n]`, else by truncation.

    Scalars are (row, episode, step of the episode). A step at step s of the episode covers s + 1 game steps; the
    reward terms are (1, 10 * (row + 1)), weighted by (1, 0.5). All arrays are reused; `actions` records what came.
    """

    reward_term_names = ("one", "ten")

    def __init__(self, lengths: tuple[int, ...], terminates: tuple[bool, ...]) -> None:
        self.num_envs = len(lengths)
        self.single_observation_space: Any = games.vector_space(3)
        self.single_action_space: Any = spaces.Discrete(4)
        self.reward_weights = np.array([1.0, 0.5], np.float32)
        self.actions: list[Array] = []
        self._lengths, self._terminates = np.array(lengths), np.array(terminates)
        self._step, self._episode = np.zeros(self.num_envs, int), np.zeros(self.num_envs, int)
        self._ended = np.ones(self.num_envs, bool)
        self._terms = np.zeros((self.num_envs, 2), np.float32)
        self._elapsed, self._outcome = np.zeros(self.num_envs, np.int32), np.zeros(self.num_envs, np.int8)
        self._terminated, self._truncated = np.zeros(self.num_envs, bool), np.zeros(self.num_envs, bool)
        self._arrays: dict[str, Array] = {SCALARS: np.zeros((self.num_envs, 3), np.float32)}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        rows = np.ones(self.num_envs, bool) if options is None else options["reset_mask"]
        assert self._ended[rows].all() or seed is not None
        self._episode = np.where(rows, 0 if seed is not None else self._episode + 1, self._episode)
        self._step[rows] = 0
        self._ended = self._ended & ~rows
        return self._observe(), {}

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        self.actions.append(actions.copy())
        live = ~self._ended
        self._terms[:] = live[:, None] * np.stack([np.ones(self.num_envs), 10.0 * np.arange(1, self.num_envs + 1)], 1)
        self._elapsed[:] = live * (self._step + 1)
        self._step += live
        over = live & (self._step == self._lengths)
        self._terminated[:], self._truncated[:] = over & self._terminates, over & ~self._terminates
        self._outcome[:] = self._terminated
        self._ended = self._ended | over
        infos = {"reward_terms": self._terms, "elapsed_steps": self._elapsed, "outcome": self._outcome}
        return self._observe(), self._terms.sum(1), self._terminated, self._truncated, infos

    def close(self) -> None:
        """Nothing to free."""

    def _observe(self) -> dict[str, Array]:
        self._arrays[SCALARS][:] = np.stack([np.arange(self.num_envs), self._episode, self._step], 1)
        return self._arrays


class UnitEnvironment(CountingEnvironment):
    """The same, with units: row n has `n + 2` units, and at step s unit u awaits an order where (u + s) is even.

    Its only legal action is (type, direction, target) = (2, u % 4, n % 5), so that it is known which action belongs
    where; with `free_choice`, every action is legal.
    """

    def __init__(self, lengths: tuple[int, ...], terminates: tuple[bool, ...], *, free_choice: bool = False) -> None:
        super().__init__(lengths, terminates)
        self._free_choice = free_choice
        space = games.unit_observation_space()
        del space.spaces["planes"]
        self.single_observation_space, self.single_action_space = space, games.unit_action_space()
        for key, box in space.spaces.items():
            self._arrays[key] = np.zeros((self.num_envs, *(box.shape or ())), box.dtype)
        for n in range(self.num_envs):
            self._arrays[ENTITY_MASK][n, : n + 2] = 1
        self._arrays[ENTITY_CATEGORIES][:] = 1
        self._arrays[ENTITY_POSITIONS][:, :, 0] = np.arange(games.MAX_ENTITIES) % games.WIDTH
        self._arrays[ENTITY_VALUES][:] = 0.5

    def waiting(self, row: int, step: int) -> list[int]:
        return [unit for unit in range(row + 2) if (unit + step) % 2 == 0]

    def _observe(self) -> dict[str, Array]:
        masks = self._arrays[ACTION_MASK]
        masks[:] = 0
        for n in range(self.num_envs):
            for unit in self.waiting(n, int(self._step[n])):
                masks[n, unit, slice(None) if self._free_choice else [2, 3 + unit % 4, 7 + n % 5]] = 1
        return super()._observe()
