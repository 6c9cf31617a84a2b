"""The loop between environment and agent: actions out, unrolls back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from agent.agent import Agent
from agent.interface import AgentInput, AgentOutput, AgentSpec, PackedObservation, pack_observation
from training.environment_config import NO_OPPONENT
from training.trajectory import Trajectory, sequence_major

Array = NDArray[Any]


class BatchedEnvironment(Protocol):
    """N environments stepped together; an ended row stays as it is until it is reset (see `envs`)."""

    num_envs: int
    single_observation_space: Any
    single_action_space: Any
    reward_term_names: tuple[str, ...]
    reward_weights: Array

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes in all rows, or in those of options["reset_mask"]."""
        ...

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Step all rows whose episode has not ended."""
        ...

    def close(self) -> None:
        """Free the games."""
        ...


@dataclass(frozen=True)
class Episode:
    """One finished episode.

    Attributes:
        episodic_return: of the weighted rewards.
        length: in game steps.
        outcome: +1, 0, -1.
        row: of the environment.
        opponent: against whom it was.
        side: which player of the game the row was.
    """

    episodic_return: float
    length: int
    outcome: int
    row: int
    opponent: str = NO_OPPONENT
    side: int = 0


class Rollout:
    """Play a batch of games with an agent and return unrolls.

    Args:
        environment: the games.
        agent: acts on CPU without gradients; its weights may be replaced between unrolls.
        unroll_length: steps T of each unroll.
        seed: of the games and of the action noise.
        greedy: take each component's most likely choice.
        first_stream: number of the first row's stream of unrolls; the other rows' follow.
    """

    def __init__(
        self,
        environment: BatchedEnvironment,
        agent: Agent,
        *,
        unroll_length: int,
        seed: int,
        greedy: bool = False,
        first_stream: int = 0,
    ) -> None:
        if unroll_length < 1:
            raise ValueError(f"unroll_length must be at least 1, got {unroll_length}")
        self.environment, self.agent = environment, agent
        self.unroll_length, self.greedy = unroll_length, greedy
        self._streams = first_stream + np.arange(environment.num_envs)
        self.generator = torch.Generator()
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Begin new episodes everywhere, from a seed."""
        num_rows = self.environment.num_envs
        self.generator.manual_seed(seed)
        self._observation, _ = self.environment.reset(seed=seed)
        self._state = self.agent.initial_state(num_rows)
        self._is_first = np.ones(num_rows, bool)
        self._ended = np.zeros(num_rows, bool)
        self._returns = np.zeros(num_rows, np.float64)
        self._lengths = np.zeros(num_rows, np.int64)

    def collect(self, policy_version: int = 0) -> tuple[Trajectory, list[Episode]]:
        """Return an unroll of every row, and the episodes that finished in it."""
        initial_state = self._state.numpy().copy()
        rows: list[PackedObservation] = []
        steps: list[_Step] = []
        is_first = [self._is_first]
        episodes: list[Episode] = []
        for _ in range(self.unroll_length):
            packed, output = self._act()
            rows.append(_with_actions(packed, output))
            step, infos = self._advance(packed, output)
            steps.append(step)
            is_first.append(self._is_first)
            episodes += self._finished(steps[-1], infos)
        nobody = np.zeros(self.environment.num_envs, bool)
        rows.append(_with_actions(pack_observation(self._observation, self.agent.spec, nobody), None, like=rows[-1]))
        trajectory = Trajectory(
            observations=sequence_major(rows),
            initial_state=initial_state,
            is_first=np.stack(is_first, 1),
            policy_version=np.full(self.environment.num_envs, policy_version),
            stream=self._streams,
            teacher_state=np.zeros((self.environment.num_envs, 0), np.float32),
            **{field.name: np.stack([getattr(step, field.name) for step in steps], 1) for field in _STEP_FIELDS},
        )
        return trajectory, episodes

    @torch.inference_mode()
    def _act(self) -> tuple[PackedObservation, AgentOutput]:
        packed = pack_observation(self._observation, self.agent.spec, ~self._ended)
        output = self.agent.step(
            AgentInput.from_packed(packed),
            self._state,
            torch.from_numpy(self._is_first),
            generator=self.generator,
            greedy=self.greedy,
        )
        return packed, output

    def _advance(self, packed: PackedObservation, output: AgentOutput) -> tuple[_Step, dict[str, Any]]:
        """Step the games that have not ended, reset those that have, and return what happened, with the infos."""
        was_ended = self._ended
        actions = environment_actions(packed, output.action.numpy(), self.agent.spec)
        observation, _, terminated, truncated, infos = self.environment.step(actions)
        step = _Step(
            rewards=(infos["reward_terms"] * self.environment.reward_weights).astype(np.float32),
            elapsed_steps=infos["elapsed_steps"].copy(),
            terminated=np.array(terminated),
            truncated=np.array(truncated),
            loss_mask=~was_ended,
            outcome=infos["outcome"].copy(),
            dropped=_dropped(infos, len(was_ended)),
        )
        if was_ended.any():
            observation, _ = self.environment.reset(options={"reset_mask": was_ended})
        self._observation, self._state = observation, output.state
        self._ended, self._is_first = step.terminated | step.truncated, was_ended
        return step, infos

    def _finished(self, step: _Step, infos: dict[str, Any]) -> list[Episode]:
        self._returns += step.rewards.sum(-1)
        self._lengths += step.elapsed_steps
        ended = np.flatnonzero(step.terminated | step.truncated)
        # What an episode would have come to is not known where its game failed.
        episodes = [self._episode(int(row), step, infos) for row in ended if not step.dropped[row]]
        self._returns[ended] = 0
        self._lengths[ended] = 0
        return episodes

    def _episode(self, row: int, step: _Step, infos: dict[str, Any]) -> Episode:
        return Episode(
            episodic_return=float(self._returns[row]),
            length=int(self._lengths[row]),
            outcome=int(step.outcome[row]),
            row=row,
            opponent=infos["opponent"][row] if "opponent" in infos else NO_OPPONENT,
            side=int(infos["side"][row]) if "side" in infos else 0,
        )


@dataclass(frozen=True)
class _Step:
    """What one environment step gave, arrays [N, ...]."""

    rewards: Array
    elapsed_steps: Array
    terminated: Array
    truncated: Array
    loss_mask: Array
    outcome: Array
    dropped: Array


_STEP_FIELDS = tuple(field for field in fields(_Step) if field.name not in ("outcome", "dropped"))


def _dropped(infos: dict[str, Any], num_rows: int) -> Array:
    """Return which games failed, [num_rows]; there are environments whose games do not."""
    return np.array(infos.get("dropped", np.zeros(num_rows, bool)))


def _with_actions(
    packed: PackedObservation, output: AgentOutput | None, like: PackedObservation | None = None
) -> PackedObservation:
    """Return the observations with the actions taken beside them; without output, with none, typed as in `like`."""
    if output is not None:
        return packed.with_decision(action=output.action.numpy(), behaviour_log_prob=output.log_prob.numpy())
    assert like is not None
    return packed.with_decision(**{key: like.decision[key][:0] for key in ("action", "behaviour_log_prob")})


def environment_actions(packed: PackedObservation, action: Array, spec: AgentSpec) -> Array:
    """Return the batch of actions [N, ...] that an environment takes; zeros (and empty selections) where none was."""
    owner = np.repeat(np.arange(len(packed)), packed.decision_counts)
    if spec.action.per_entity:
        assert spec.entities is not None
        batch = np.zeros((len(packed), spec.entities.max_entities, spec.action.action_size), action.dtype)
        batch[owner, packed.decision["slot"]] = action
        return batch
    if spec.action.function_call is not None:
        calls: Array = spec.action.function_call.idle_actions(len(packed))
        calls[owner] = action
        return calls
    batch = np.zeros((len(packed), spec.action.action_size), action.dtype)
    batch[owner] = action
    if spec.action.box_size:
        return np.clip(batch, spec.action.box_low, spec.action.box_high).astype(batch.dtype, copy=False)
    return batch[:, 0] if spec.action.scalar else batch
