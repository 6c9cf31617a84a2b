"""Function calls through the real rollout and learner: ratios of 1, exact resume, and that it learns."""

import copy
import dataclasses
from typing import Any, get_args

import numpy as np
import pytest
import torch

from agent import Agent, AgentConfig, AgentInput, AgentSpec
from envs.function_calls import FIRST_SELECTED
from perceiver_io import EntityTorsoKind
from tests.training.call_environment import ENTITIES, CallEnvironment
from training.learner import Learner
from training.learner_config import LearnerConfig
from training.rollout import Rollout
from training.trajectory import Trajectory

DUMMY = AgentConfig.of_size("dummy")


def make_rollout(config: AgentConfig, num_envs: int, unroll_length: int, noise: float = 0.0) -> Rollout:
    environment = CallEnvironment(num_envs)
    torch.manual_seed(0)
    spec = AgentSpec.from_spaces(
        environment.single_observation_space, environment.single_action_space, environment.reward_term_names
    )
    agent = Agent(spec, config)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return Rollout(environment, agent, unroll_length=unroll_length, seed=0)


def asked(trajectory: Trajectory) -> Any:
    """Return which steps asked for a call, [B, T]."""
    counts = trajectory.observations.decision_counts.reshape(trajectory.num_sequences, -1)
    return counts[:, :-1].astype(bool)


@pytest.mark.parametrize("selection", ["pointer", "parallel"])
@pytest.mark.parametrize("torso", get_args(EntityTorsoKind))
def test_the_first_updates_importance_ratio_is_one(torso: Any, selection: Any) -> None:
    """Unrolls of 6 steps of episodes of 4: an end, a final observation and a beginning lie inside each."""
    rollout = make_rollout(dataclasses.replace(DUMMY, torso=torso, selection=selection), 5, 6, noise=0.1)
    for _ in range(2):
        trajectory, _ = rollout.collect()
        assert trajectory.truncated[:, :-1].any()
        rows = asked(trajectory)
        assert (trajectory.loss_mask & ~rows).any()
        assert not (rows & ~trajectory.loss_mask).any()
        output = rollout.agent.unroll(
            AgentInput.from_packed(trajectory.observations),
            torch.from_numpy(trajectory.initial_state),
            torch.from_numpy(trajectory.is_first),
            torch.from_numpy(trajectory.observations.decision["action"]),
        )
        assert len(output.log_prob) == rows.sum()
        ratio = (output.log_prob - torch.from_numpy(trajectory.observations.decision["behaviour_log_prob"])).exp()
        torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=3e-5, rtol=0.0)


def test_rows_that_are_not_asked_get_a_call_that_does_nothing() -> None:
    rollout = make_rollout(DUMMY, 5, 1)
    seen: list[Any] = []
    step = rollout.environment.step
    rollout.environment.step = lambda actions: (seen.append(actions.copy()), step(actions))[1]  # type: ignore[method-assign]
    rollout.collect()
    (actions,) = seen
    assert all(rollout.environment.single_action_space.contains(action) for action in actions)
    assert actions[4].tolist() == [0] * FIRST_SELECTED + [ENTITIES] * 3


def test_resumed_learning_is_bit_equal() -> None:
    rollout = make_rollout(DUMMY, 6, 5, noise=0.1)
    trajectories = [rollout.collect()[0] for _ in range(2)]
    config = LearnerConfig(num_epochs=1, num_minibatches=2, teacher_kl_cost=0.1, trace_decay=(0.9, 0.5, 0.0))
    teacher, agent = copy.deepcopy(rollout.agent), rollout.agent
    learner = Learner(agent, config, teacher=teacher)
    first = learner.update(trajectories)
    assert first["losses/teacher_kl"] < 0.05
    saved = copy.deepcopy((agent.state_dict(), learner.state_dict()))
    expected = learner.update(trajectories)
    assert expected["losses/teacher_kl"] > 0
    fresh = Agent(agent.spec, agent.config)
    fresh.load_state_dict(saved[0])
    resumed = Learner(fresh, config, seed=9, teacher=teacher)
    resumed.load_state_dict(saved[1])
    assert resumed.update(trajectories) == expected
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in agent.state_dict().items())


def test_a_teacher_that_selects_units_another_way_is_refused() -> None:
    agent = make_rollout(DUMMY, 1, 1).agent
    other = make_rollout(dataclasses.replace(DUMMY, selection="parallel"), 1, 1).agent
    with pytest.raises(ValueError, match="the teacher selects units by parallel, the agent by pointer"):
        Learner(agent, LearnerConfig(teacher_kl_cost=1.0), teacher=other)


@pytest.mark.slow
@pytest.mark.parametrize(("selection", "updates", "threshold"), [("pointer", 24, 0.75), ("parallel", 14, 0.5)])
def test_it_learns_to_choose_functions_units_and_targets(selection: Any, updates: int, threshold: float) -> None:
    """From a third of the functions and a tenth of selections and targets at the start."""
    config = AgentConfig(
        channels=32, num_latents=8, num_layers=1, num_heads=2, num_cross_attention_heads=1, selection=selection,
        head_channels=32, function_blocks=1, pointer_channels=16, map_channels=16,
    )  # fmt: skip
    rollout = make_rollout(config, 64, 10)
    learner_config = LearnerConfig(
        learning_rate=3e-3, final_learning_rate=1.5e-3, discounts=(0.0,), trace_decay=0.0, max_grad_norm=5.0,
        entropy_cost=0.005, num_epochs=2, num_minibatches=4,
    )  # fmt: skip
    learner = Learner(rollout.agent, learner_config)
    right = []
    for update in range(updates):
        trajectory, _ = rollout.collect()
        right.append(trajectory.rewards[asked(trajectory)].mean(0))
        learner.update([trajectory], update / updates)
    assert (right[0] < [0.45, 0.25, 0.25]).all()
    reached = np.mean(right[-3:], 0)
    assert (reached > [0.9, 0.9, threshold]).all(), reached
