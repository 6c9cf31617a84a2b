"""What plays in a Ray actor: numbered weights and opponents come in, unrolls go out."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch

from agent.agent import Agent
from training.config import from_dict
from training.environments import check_same_game, make_environment, opponents_of, seats_of, spec_of
from training.league import Deal
from training.ray_cluster import ray
from training.rollout import Episode, Rollout
from training.step_timer import StepTimer
from training.training_games import TrainingGames
from training.trajectory import Trajectory

_MIB = 1 << 20
Weights = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Unroll:
    """What an actor sends: an unroll of all its games, finished episodes, and figures about its making."""

    trajectory: Trajectory
    episodes: list[Episode]
    playing_seconds: float
    waiting_seconds: float
    environment_step_ms: float
    game_restarts: int
    rss_mib: float


class RolloutActor:
    """Plays a batch of games in a process of its own, on one CPU thread."""

    def __init__(self, config: dict[str, Any], seed: int, seat: int, game: dict[str, Any]) -> None:
        self._config, self._seed, self._seat, self._game = config, seed, seat, game

    def start(self) -> int:
        """Start the games and return the id of this process."""
        # Not done when the actor is made: Ray passes on the text of an error there, but not the error.
        torch.set_num_threads(1)
        run = from_dict(self._config)
        num_games = run.actors.games_per_actor
        first_game = self._seat * num_games
        opponents = opponents_of(run.environment, num_games, first_game=first_game)
        seats = seats_of(run.environment, opponents, first_game=first_game)
        games = make_environment(
            run.environment, num_games, seed=self._seed, opponents=opponents, agent_players=seats.players
        )
        self._timer = StepTimer(games)
        self._agent = Agent(spec_of(games), run.agent)
        self._games = TrainingGames(self._timer, seats, self._agent)
        length, stream = run.actors.unroll_length, self._seat * self._games.num_envs
        self._rollout = Rollout(self._games, self._agent, unroll_length=length, seed=self._seed, first_stream=stream)
        check_same_game(games, self._game)
        self._version, self._idle_since = -1, time.perf_counter()
        return os.getpid()

    def unroll(self, weights: Weights, version: int, deal: Deal, snapshots: dict[int, Any]) -> Unroll:
        """Return one unroll played with these weights, whose new episodes are against opponents that are dealt so.

        `snapshots` refers to the weights of past selves, which are fetched when one is dealt.
        """
        start = time.perf_counter()
        if version != self._version:
            self._agent.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
            self._version = version
        self._games.take_up(deal, lambda past: ray.get(snapshots[past]))
        trajectory, episodes = self._rollout.collect(version)
        end = time.perf_counter()
        waited, self._idle_since = start - self._idle_since, end
        return Unroll(
            trajectory=trajectory,
            episodes=episodes,
            playing_seconds=end - start,
            waiting_seconds=waited,
            environment_step_ms=self._timer.take_milliseconds(),
            game_restarts=self._timer.take_restarts(),
            rss_mib=psutil.Process().memory_info().rss / _MIB,
        )


def arrays_of(state: Mapping[str, torch.Tensor]) -> Weights:
    """Return a state dict as the arrays that actors take."""
    return {name: value.detach().cpu().numpy() for name, value in state.items()}
