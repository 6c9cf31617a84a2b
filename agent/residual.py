"""Building blocks of the heads and of the map encoder: residual blocks, and units that a context gates."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class GatedLinearUnit(nn.Module):
    """Linear(sigmoid(Linear(context)) * x): the context chooses which inputs count (AlphaStar's GLU)."""

    def __init__(self, channels: int, context_channels: int, output_channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(context_channels, channels)
        self.output = nn.Linear(channels, output_channels)

    def forward(self, x: Float[Tensor, "X C"], context: Float[Tensor, "X D"]) -> Float[Tensor, "X O"]:
        """Return the gated outputs."""
        outputs: Tensor = self.output(torch.sigmoid(self.gate(context)) * x)
        return outputs


class ResidualBlock(nn.Module):
    """x + Linear(ReLU(LN(Linear(ReLU(LN(x))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
            nn.LayerNorm(channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
        )

    def forward(self, x: Float[Tensor, "X C"]) -> Float[Tensor, "X C"]:
        """Return the block's output."""
        outputs: Tensor = x + self.layers(x)
        return outputs


class ConvolutionBlock(nn.Module):
    """A residual block of two 3 x 3 convolutions over a map.

    With a context, its channels are scaled and shifted between the two (FiLM, Perez et al. 2018).
    """

    def __init__(self, channels: int, context_channels: int = 0) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.GroupNorm(1, channels), nn.GroupNorm(1, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(context_channels, 2 * channels) if context_channels else None

    def forward(
        self, maps: Float[Tensor, "N C H W"], context: Float[Tensor, "N D"] | None = None
    ) -> Float[Tensor, "N C H W"]:
        """Return the block's output; a context is needed where the block was made with one."""
        hidden = self.second_norm(self.first(F.relu(self.first_norm(maps))))
        if self.modulation is not None:
            scale, shift = self.modulation(context)[..., None, None].chunk(2, 1)
            hidden = hidden * (1 + scale) + shift
        outputs: Tensor = maps + self.second(F.relu(hidden))
        return outputs
