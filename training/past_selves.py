"""Earlier versions of an agent as opponents in a batch of games."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.agent import Agent
from agent.interface import AgentInput, pack_observation
from training.league import Deal
from training.rollout import environment_actions

Array = NDArray[Any]
Weights = Mapping[str, Any]

_NOBODY = -1


class PastSelves:
    """Frozen agents, each playing some of the rows that are theirs; sampled, on the CPU.

    A row's version is drawn at the first step of an episode. It is drawn for as many episodes at a time as there are
    rows: each version that plays is a forward pass of its own, so that few should play at once.

    Args:
        agent: what they are versions of; copied.
        num_rows: how many rows they play.

    Attributes:
        versions: int [num_rows], who plays each row; -1 where it is not drawn yet.
    """

    def __init__(self, agent: Agent, num_rows: int) -> None:
        self._agent = agent
        self._agents: dict[int, Agent] = {}
        self._generator = torch.Generator()
        self._deal = Deal()
        self._weights_of: Callable[[int], Weights] = _no_weights
        self.versions, self._is_first = np.full(num_rows, _NOBODY), np.ones(num_rows, bool)
        self.restart(0)

    def take_up(self, deal: Deal, weights_of: Callable[[int], Weights]) -> None:
        """Draw versions so from now on.

        Args:
            deal: how often each is to be met.
            weights_of: returns the weights of a version of the deal, tensors or arrays.
        """
        self._deal, self._weights_of = deal, weights_of

    def restart(self, seed: int) -> None:
        """Begin new episodes everywhere, from a seed."""
        self._generator.manual_seed(seed)
        self._draws = np.random.default_rng([seed, 1])
        self._drawn, self._left = _NOBODY, 0
        self._agents.clear()
        self._state = self._agent.initial_state(len(self.versions)).detach().clone()
        self.begin(np.ones(len(self.versions), bool))

    def begin(self, rows: NDArray[np.bool_]) -> None:
        """Begin new episodes in some rows, [num_rows]."""
        self.versions[rows] = _NOBODY
        self._is_first[rows] = True

    @torch.inference_mode()
    def act(self, observation: dict[str, Array], plays: NDArray[np.bool_], actions: Array) -> None:
        """Write an action for each row that plays.

        Args:
            observation: arrays [num_rows, ...].
            plays: [num_rows], False where the episode has ended.
            actions: [num_rows, ...], to write to.
        """
        for row in np.flatnonzero(plays & (self.versions == _NOBODY)):
            self.versions[row] = self._draw()
        for version in np.unique(self.versions[plays]):
            rows = np.flatnonzero(plays & (self.versions == version))
            actions[rows] = self._act(self._agents[int(version)], {k: v[rows] for k, v in observation.items()}, rows)
        self._is_first &= ~plays

    def _act(self, agent: Agent, observation: dict[str, Array], rows: Array) -> Array:
        packed = pack_observation(observation, agent.spec)
        is_first = torch.from_numpy(self._is_first[rows])
        output = agent.step(AgentInput.from_packed(packed), self._state[rows], is_first, generator=self._generator)
        self._state[rows] = output.state
        return environment_actions(packed, output.action.numpy(), agent.spec)

    def _draw(self) -> int:
        if self._left == 0:
            self._left = len(self.versions)
            self._drawn = self._deal.draw_past_self(self._draws)
            playing = {*self.versions.tolist(), self._drawn}
            self._agents = {version: agent for version, agent in self._agents.items() if version in playing}
            if self._drawn not in self._agents:
                self._agents[self._drawn] = self._frozen(self._weights_of(self._drawn))
        self._left -= 1
        return self._drawn

    def _frozen(self, weights: Weights) -> Agent:
        # A copy, since a new agent would draw random weights first.
        agent = copy.deepcopy(self._agent).eval().requires_grad_(False)
        agent.load_state_dict({name: torch.tensor(np.asarray(value)) for name, value in weights.items()})
        return agent


def _no_weights(version: int) -> Weights:
    raise ValueError(f"there are no weights of version {version}: take up a deal before the first step")
