"""What chooses actions in a batch of games outside training: an agent or chance."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from agent.agent import Agent
from agent.interface import AgentInput, pack_observation
from envs import spaces as layout
from envs.function_calls import FunctionCallSpace, sample_function_call
from envs.spaces import UnitActionSpace, sample_unit_actions
from training.rollout import BatchedEnvironment, environment_actions

Array = NDArray[Any]


class Policy(Protocol):
    """Plays rows of a batched environment."""

    def begin(self, num_rows: int, seed: int) -> None:
        """Forget what was; `num_rows` new episodes begin."""
        ...

    def act(self, observation: dict[str, Array], rows: Array) -> Array:
        """Return actions for the observations of the given rows, whose episodes are running."""
        ...


class Player(Protocol):
    """One who plays in an environment: an agent or chance, not an AI inside the game."""

    @property
    def modes(self) -> tuple[str, ...]:
        """The ways in which it can play."""
        ...

    def policy(self, environment: BatchedEnvironment, mode: str) -> Policy:
        """Return what plays in an environment."""
        ...


class AgentPolicy:
    """An agent, sampled or greedy."""

    def __init__(self, agent: Agent, *, greedy: bool = False) -> None:
        self.agent, self.greedy = agent, greedy
        self._generator = torch.Generator()

    def begin(self, num_rows: int, seed: int) -> None:
        """Reset the core states and the action noise."""
        self._generator.manual_seed(seed)
        self._state = self.agent.initial_state(num_rows).detach()
        self._is_first = np.ones(num_rows, bool)

    @torch.inference_mode()
    def act(self, observation: dict[str, Array], rows: Array) -> Array:
        """Return the agent's actions."""
        packed = pack_observation(observation, self.agent.spec)
        output = self.agent.step(
            AgentInput.from_packed(packed),
            self._state[rows],
            torch.from_numpy(self._is_first[rows]),
            generator=self._generator,
            greedy=self.greedy,
        )
        self._state[rows] = output.state
        self._is_first[rows] = False
        return environment_actions(packed, output.action.numpy(), self.agent.spec)


class RandomPolicy:
    """Draws actions uniformly, legal ones where the game tells by masks for units."""

    def __init__(self, environment: BatchedEnvironment) -> None:
        self._space = environment.single_action_space

    def begin(self, num_rows: int, seed: int) -> None:
        """Seed the draws."""
        del num_rows
        self._generator = np.random.default_rng(seed)
        self._space.seed(seed)

    def act(self, observation: dict[str, Array], rows: Array) -> Array:
        """Return random legal actions."""
        if isinstance(self._space, UnitActionSpace):
            return sample_unit_actions(observation[layout.ACTION_MASK], self._space, self._generator)
        if isinstance(self._space, FunctionCallSpace):
            masks, classes = observation[layout.ACTION_MASK], observation[layout.ENTITY_CLASSES]
            return np.stack(
                [
                    sample_function_call(mask, of_entities, self._space, self._generator)
                    for mask, of_entities in zip(masks, classes, strict=True)
                ]
            )
        return np.stack([self._space.sample() for _ in rows])


@dataclass(frozen=True)
class Episodes:
    """How episodes ended, [N]. Episodes whose game failed are left out.

    Attributes:
        outcomes: +1, 0 or -1.
        returns: sums of the weighted rewards.
        lengths: game steps.
        fingerprints: of the observations that were acted on and the rewards; episodes with equal ones are repeats of
            each other. Actions do not count: of those drawn at random, parts are ignored.
    """

    outcomes: Array
    returns: Array
    lengths: Array
    fingerprints: Array


def play_episodes(
    environment: BatchedEnvironment,
    policy: Policy,
    *,
    seed: int,
    max_steps: int | None = None,
    watch: Callable[[dict[str, Array], Array], None] = lambda observation, elapsed_steps: None,
) -> Episodes:
    """Play one episode in every row of an environment.

    Args:
        environment: the games.
        policy: chooses the actions.
        seed: of games and actions.
        max_steps: game steps after which an episode ends, whatever the environment says; None for no limit.
        watch: called with every observation, the first and the last included, and the game steps [N] that led to it.
    """
    num_rows = environment.num_envs
    outcomes, lengths, dropped = np.zeros(num_rows, np.int64), np.zeros(num_rows, np.int64), np.zeros(num_rows, bool)
    returns, fingerprints = np.zeros(num_rows, np.float64), np.zeros(num_rows, np.int64)
    running = np.ones(num_rows, bool)
    limit = np.iinfo(np.int64).max if max_steps is None else max_steps
    observation, _ = environment.reset(seed=seed)
    policy.begin(num_rows, seed)
    watch(observation, lengths)
    actions: Array | None = None
    while running.any():
        rows = np.flatnonzero(running)
        seen = {key: value[rows] for key, value in observation.items()}
        chosen = policy.act(seen, rows)
        if actions is None:
            actions = np.zeros((num_rows, *chosen.shape[1:]), chosen.dtype)
        actions[rows] = chosen
        observation, rewards, terminated, truncated, infos = environment.step(actions)
        watch(observation, infos["elapsed_steps"])
        returns += rewards
        lengths += infos["elapsed_steps"]
        for happened in (*seen.values(), rewards[rows]):
            fingerprints[rows] = _extended(fingerprints[rows], happened)
        ended = running & (terminated | truncated | (lengths >= limit))
        outcomes[ended] = infos["outcome"][ended]
        if "dropped" in infos:
            dropped[ended] = infos["dropped"][ended]
        running &= ~ended
    return Episodes(outcomes[~dropped], returns[~dropped], lengths[~dropped], fingerprints[~dropped])


def _extended(fingerprints: Array, happened: Array) -> list[int]:
    rows = np.ascontiguousarray(happened)
    return [zlib.crc32(row, fingerprint) for row, fingerprint in zip(rows, fingerprints.tolist(), strict=True)]
