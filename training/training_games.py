"""The games of an actor: who is met is dealt anew at each episode's start, and past selves play their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.agent import Agent
from training.league import Deal, past_self_name
from training.past_selves import PastSelves, Weights
from training.rollout import BatchedEnvironment
from training.seats import Seats

Array = NDArray[Any]


class TrainingGames:
    """A batched environment with the rows that an agent learns from; the opponents in it are dealt.

    The infos of a step tell, beside those of the environment, "opponent", a tuple of names, and "side" [N] of the
    episode that each row was in.

    Args:
        environment: the games, with a row for each controlled player.
        seats: who is met at first.
        agent: what past selves are versions of.
    """

    def __init__(self, environment: BatchedEnvironment, seats: Seats, agent: Agent) -> None:
        self._environment = environment
        self.num_envs = len(seats.names)
        self.single_observation_space: Any = environment.single_observation_space
        self.single_action_space: Any = environment.single_action_space
        self.reward_term_names = environment.reward_term_names
        self.reward_weights = environment.reward_weights
        self._seats, self._names, self._deal = seats, list(seats.names), Deal()
        self._generator = np.random.default_rng()
        self._past_selves = PastSelves(agent, len(seats.past_rows)) if len(seats.past_rows) else None
        # All rows are a view: nothing is copied where there are no past selves.
        self._rows: Any = slice(None) if self._past_selves is None else seats.environment_rows
        self._observation: dict[str, Array] = {}
        self._ended = np.zeros(seats.num_environment_rows, bool)

    def take_up(self, deal: Deal, weights_of: Callable[[int], Weights]) -> None:
        """Deal opponents so, from each game's next episode on.

        Args:
            deal: how often each is to be met.
            weights_of: returns the weights of a past self.
        """
        self._deal = deal
        if self._past_selves is not None:
            self._past_selves.take_up(deal, weights_of)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes in all rows, or in those of options["reset_mask"]; a seed makes the deal repeatable."""
        chosen = np.ones(self.num_envs, bool) if options is None else options["reset_mask"]
        seats = self._seats
        told: dict[str, Any] = {}
        begins = np.zeros(seats.num_environment_rows, bool)
        begins[seats.environment_rows], begins[seats.past_rows] = chosen, chosen[seats.rivals]
        if options is not None:
            told["reset_mask"] = begins
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        if self._deal.ais is not None:
            told["opponents"] = self._dealt(np.flatnonzero(chosen & seats.has_ai))
        if self._past_selves is not None:
            if seed is not None:
                self._past_selves.restart(seed)
            self._past_selves.begin(begins[seats.past_rows])
        self._observation, infos = self._environment.reset(seed=seed, options=told or None)
        self._ended[begins] = False
        return self._mine(self._observation), self._mine(infos)

    def _dealt(self, rows: Array) -> list[str | None]:
        """Deal an AI to each of the rows; return the new AI of each game, None for the others."""
        opponents: list[str | None] = [None] * len(self._seats.opponents)
        for row in rows:
            name = self._deal.draw_ai(int(self._seats.sides[row]), self._generator)
            assert name is not None
            self._names[row] = opponents[self._seats.games[row]] = name
        return opponents

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Step all games."""
        if self._past_selves is not None:
            actions = self._with_past_selves(actions, self._past_selves)
        self._observation, rewards, terminated, truncated, infos = self._environment.step(actions)
        self._ended |= terminated | truncated
        mine = {**self._mine(infos), "opponent": tuple(self._names), "side": self._seats.sides}
        rows = self._rows
        return self._mine(self._observation), rewards[rows], terminated[rows], truncated[rows], mine

    def _with_past_selves(self, actions: Array, past_selves: PastSelves) -> Array:
        seats = self._seats
        everyone = np.zeros((seats.num_environment_rows, *actions.shape[1:]), actions.dtype)
        everyone[seats.environment_rows] = actions
        theirs = everyone[seats.past_rows]
        observation = {key: value[seats.past_rows] for key, value in self._observation.items()}
        past_selves.act(observation, ~self._ended[seats.past_rows], theirs)
        everyone[seats.past_rows] = theirs
        for row, version in zip(seats.rivals, past_selves.versions, strict=True):
            self._names[row] = past_self_name(int(version))
        return everyone

    def _mine(self, arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: value[self._rows] for name, value in arrays.items()}

    def close(self) -> None:
        """Free the games."""
        self._environment.close()
