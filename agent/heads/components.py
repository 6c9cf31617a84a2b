"""Decisions whose components are drawn independently, given the action type: units' orders and plain action spaces."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from agent.action_spec import ActionSpec
from agent.distributions import ComponentDistribution, GaussianDistribution
from agent.heads.policy import Evaluation


class ActionHead(nn.Module):
    """Decision outputs [X, C] -> policy, from one linear map."""

    def __init__(self, spec: ActionSpec, channels: int, *, init_scale: float = 0.01) -> None:
        super().__init__()
        self.spec = spec
        self.output = nn.Linear(channels, spec.box_size or spec.mask_size)
        nn.init.orthogonal_(self.output.weight, init_scale)
        nn.init.zeros_(self.output.bias)
        if spec.box_size:
            self.log_std = nn.Parameter(torch.zeros(spec.box_size))

    def forward(self, decisions: Float[Tensor, "X C"], action_mask: Bool[Tensor, "X A"] | None) -> ComponentPolicy:
        """Return the policy of each decision under its action mask."""
        logits = self.output(decisions)
        if self.spec.box_size:
            return ComponentPolicy(GaussianDistribution(logits, self.log_std))
        return ComponentPolicy(ComponentDistribution(logits, action_mask, self.spec))


class ComponentPolicy:
    """A `Policy` whose distribution over whole actions is known; entropy and divergence are exact."""

    def __init__(self, distribution: ComponentDistribution | GaussianDistribution) -> None:
        self.distribution = distribution

    def act(self, generator: torch.Generator | None = None, *, greedy: bool = False) -> tuple[Tensor, Tensor]:
        """Return actions [X, action_size], drawn or the most likely ones, and their log-probabilities [X]."""
        action = self.distribution.mode() if greedy else self.distribution.sample(generator)
        return action, self.distribution.log_prob(action)

    def evaluate(self, action: Tensor, teacher: ComponentPolicy | None = None) -> Evaluation:
        """Return what the learner needs of the actions [X, action_size] that were taken."""
        kl = None if teacher is None else self.distribution.kl(teacher.distribution)  # type: ignore[arg-type]
        return Evaluation(self.distribution.log_prob(action), self.distribution.entropy(), kl)
