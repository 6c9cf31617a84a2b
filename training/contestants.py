"""Whose strength is measured: an agent, chance, or one of the game's own AIs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.agent import Agent
from agent.config import AgentConfig
from agent.interface import AgentSpec
from training.environment_config import MicroRTSConfig, as_measured
from training.environments import make_environment, spec_of
from training.evaluation import UNKNOWN_FINGERPRINT, MatchBatch
from training.policies import AgentPolicy, Policy, RandomPolicy, play_episodes
from training.rollout import BatchedEnvironment

Array = NDArray[Any]

SAMPLED, GREEDY, SCRIPTED = "sampled", "greedy", "scripted"


class AgentContestant:
    """An agent, on the CPU. It passes process borders as plain arrays."""

    modes: tuple[str, ...] = (SAMPLED, GREEDY)

    def __init__(self, agent: Agent) -> None:
        weights = {name: value.detach().cpu().numpy().copy() for name, value in agent.state_dict().items()}
        self.__setstate__((agent.spec, agent.config, weights))

    def __getstate__(self) -> tuple[AgentSpec, AgentConfig, dict[str, Array]]:
        """Return what the agent is made of."""
        return self._agent.spec, self._agent.config, {k: v.numpy() for k, v in self._agent.state_dict().items()}

    def __setstate__(self, state: tuple[AgentSpec, AgentConfig, dict[str, Array]]) -> None:
        """Make the agent."""
        spec, config, weights = state
        self._agent = Agent(spec, config).eval()
        self._agent.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})

    @property
    def identity(self) -> str:
        """The digest of its weights."""
        digest = hashlib.sha256()
        for name, value in sorted(self._agent.state_dict().items()):
            digest.update(name.encode() + value.numpy().tobytes())
        return digest.hexdigest()

    def check(self, spec: AgentSpec) -> None:
        """Check that the agent can play such a game.

        Raises:
            ValueError: if it was made for another map size or layout.
        """
        if spec != self._agent.spec:
            raise ValueError(f"the agent does not fit the game: {_difference(self._agent.spec, spec)}")

    def policy(self, environment: BatchedEnvironment, mode: str) -> Policy:
        """Return what plays in an environment.

        Raises:
            ValueError: if the agent was made for other observations or actions.
        """
        self.check(spec_of(environment))
        return AgentPolicy(self._agent, greedy=mode == GREEDY)

    def play(self, batch: MatchBatch) -> Array:
        """Return outcomes and fingerprints of a batch of games."""
        return _play(self, batch)


class RandomContestant:
    """Draws legal actions uniformly."""

    modes: tuple[str, ...] = (SAMPLED,)
    identity = "random"

    def policy(self, environment: BatchedEnvironment, mode: str) -> Policy:
        """Return what plays in an environment."""
        del mode
        return RandomPolicy(environment)

    def play(self, batch: MatchBatch) -> Array:
        """Return outcomes and fingerprints of a batch of games."""
        return _play(self, batch)


@dataclass(frozen=True)
class ScriptedContestant:
    """One of the own AIs of µRTS."""

    name: str
    modes: tuple[str, ...] = (SCRIPTED,)

    @property
    def identity(self) -> str:
        """Its name: it is always the same."""
        return self.name

    def play(self, batch: MatchBatch) -> Array:
        """Return outcomes of a batch of games; they are played in Java, which tells no fingerprints."""
        assert isinstance(batch.environment, MicroRTSConfig)
        from envs.microrts.matches import play_ai_games

        results = play_ai_games(
            batch.environment.map_path,
            self.name,
            batch.opponent,
            num_games=batch.num_games,
            player=batch.side,
            max_steps=batch.environment.max_steps,
            seed=batch.seed,
        )
        outcomes = results.outcomes.astype(np.int64)
        return np.stack([outcomes, np.full_like(outcomes, UNKNOWN_FINGERPRINT)], axis=1)


def _play(contestant: AgentContestant | RandomContestant, batch: MatchBatch) -> Array:
    environment = make_environment(
        as_measured(batch.environment, batch.contestant, batch.mode),
        batch.num_games,
        seed=batch.seed,
        opponents=[batch.opponent] * batch.num_games,
        agent_players=[batch.side] * batch.num_games,
    )
    try:
        episodes = play_episodes(environment, contestant.policy(environment, batch.mode), seed=batch.seed)
        return np.stack([episodes.outcomes, episodes.fingerprints], axis=1)
    finally:
        environment.close()


def _difference(expected: AgentSpec, got: AgentSpec) -> str:
    if expected.entities and got.entities:
        sizes = [f"{entities.width}x{entities.height}" for entities in (expected.entities, got.entities)]
        if sizes[0] != sizes[1]:
            return f"it was trained on maps of {sizes[0]} cells, this one has {sizes[1]}; choose a map of its size"
    names = (field.name for field in fields(AgentSpec))
    name = next(name for name in names if getattr(expected, name) != getattr(got, name))
    return f"it was trained with {name} {getattr(expected, name)}, this one has {getattr(got, name)}"
