"""What every head offers: actions with their log-probabilities, and the same log-probabilities again in learning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from agent.interface import Part


@dataclass(frozen=True)
class Evaluation:
    """Of X actions that were taken: log-probability, entropy, and KL divergence to a teacher (None without), each [X].

    `parts` are those of the log-probability by name, where they were asked for.

    Where an action's parts are chosen one after another (function calls), entropy and divergence are the sums of those
    of each part given the parts before it, as they were taken: estimates of the joint ones that need one sample only.
    """

    log_prob: Tensor
    entropy: Tensor
    kl: Tensor | None = None
    parts: dict[str, Part] = field(default_factory=dict)


@runtime_checkable
class Policy(Protocol):
    """The policy of X decisions."""

    def act(self, generator: torch.Generator | None = None, *, greedy: bool = False) -> tuple[Tensor, Tensor]:
        """Return actions [X, action_size], drawn or the most likely ones, and their log-probabilities [X]."""
        ...

    def evaluate(self, action: Tensor, teacher: Any = None, *, with_parts: bool = False) -> Evaluation:
        """Return what the learner needs of the actions [X, action_size] that were taken.

        Args:
            action: what `act` returned, here or in an actor.
            teacher: the policy of another agent for the same decisions; no gradient reaches it.
            with_parts: also tell the action's parts apart.
        """
        ...
