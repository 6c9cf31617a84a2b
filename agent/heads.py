"""Policy heads: decision outputs -> action distributions."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from agent.distributions import ComponentDistribution, GaussianDistribution
from agent.interface import ActionSpec


class ActionHead(nn.Module):
    """Decision outputs [X, C] -> distribution over actions."""

    def __init__(self, spec: ActionSpec, channels: int, *, init_scale: float = 0.01) -> None:
        super().__init__()
        self.spec = spec
        self.output = nn.Linear(channels, spec.box_size or spec.mask_size)
        nn.init.orthogonal_(self.output.weight, init_scale)
        nn.init.zeros_(self.output.bias)
        if spec.box_size:
            self.log_std = nn.Parameter(torch.zeros(spec.box_size))

    def forward(
        self, decisions: Float[Tensor, "X C"], action_mask: Bool[Tensor, "X A"] | None
    ) -> ComponentDistribution | GaussianDistribution:
        """Return the distribution of each decision under its action mask."""
        logits = self.output(decisions)
        if self.spec.box_size:
            return GaussianDistribution(logits, self.log_std)
        return ComponentDistribution(logits, action_mask, self.spec)
