"""Unrolls of experience: only real rows, sequence after sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.interface import PackedObservation

Array = NDArray[Any]


@dataclass(frozen=True)
class Trajectory:
    """B sequences of T steps. Every observation is a row; a sequence has T + 1 rows, the last one to bootstrap from.

    Where an episode ends at row t, row t + 1 is its final observation (no action, `loss_mask` False), and row t + 2
    begins the next episode (`is_first`). Arrays are sequence-major so that sequences can be taken and joined without
    moving rows.

    Attributes:
        observations: B * (T + 1) packed observations; `decision` also holds `action` and `behaviour_log_prob`.
        initial_state: [B, ...] core state before row 0.
        is_first: [B, T + 1] bool.
        rewards: [B, T, K] weighted reward terms of the action at each row.
        elapsed_steps: [B, T] game steps that the action's step covered.
        terminated, truncated: [B, T] bool, of the action at each row.
        loss_mask: [B, T] bool, False at final observations.
        policy_version: [B] version of the weights that acted.
        stream: [B] what the sequence is a part of: it goes on where the last one of the same number ended, or all its
            episodes begin in it (`is_first` at row 0).
        teacher_state: [B, ...] a teacher's core state before row 0, as the learner remembers it; [B, 0] until then.
    """

    observations: PackedObservation
    initial_state: Array
    is_first: Array
    rewards: Array
    elapsed_steps: Array
    terminated: Array
    truncated: Array
    loss_mask: Array
    policy_version: Array
    stream: Array
    teacher_state: Array

    @property
    def num_sequences(self) -> int:
        """Number of sequences B."""
        return int(self.is_first.shape[0])

    @property
    def unroll_length(self) -> int:
        """Steps T of each sequence."""
        return int(self.rewards.shape[1])

    @property
    def num_steps(self) -> int:
        """Number of actions that were taken."""
        return int(self.loss_mask.sum())

    @property
    def num_game_steps(self) -> int:
        """Number of game steps that were covered."""
        return int(self.elapsed_steps.sum())

    def select(self, sequences: NDArray[np.integer[Any]]) -> Trajectory:
        """Return the sequences with the given indices, in that order."""
        rows = self.is_first.shape[1]
        samples = (sequences[:, None] * rows + np.arange(rows)).reshape(-1)
        dense = {name: getattr(self, name)[sequences] for name in _DENSE}
        return replace(self, observations=select_observations(self.observations, samples), **dense)


_DENSE = (
    "initial_state",
    "is_first",
    "rewards",
    "elapsed_steps",
    "terminated",
    "truncated",
    "loss_mask",
    "policy_version",
    "stream",
    "teacher_state",
)


def concatenate(trajectories: Sequence[Trajectory]) -> Trajectory:
    """Return one trajectory with all sequences.

    Raises:
        ValueError: if there are none, or their unroll lengths differ.
    """
    lengths = {trajectory.unroll_length for trajectory in trajectories}
    if len(lengths) != 1:
        raise ValueError(f"expected trajectories of one unroll length, got lengths {sorted(lengths)}")
    if len(trajectories) == 1:
        return trajectories[0]
    joined = join_observations([trajectory.observations for trajectory in trajectories])
    dense = {name: np.concatenate([getattr(part, name) for part in trajectories]) for name in _DENSE}
    return Trajectory(observations=joined, **dense)


def join_observations(parts: Sequence[PackedObservation]) -> PackedObservation:
    """Return the observations of all parts, one part after another."""
    return PackedObservation(
        sample=_join([part.sample for part in parts]),
        entity_counts=np.concatenate([part.entity_counts for part in parts]),
        entity=_join([part.entity for part in parts]),
        decision_counts=np.concatenate([part.decision_counts for part in parts]),
        decision=_join([part.decision for part in parts]),
    )


def select_sequences(trajectories: Sequence[Trajectory], sequences: NDArray[np.integer[Any]]) -> Trajectory:
    """Return the given sequences of the pooled trajectories."""
    parts, first = [], 0
    for trajectory in trajectories:
        own = sequences[(sequences >= first) & (sequences < first + trajectory.num_sequences)] - first
        if len(own):
            parts.append(trajectory.select(own))
        first += trajectory.num_sequences
    return concatenate(parts)


def sequence_major(steps: Sequence[PackedObservation]) -> PackedObservation:
    """Return the observations of T steps of B sequences, joined sequence after sequence."""
    entity_counts = np.stack([step.entity_counts for step in steps])
    decision_counts = np.stack([step.decision_counts for step in steps])
    entity_order = _sequence_order(entity_counts)
    decision_order = _sequence_order(decision_counts)
    return PackedObservation(
        sample={key: np.stack([step.sample[key] for step in steps], 1).reshape(-1, *value.shape[1:])
                for key, value in steps[0].sample.items()},
        entity_counts=entity_counts.T.reshape(-1),
        entity={key: value[entity_order] for key, value in _join([step.entity for step in steps]).items()},
        decision_counts=decision_counts.T.reshape(-1),
        decision={key: value[decision_order] for key, value in _join([step.decision for step in steps]).items()},
    )  # fmt: skip


def _sequence_order(counts: Array) -> Array:
    """Return the order that makes rows stored step after step, counts [T, B], rows stored sequence after sequence."""
    length, batch = counts.shape
    owner = np.tile(np.arange(batch), length).repeat(counts.reshape(-1))
    return np.argsort(owner, kind="stable")


def _join(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def select_observations(packed: PackedObservation, samples: NDArray[np.integer[Any]]) -> PackedObservation:
    """Return the observations with the given indices, in that order."""
    entity_rows, decision_rows = (
        _rows_of(counts, samples) for counts in (packed.entity_counts, packed.decision_counts)
    )
    return PackedObservation(
        sample={key: value[samples] for key, value in packed.sample.items()},
        entity_counts=packed.entity_counts[samples],
        entity={key: value[entity_rows] for key, value in packed.entity.items()},
        decision_counts=packed.decision_counts[samples],
        decision={key: value[decision_rows] for key, value in packed.decision.items()},
    )


def _rows_of(counts: Array, samples: Array) -> Array:
    """Return the flat rows that belong to the given samples, with `counts` rows each."""
    lengths = counts[samples]
    first = (np.cumsum(counts) - counts)[samples]
    shift = first - (np.cumsum(lengths) - lengths)
    return np.repeat(shift, lengths) + np.arange(lengths.sum())
