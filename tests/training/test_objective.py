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


def test_rows_that_were_not_asked_are_those_without_a_decision() -> None:
    inputs: Any = SimpleNamespace(size=6, decision_sample=torch.tensor([0, 0, 2, 3]))
    expected = [[True, True], [False, False], [True, False]]
    assert objective._is_asked(inputs, 2).tolist() == expected


def test_traces_and_upgo_pass_over_rows_that_were_not_asked() -> None:
    """One sequence of three steps, of which the first and the last were asked."""
    values = torch.tensor([1.0, -2.0, 3.0, 0.5]).view(1, 4, 1)
    log_prob = torch.zeros(2)
    output: Any = SimpleNamespace(values=values, log_prob=log_prob)
    inputs: Any = SimpleNamespace(size=4, decision_sample=torch.tensor([0, 2]))
    batch: Any = SimpleNamespace(
        behaviour_log_prob=log_prob,
        is_first=torch.zeros(1, 4, dtype=torch.bool),
        rewards=torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1),
        discounts=torch.full((3, 1, 1), 0.5),
        trace_continues=torch.ones(3, 1, dtype=torch.bool),
        loss_mask=torch.ones(3, 1, dtype=torch.bool),
    )
    config = LearnerConfig(trace_decay=0.5, upgo_cost=1.0)
    returns = objective._returns(output, inputs, batch, config, 0.0)
    last = 4 + 0.5 * 0.5
    first = 1 + 0.5 * 2 + 0.25 * (0.5 * 3 + 0.5 * last)
    torch.testing.assert_close(returns.targets[[0, 2], 0, 0], torch.tensor([first, last]))
    upgoing = 1 + 0.5 * 2 + 0.25 * last
    torch.testing.assert_close(returns.upgo_advantages[0], torch.tensor([upgoing - 1]))
