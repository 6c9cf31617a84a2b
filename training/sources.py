"""Where experience comes from: the interface of the main loop, and a source in the learner's own process."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Protocol

from agent.agent import Agent
from training.config import TrainConfig
from training.environments import make_environment, opponents_of, seats_of
from training.league import League
from training.rollout import Episode, Rollout
from training.step_timer import StepTimer
from training.training_games import TrainingGames
from training.trajectory import Trajectory


class ActorError(RuntimeError):
    """The actors could not be started or kept running."""


@dataclass(frozen=True)
class Experience:
    """What one batch of experience holds: unrolls, finished episodes, and figures about its making."""

    trajectories: list[Trajectory]
    episodes: list[Episode]
    metrics: dict[str, float]


class ExperienceSource(Protocol):
    """Plays with the newest weights and returns what happened."""

    def next(self) -> Experience:
        """Return the next batch of experience; waits for it.

        Raises:
            ActorError: if it cannot come any more, or the run was stopped while it waited.
        """
        ...

    def publish(self, agent: Agent, version: int) -> None:
        """Let new unrolls be played with these weights."""
        ...

    def restart(self, seed: int) -> None:
        """Begin new episodes from a seed, where the source is deterministic; otherwise do nothing."""
        ...

    def close(self) -> None:
        """End all games."""
        ...


class LocalSource:
    """Plays in the learner's process, deterministically: equal seeds give equal experience."""

    def __init__(self, config: TrainConfig, agent: Agent, league: League) -> None:
        opponents = opponents_of(config.environment, config.actors.games_per_actor)
        games = make_environment(config.environment, len(opponents), seed=config.seed, opponents=opponents)
        self._timer = StepTimer(games)
        self._league = league
        # Acting is on the CPU; a learner on a GPU keeps its own copy of the weights.
        self._agent = agent if agent.value_bias.device.type == "cpu" else copy.deepcopy(agent).cpu()
        self._games = TrainingGames(self._timer, seats_of(config.environment, opponents), self._agent)
        self._take_up_deal()
        self._rollout = Rollout(self._games, self._agent, unroll_length=config.actors.unroll_length, seed=config.seed)
        self._unrolls_per_update = config.unrolls_per_update
        self._version = 0
        self._restarts = 0

    def next(self) -> Experience:
        """Return freshly played unrolls."""
        trajectories, episodes = [], []
        for _ in range(self._unrolls_per_update):
            trajectory, finished = self._rollout.collect(self._version)
            trajectories.append(trajectory)
            episodes += finished
        self._restarts += self._timer.take_restarts()
        metrics = {"env/step_ms": self._timer.take_milliseconds(), "env/restarts": float(self._restarts)}
        return Experience(trajectories, episodes, metrics)

    def publish(self, agent: Agent, version: int) -> None:
        """Take up the weights, unless the agent is shared, the version, and how the league deals opponents."""
        if agent is not self._agent:
            self._agent.load_state_dict(agent.state_dict())
        self._version = version
        self._take_up_deal()

    def restart(self, seed: int) -> None:
        """Begin new episodes from a seed."""
        self._take_up_deal()
        self._rollout.restart(seed)

    def _take_up_deal(self) -> None:
        self._games.take_up(self._league.deal(), self._league.snapshots.__getitem__)

    def close(self) -> None:
        """End all games."""
        self._games.close()
