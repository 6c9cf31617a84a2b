"""The loop between environment and agent, on environments whose every word is known."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agent import Agent, AgentConfig, AgentInput, AgentSpec
from agent.interface import pack_observation
from envs.spaces import SCALARS
from perceiver_io import EntityTorsoKind
from tests.agent import games
from tests.training.scripted import CountingEnvironment, UnitEnvironment
from training.rollout import Rollout, environment_actions
from training.trajectory import Trajectory

CONFIG = AgentConfig.of_size("dummy")


def make_rollout(
    environment: CountingEnvironment, unroll_length: int, *, config: AgentConfig = CONFIG, greedy: bool = False
) -> Rollout:
    torch.manual_seed(0)
    spec = AgentSpec.from_spaces(
        environment.single_observation_space, environment.single_action_space, environment.reward_term_names
    )
    agent = Agent(spec, config)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Rollout(environment, agent, unroll_length=unroll_length, seed=3, greedy=greedy)


def scalars_of(trajectory: Trajectory) -> list[list[list[float]]]:
    """Return [B][T + 1] scalars (row, episode, step)."""
    rows = trajectory.unroll_length + 1
    shaped: list[list[list[float]]] = trajectory.observations.sample[SCALARS].reshape(-1, rows, 3).tolist()
    return shaped


def test_every_observation_is_a_row() -> None:
    """Row 0 terminates after 2 steps, row 1 is truncated after 3, row 2 never ends in these 6 steps."""
    environment = CountingEnvironment((2, 3, 99), (True, False, True))
    trajectory, _ = make_rollout(environment, 6).collect(policy_version=7)
    # (episode, step) of every row; the final observation comes before the next episode's first.
    expected = [
        [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)],
        [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)],
        [(0, step) for step in range(7)],
    ]
    assert scalars_of(trajectory) == [[[n, episode, step] for episode, step in rows] for n, rows in enumerate(expected)]
    final = np.array([[False, False, True, False, False, True], [False] * 3 + [True] + [False] * 2, [False] * 6])
    np.testing.assert_array_equal(trajectory.loss_mask, ~final)
    first = np.zeros((3, 7), bool)
    first[:, 0] = first[0, [3, 6]] = first[1, 4] = True
    np.testing.assert_array_equal(trajectory.is_first, first)
    np.testing.assert_array_equal(np.argwhere(trajectory.terminated), [[0, 1], [0, 4]])
    np.testing.assert_array_equal(np.argwhere(trajectory.truncated), [[1, 2]])
    np.testing.assert_array_equal(
        trajectory.elapsed_steps, [[1, 2, 0, 1, 2, 0], [1, 2, 3, 0, 1, 2], [1, 2, 3, 4, 5, 6]]
    )
    weighted = np.array([[1, 5], [1, 10], [1, 15]], np.float32)
    np.testing.assert_array_equal(trajectory.rewards, trajectory.loss_mask[..., None] * weighted[:, None])
    decisions = trajectory.observations.decision_counts.reshape(3, 7)
    np.testing.assert_array_equal(decisions[:, :6], trajectory.loss_mask)
    np.testing.assert_array_equal(decisions[:, 6], 0)
    np.testing.assert_array_equal(trajectory.policy_version, [7, 7, 7])
    assert trajectory.num_steps == 15


def test_episodes_are_reported_when_they_end() -> None:
    environment = CountingEnvironment((2, 3, 99), (True, False, True))
    rollout = make_rollout(environment, 3)
    seen = [dataclasses.astuple(episode)[:4] for _ in range(2) for episode in rollout.collect()[1]]
    # Return, game steps, outcome, row: 2 * (1 + 5) in 1 + 2 game steps, 3 * (1 + 10) in 1 + 2 + 3.
    assert seen == [(12.0, 3, 1, 0), (33.0, 6, 0, 1), (12.0, 3, 1, 0)]


@pytest.mark.parametrize("lengths", [(2, 3, 99), (1, 4, 2)])
def test_two_unrolls_are_one_twice_as_long(lengths: tuple[int, int, int]) -> None:
    ends = (True, False, False)
    long, _ = make_rollout(CountingEnvironment(lengths, ends), 8).collect()
    rollout = make_rollout(CountingEnvironment(lengths, ends), 4)
    halves = [rollout.collect()[0] for _ in range(2)]
    for name in ("rewards", "elapsed_steps", "terminated", "truncated", "loss_mask"):
        np.testing.assert_array_equal(np.concatenate([getattr(half, name) for half in halves], 1), getattr(long, name))
    np.testing.assert_array_equal(np.concatenate([halves[0].is_first[:, :4], halves[1].is_first], 1), long.is_first)
    first, second = (scalars_of(half) for half in halves)
    assert [a[:4] + b for a, b in zip(first, second, strict=True)] == scalars_of(long)
    assert [a[4] for a in first] == [b[0] for b in second]
    for key in ("action", "behaviour_log_prob"):
        by_row = [half.observations.decision[key] for half in halves]
        counts = [half.observations.decision_counts.reshape(3, 5).sum(1).cumsum()[:-1] for half in halves]
        parts = zip(*(np.split(array, count) for array, count in zip(by_row, counts, strict=True)), strict=True)
        np.testing.assert_array_equal(
            np.concatenate([half for row in parts for half in row]), long.observations.decision[key]
        )


@pytest.mark.parametrize("torso", get_args(EntityTorsoKind))
def test_the_learner_sees_the_actors_policy_and_values(torso: str) -> None:
    """The importance ratio of the first update is 1, in later unrolls too, over episodes' ends and in final rows."""
    config = dataclasses.replace(CONFIG, torso=torso)  # type: ignore[arg-type]
    environment = UnitEnvironment((2, 3, 99), (True, False, True), free_choice=True)
    rollout = make_rollout(environment, 5, config=config)
    for _ in range(3):
        trajectory, _ = rollout.collect()
        output = rollout.agent.unroll(
            AgentInput.from_packed(trajectory.observations),
            torch.from_numpy(trajectory.initial_state),
            torch.from_numpy(trajectory.is_first),
            torch.from_numpy(trajectory.observations.decision["action"]),
        )
        behaviour = torch.from_numpy(trajectory.observations.decision["behaviour_log_prob"])
        assert behaviour.max() < -0.2
        torch.testing.assert_close((output.log_prob - behaviour).exp(), torch.ones_like(behaviour), atol=1e-5, rtol=0.0)


def test_unit_actions_reach_their_units() -> None:
    environment = UnitEnvironment((2, 3, 99), (True, False, True))
    trajectory, _ = make_rollout(environment, 6).collect()
    assert len(environment.actions) == 6
    rows = scalars_of(trajectory)
    for t, actions in enumerate(environment.actions):
        assert actions.shape == (3, games.MAX_ENTITIES, 3)
        for n in range(3):
            expected = np.zeros((games.MAX_ENTITIES, 3), int)
            if trajectory.loss_mask[n, t]:
                for unit in environment.waiting(n, int(rows[n][t][2])):
                    expected[unit] = (2, unit % 4, n % 5)
            np.testing.assert_array_equal(actions[n], expected)


def test_discrete_actions_reach_their_rows() -> None:
    environment = CountingEnvironment((2, 3, 99), (True, False, True))
    trajectory, _ = make_rollout(environment, 6).collect()
    sent = np.stack(environment.actions, 1)
    np.testing.assert_array_equal(sent[trajectory.loss_mask], trajectory.observations.decision["action"][:, 0])
    np.testing.assert_array_equal(sent[~trajectory.loss_mask], 0)


def test_box_actions_are_clipped_and_keep_their_dtype() -> None:
    box = spaces.Box(np.array([-1, -np.inf], np.float32), np.array([1, 3], np.float32))
    spec = AgentSpec.from_spaces(games.vector_space(3), box)
    observation = {SCALARS: np.zeros((3, 3), np.float32)}
    packed = pack_observation(observation, spec, np.array([True, False, True]))
    actions = environment_actions(packed, np.array([[-2.0, -50.0], [0.5, 4.0]], np.float32), spec)
    np.testing.assert_array_equal(actions, [[-1, -50], [0, 0], [0.5, 3]])
    assert actions.dtype == np.float32


def test_equal_seeds_give_equal_unrolls_and_restart_begins_anew() -> None:
    rollout = make_rollout(CountingEnvironment((2, 3), (True, False)), 5)
    first, _ = rollout.collect()
    second, _ = rollout.collect()
    rollout.restart(3)
    again, _ = rollout.collect()
    assert not np.array_equal(first.observations.decision["action"], second.observations.decision["action"])
    np.testing.assert_array_equal(again.observations.decision["action"], first.observations.decision["action"])
    np.testing.assert_array_equal(again.is_first, first.is_first)
    assert scalars_of(again) == scalars_of(first)


def test_greedy_play_takes_the_most_likely_action() -> None:
    rollout = make_rollout(CountingEnvironment((3, 4), (True, False)), 8, greedy=True)
    trajectory, _ = rollout.collect()
    # With four choices, the most likely one has at least a probability of 1/4.
    assert (np.exp(trajectory.observations.decision["behaviour_log_prob"]) >= 0.25).all()


def test_a_trajectory_does_not_change_after_it_is_handed_over() -> None:
    rollout = make_rollout(UnitEnvironment((2, 3), (True, False)), 4)
    trajectory, _ = rollout.collect()
    arrays = {name: value for name, value in vars(trajectory).items() if name != "observations"}
    for part in ("sample", "entity", "decision"):
        arrays |= getattr(trajectory.observations, part)
    before = {name: value.copy() for name, value in arrays.items()}
    rollout.collect()
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_unroll_length_must_be_positive() -> None:
    with pytest.raises(ValueError, match="unroll_length must be at least 1, got 0"):
        make_rollout(CountingEnvironment((2,), (True,)), 0)
