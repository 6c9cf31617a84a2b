"""Scalars -> one token."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class ScalarEncoder(nn.Module):
    """Embed the scalar observations as one token: a two-layer MLP."""

    def __init__(self, num_scalars: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(num_scalars, channels), nn.GELU(approximate="tanh"), nn.Linear(channels, channels)
        )

    def forward(self, scalars: Float[Tensor, "N S"]) -> Float[Tensor, "N 1 C"]:
        """Return the token of each observation."""
        token: Tensor = self.layers(scalars)
        return token[:, None]
