"""Joining and selecting ragged sequences against versions written with Python lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.interface import PackedObservation
from training.trajectory import Trajectory, concatenate, sequence_major

LENGTH = 4


def random_step(rng: np.random.Generator, batch: int) -> PackedObservation:
    entity_counts, decision_counts = rng.integers(0, 4, batch), rng.integers(0, 3, batch)
    return PackedObservation(
        sample={"scalars": rng.normal(size=(batch, 2)), "planes": rng.normal(size=(batch, 1, 2, 3))},
        entity_counts=entity_counts,
        entity={"entity_values": rng.normal(size=(entity_counts.sum(), 3))},
        decision_counts=decision_counts,
        decision={
            "action": rng.integers(0, 9, (decision_counts.sum(), 2)),
            "log_prob": rng.normal(size=decision_counts.sum()),
        },
    )


def unpack(packed: PackedObservation) -> list[dict[str, Any]]:
    """Return one dict per observation, as nested lists."""
    observations = []
    entity = decision = 0
    for n in range(len(packed)):
        entities, decisions = int(packed.entity_counts[n]), int(packed.decision_counts[n])
        observations.append(
            {key: value[n].tolist() for key, value in packed.sample.items()}
            | {key: value[entity : entity + entities].tolist() for key, value in packed.entity.items()}
            | {key: value[decision : decision + decisions].tolist() for key, value in packed.decision.items()}
        )
        entity, decision = entity + entities, decision + decisions
    assert all(len(value) == entity for value in packed.entity.values())
    assert all(len(value) == decision for value in packed.decision.values())
    return observations


def random_trajectory(seed: int, batch: int, length: int = LENGTH) -> Trajectory:
    rng = np.random.default_rng(seed)

    def coin(*shape: int) -> NDArray[np.bool_]:
        return rng.random(shape) < 0.5

    return Trajectory(
        observations=sequence_major([random_step(rng, batch) for _ in range(length + 1)]),
        initial_state=rng.normal(size=(batch, 1, 2)),
        is_first=coin(batch, length + 1),
        rewards=rng.normal(size=(batch, length, 2)),
        elapsed_steps=rng.integers(0, 5, (batch, length)),
        terminated=coin(batch, length),
        truncated=coin(batch, length),
        loss_mask=coin(batch, length),
        policy_version=rng.integers(0, 99, batch),
        stream=rng.permutation(batch),
        teacher_state=rng.normal(size=(batch, 2)),
    )


def sequences_of(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Return one dict per sequence, as nested lists."""
    rows = trajectory.unroll_length + 1
    observations = unpack(trajectory.observations)
    assert len(observations) == trajectory.num_sequences * rows
    dense = {name: value for name, value in vars(trajectory).items() if name != "observations"}
    return [
        {"observations": observations[b * rows : (b + 1) * rows]}
        | {name: array[b].tolist() for name, array in dense.items()}
        for b in range(trajectory.num_sequences)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_sequence_major_puts_each_sequences_steps_one_after_another(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = [random_step(rng, 3) for _ in range(5)]
    by_step = [unpack(step) for step in steps]
    assert unpack(sequence_major(steps)) == [by_step[t][b] for b in range(3) for t in range(5)]


@pytest.mark.parametrize("sequences", [[2], [0, 1, 2, 3], [3, 0, 2], [1, 1]])
def test_select_takes_the_sequences_in_order(sequences: list[int]) -> None:
    trajectory = random_trajectory(0, 4)
    everything = sequences_of(trajectory)
    selected = trajectory.select(np.array(sequences))
    assert sequences_of(selected) == [everything[index] for index in sequences]
    assert selected.num_sequences == len(sequences)


def test_concatenate_keeps_all_sequences_in_order() -> None:
    parts = [random_trajectory(seed, batch) for seed, batch in enumerate((2, 1, 3))]
    assert sequences_of(concatenate(parts)) == [sequence for part in parts for sequence in sequences_of(part)]
    assert sequences_of(concatenate(parts[:1])) == sequences_of(parts[0])


def test_split_and_joined_is_the_same() -> None:
    trajectory = random_trajectory(5, 5)
    joined = concatenate([trajectory.select(np.array(part)) for part in ([0, 1], [2], [3, 4])])
    assert sequences_of(joined) == sequences_of(trajectory)


def test_selected_sequences_do_not_share_memory() -> None:
    trajectory = random_trajectory(6, 3)
    selected = trajectory.select(np.arange(3))
    assert not np.shares_memory(selected.rewards, trajectory.rewards)
    assert not np.shares_memory(
        selected.observations.entity["entity_values"], trajectory.observations.entity["entity_values"]
    )


def test_steps_are_counted_where_actions_were_taken() -> None:
    trajectory = random_trajectory(7, 3)
    assert trajectory.num_steps == sum(sum(row) for row in trajectory.loss_mask.tolist())
    assert trajectory.num_game_steps == sum(sum(row) for row in trajectory.elapsed_steps.tolist())


def test_lengths_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"one unroll length, got lengths \[3, 4\]"):
        concatenate([random_trajectory(0, 2), random_trajectory(1, 2, length=3)])
    with pytest.raises(ValueError, match=r"got lengths \[\]"):
        concatenate([])
