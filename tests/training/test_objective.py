"""What the learner minimises, where it is not the learner as a whole that is tested."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from training import objective
from training.learner_config import LearnerConfig


def per_decision(advantages: torch.Tensor, decision_sample: list[int], *, normalise: bool = True) -> torch.Tensor:
    """Return the advantage of each decision, for advantages [T, B] and the row (of T + 1 a sequence) of each."""
    length, batch = advantages.shape
    returns: Any = SimpleNamespace(smallest_spread=torch.zeros(()))
    taken: Any = SimpleNamespace(loss_mask=torch.ones(length, batch, dtype=torch.bool))
    inputs: Any = SimpleNamespace(
        size=(length + 1) * batch, decision_sample=torch.tensor(decision_sample, dtype=torch.int64)
    )
    return objective._per_decision(advantages, returns, taken, inputs, LearnerConfig(normalise_advantages=normalise))


def test_rows_that_were_not_asked_do_not_count_in_the_spread_of_advantages() -> None:
    """Two sequences of three steps; of the second only the first step was asked."""
    advantages = torch.tensor([[1.0, 5.0], [2.0, 1e6], [3.0, -1e6]])
    got = per_decision(advantages, [0, 1, 2, 4])
    asked = torch.tensor([1.0, 2.0, 3.0, 5.0])
    torch.testing.assert_close(got, (asked - asked.mean()) / asked.std(unbiased=False))


def test_a_part_without_decisions_gives_none() -> None:
    assert per_decision(torch.ones(3, 1), []).shape == (0,)


def test_without_normalising_they_are_what_they_were() -> None:
    advantages = torch.tensor([[4.0], [6.0]])
    torch.testing.assert_close(per_decision(advantages, [1], normalise=False), torch.tensor([6.0]))
