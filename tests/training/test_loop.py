"""The main loop with a scripted source and learner: what it counts, publishes, yields and saves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
import torch

from agent import Agent, AgentConfig
from tests.agent import games
from tests.training.test_trajectory import random_trajectory
from training.environment_config import EnvironmentConfig, GymnasiumConfig
from training.environments import opponents_of
from training.league import League, LeagueConfig
from training.learner import Learner
from training.learner_config import LearnerConfig
from training.loop import EpisodeStatistics, Progress, policy_lag, restore_training_state, training_loop, training_state
from training.recipes import tiny
from training.rollout import Episode
from training.sources import Experience
from training.starcraft2_recipes import starcraft2_minigame
from training.trajectory import Trajectory


def make_agent() -> Agent:
    torch.manual_seed(0)
    return Agent(games.unit_game(), AgentConfig.of_size("dummy"))


def make_league() -> League:
    return League(LeagueConfig(deal="prioritised"), ["Rush", "Random"])


class ScriptedSource:
    """Every batch holds two unrolls, 40 game steps each, played with the weights of the version before the newest."""

    def __init__(self) -> None:
        self.published: list[int] = []

    def publish(self, agent: Agent, version: int) -> None:
        self.published.append(version)

    def next(self) -> Experience:
        version = max(self.published[-1] - 1, 0)
        trajectories = [
            dataclasses.replace(
                random_trajectory(seed, 2, length=4),
                elapsed_steps=np.full((2, 4), 5),
                policy_version=np.full(2, version),
            )
            for seed in range(2)
        ]
        return Experience(trajectories, [Episode(3.0, 50, 1, 0, "Rush")], {"env/restarts": 2.0})


class ScriptedLearner:
    def __init__(self) -> None:
        self.shares: list[float] = []

    def update(self, trajectories: Sequence[Trajectory], progress: float = 0.0) -> dict[str, float]:
        assert len(trajectories) == 2
        self.shares.append(progress)
        return {"losses/policy_loss": 0.25}


def run(total_steps: int, progress: Progress, **changes: Any) -> tuple[list[dict[str, float]], Any, Any]:
    config = dataclasses.replace(tiny(), total_steps=total_steps, **changes)
    source, learner = ScriptedSource(), ScriptedLearner()
    loop = training_loop(
        config, make_agent(), cast(Any, learner), cast(Any, source), progress, make_league(), EpisodeStatistics()
    )
    updates = list(loop)
    return [update.metrics for update in updates], source, learner


def test_it_runs_until_the_steps_are_used_up() -> None:
    progress = Progress()
    metrics, source, learner = run(200, progress)
    assert (progress.updates, progress.game_steps, progress.episodes) == (3, 240, 3)
    assert progress.decisions == sum(
        3 * len(random_trajectory(seed, 2, length=4).observations.decision["action"]) for seed in range(2)
    )
    assert source.published == [0, 1, 2, 3]
    assert learner.shares == [0.0, 0.4, 0.8]
    assert progress.seconds > 0
    assert [update["rollout/policy_lag"] for update in metrics] == [0, 1, 1]
    assert metrics[-1]["losses/policy_loss"] == 0.25
    assert metrics[-1]["env/restarts"] == 2.0
    assert metrics[-1]["charts/episodic_return"] == 3.0
    assert metrics[-1]["charts/win_rate/Rush"] == 1.0
    assert metrics[-1]["charts/SPS"] > 0
    assert metrics[-1]["league/payoff/Rush"] > metrics[0]["league/payoff/Rush"] > 0.5


def test_it_goes_on_from_the_counters_of_a_resumed_run() -> None:
    _, source, learner = run(200, Progress(game_steps=150, updates=7))
    assert source.published == [7, 8]
    assert learner.shares == [0.75]


def test_a_finished_run_does_nothing() -> None:
    metrics, source, learner = run(200, Progress(game_steps=200, updates=7))
    assert (metrics, source.published, learner.shares) == ([], [7], [])


def test_the_clock_ends_a_run_too() -> None:
    config = dataclasses.replace(tiny(), total_steps=10_000, max_minutes=2.0)
    assert Progress(game_steps=100, seconds=30.0).share(config) == 0.25
    assert Progress(game_steps=6_000, seconds=30.0).share(config) == 0.6
    assert Progress(seconds=1e6).share(config) == 1.0
    metrics, *_ = run(10_000, Progress(seconds=119.9999), max_minutes=2.0)
    assert len(metrics) == 1


def test_policy_lag_is_the_mean_over_trajectories() -> None:
    trajectories = [
        dataclasses.replace(random_trajectory(0, 2), policy_version=np.array(versions)) for versions in ([3, 5], [6, 6])
    ]
    assert policy_lag(Experience(trajectories, [], {}), 7) == pytest.approx(2.0)


def test_statistics_cover_the_last_hundred_episodes_of_each_opponent() -> None:
    statistics = EpisodeStatistics()
    assert statistics.metrics() == {}
    lost, won, beaten = (
        Episode(0.0, 10, -1, 0, "Rush"),
        Episode(2.0, 30, 1, 0, "Rush"),
        Episode(2.0, 30, 1, 0, "Random"),
    )
    statistics.add(Experience([], [lost] * 50 + [beaten] * 50, {}))
    assert statistics.metrics() == {
        "charts/episodic_return": 1.0,
        "charts/episodic_length": 20.0,
        "charts/win_rate/Rush": 0.0,
        "charts/win_rate/Random": 1.0,
    }
    statistics.add(Experience([], [won] * 75, {}))
    assert statistics.metrics()["charts/win_rate/Rush"] == 0.75


@pytest.mark.parametrize("config", [GymnasiumConfig(), starcraft2_minigame().environment])
def test_nothing_is_won_where_there_is_no_opponent(config: EnvironmentConfig) -> None:
    opponents = opponents_of(config, 2)
    statistics = EpisodeStatistics()
    statistics.add(Experience([], [Episode(2.0, 30, 1, 0, opponent) for opponent in opponents], {}))
    assert statistics.metrics() == {"charts/episodic_return": 2.0, "charts/episodic_length": 30.0}


def test_saved_state_restores_counters_learner_and_random_numbers() -> None:
    learner = Learner(make_agent(), LearnerConfig(), seed=1)
    learner.num_updates = 5
    progress = Progress(game_steps=10, decisions=20, updates=5, seconds=1.5, episodes=2)
    torch.manual_seed(4)
    state = training_state(learner, progress)
    expected = (torch.rand(3), learner.generator.random(3))

    other, counters = Learner(make_agent(), LearnerConfig(), seed=2), Progress()
    torch.manual_seed(99)
    restore_training_state(state, other, counters)
    assert counters == progress
    assert other.num_updates == 5
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(other.generator.random(3), expected[1])
