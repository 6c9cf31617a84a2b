"""A teacher remembers what it has seen of an episode, though it comes to the learner in unrolls."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from agent import AgentConfig
from tests.training.scripted import UnitEnvironment
from tests.training.test_learner import make_agent
from training.learner import Learner
from training.learner_config import LearnerConfig
from training.rollout import Rollout
from training.teacher import TeacherMemory


def units(rows: int = 3) -> UnitEnvironment:
    """Return games of which the last ones last longer than an unroll of 4 steps."""
    return UnitEnvironment((2, 7, 99)[-rows:], (True, False, True)[-rows:], free_choice=True)


def test_the_memory_is_that_of_an_agent_that_plays() -> None:
    """An actor keeps its own core state: where the teacher is the agent that acts, its state is the same."""
    environment = units()
    agent = make_agent(environment)
    rollout, memory = Rollout(environment, agent, unroll_length=4, seed=0), TeacherMemory(agent)
    for _ in range(4):
        trajectory = rollout.collect()[0]
        watched = memory.watch(trajectory)
        goes_on = ~trajectory.is_first[:, 0]
        np.testing.assert_allclose(watched.teacher_state[goes_on], trajectory.initial_state[goes_on], atol=1e-6)
    assert goes_on.any()
    assert np.abs(watched.teacher_state[goes_on]).max() > 1e-2


def test_streams_of_several_actors_do_not_mix() -> None:
    agent = make_agent(units())
    rollouts = [Rollout(units(rows), agent, unroll_length=4, seed=rows, first_stream=10 * rows) for rows in (1, 3)]
    memory = TeacherMemory(agent)
    for turn in (0, 1, 1, 0, 0, 1):
        trajectory = rollouts[turn].collect()[0]
        watched, goes_on = memory.watch(trajectory), ~trajectory.is_first[:, 0]
        np.testing.assert_allclose(watched.teacher_state[goes_on], trajectory.initial_state[goes_on], atol=1e-6)


@pytest.mark.parametrize("num_minibatches", [1, 3])
def test_a_teacher_does_not_diverge_from_itself_along_an_episode(num_minibatches: int) -> None:
    environment = units()
    agent = make_agent(environment)
    rollout = Rollout(environment, copy.deepcopy(agent), unroll_length=4, seed=0)
    config = LearnerConfig(
        num_epochs=1, num_minibatches=num_minibatches, teacher_kl_cost=1.0, learning_rate=1e-9, final_learning_rate=0.0
    )
    learner = Learner(agent, config, teacher=copy.deepcopy(agent))
    for _ in range(3):
        trajectories = [rollout.collect()[0] for _ in range(2)]
        assert learner.update(trajectories)["losses/teacher_kl"] < 1e-6
    assert learner.teacher_memory is not None
    learner.teacher_memory._states.clear()
    assert learner.update([rollout.collect()[0]])["losses/teacher_kl"] > 1e-5


def test_a_teacher_without_memory_is_spared_the_work() -> None:
    environment = units()
    agent = make_agent(environment, config=AgentConfig(channels=8, num_heads=2, num_cross_attention_heads=2))
    trajectory = Rollout(environment, agent, unroll_length=4, seed=0).collect()[0]
    assert TeacherMemory(agent).watch(trajectory) is trajectory
