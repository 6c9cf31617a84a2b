"""Decisions whose components are drawn independently, given the action type: units' orders and plain action spaces."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from agent.action_spec import ActionSpec
from agent.distributions import ComponentDistribution, GaussianDistribution
from agent.heads.policy import Evaluation
from agent.interface import Part


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

    def evaluate(
        self, action: Tensor, teacher: ComponentPolicy | None = None, *, with_parts: bool = False
    ) -> Evaluation:
        """Return what the learner needs of the actions [X, action_size] that were taken.

        Parts are `component_0` and so on; real numbers have none.
        """
        kl = None if teacher is None else self.distribution.kl(teacher.distribution)  # type: ignore[arg-type]
        parts = self._parts(action) if with_parts else {}
        return Evaluation(self.distribution.log_prob(action), self.distribution.entropy(), kl, parts)

    def _parts(self, action: Tensor) -> dict[str, Part]:
        if isinstance(self.distribution, GaussianDistribution):
            return {}
        read, log_probs = self.distribution.read(action), self.distribution.component_log_probs(action)
        likeliest = self.distribution.mode() == action
        columns = zip(read.unbind(1), log_probs.unbind(1), likeliest.unbind(1), strict=True)
        return {f"component_{index}": Part(*column) for index, column in enumerate(columns)}
