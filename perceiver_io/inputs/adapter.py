"""What all input adapters share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InputAdapter(nn.Module):
    """A module from one kind of raw input to tokens ``[B, M, num_channels]``."""

    num_tokens: int
    """Tokens of one input, M; where the length varies, the most there can be."""
    num_channels: int
    """Channels of each token."""


def append_positions(features: Tensor, positions: Tensor) -> Tensor:
    """Return ``[B, M, C + P]``: features ``[B, M, C]``, each followed by its position ``[M, P]``."""
    expanded = positions.to(features.dtype).expand(features.shape[0], -1, -1)
    return torch.cat([features, expanded], dim=-1)
