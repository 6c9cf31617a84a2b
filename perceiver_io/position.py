"""Position encodings: Fourier features and learned vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perceiver_io.attention import truncated_normal_parameter
from perceiver_io.checks import check_grid, check_resolution


class FourierFeatures(nn.Module):
    """Sine and cosine features of positions in [-1, 1] (Jaegle et al. 2022, appendix D).

    For each of d dimensions there are K frequencies f, linearly spaced from 1 to half the resolution; the channels are
    the d positions x, then sin(pi f x) for every dimension and frequency, then cos(pi f x): d (2 K + 1) in all.

    Args:
        max_resolution: resolution per dimension, which sets the highest frequency.
        num_bands: frequencies per dimension, K.
        concat_positions: put the positions themselves before the features.

    Raises:
        ValueError: if a size is not positive.
    """

    def __init__(self, max_resolution: Sequence[int], *, num_bands: int = 64, concat_positions: bool = True) -> None:
        super().__init__()
        check_resolution("max_resolution", max_resolution)
        if num_bands < 1:
            raise ValueError(f"num_bands: expected at least 1, got {num_bands}")
        self.num_dimensions = len(max_resolution)
        self.concat_positions = concat_positions
        self.num_channels = self.num_dimensions * (2 * num_bands + int(concat_positions))
        self.max_resolution = tuple(max_resolution)
        self.num_bands = num_bands

    def encode(self, positions: Tensor) -> Tensor:
        """Return features ``[..., num_channels]`` of positions ``[..., d]`` in [-1, 1], in float32 at least.

        Raises:
            ValueError: if the last axis does not hold one position per dimension.
        """
        if positions.dim() == 0 or positions.shape[-1] != self.num_dimensions:
            raise ValueError(
                f"positions: expected shape [..., {self.num_dimensions}], one per dimension, got "
                f"{list(positions.shape)}"
            )
        # No buffer: a module of half precision would round the frequencies, and shift distant positions by whole waves.
        positions = positions.to(torch.promote_types(positions.dtype, torch.float32))
        make: dict[str, Any] = {"device": positions.device, "dtype": positions.dtype}
        bands = torch.stack([torch.linspace(1.0, size / 2.0, self.num_bands, **make) for size in self.max_resolution])
        angles = math.pi * (positions.unsqueeze(-1) * bands).flatten(-2)
        parts = [angles.sin(), angles.cos()]
        return torch.cat([positions, *parts] if self.concat_positions else parts, dim=-1)


class FourierPositions(FourierFeatures):
    """:class:`FourierFeatures` of every point of a grid whose corners are at -1 and 1.

    Args:
        index_shape: points along each dimension of the grid, such as (height, width).
        num_bands: frequencies per dimension, K.
        max_resolution: resolution per dimension that sets the highest frequency; the index shape by default.
        concat_positions: put the positions themselves before the features.

    Raises:
        ValueError: if a size is not positive or the lengths of the shapes differ.
    """

    features: Tensor

    def __init__(
        self,
        index_shape: Sequence[int],
        *,
        num_bands: int = 64,
        max_resolution: Sequence[int] | None = None,
        concat_positions: bool = True,
    ) -> None:
        resolution = check_grid("index_shape", index_shape, max_resolution)
        super().__init__(resolution, num_bands=num_bands, concat_positions=concat_positions)
        self.index_shape = tuple(index_shape)
        axes = [torch.linspace(-1.0, 1.0, size) for size in self.index_shape]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)
        self.register_buffer("features", self.encode(grid), persistent=False)

    def forward(self) -> Tensor:
        """Return ``[M, num_channels]``: the features of every grid point, last dimension fastest."""
        return self.features


class LearnedPositions(nn.Module):
    """One trained vector per position, drawn from a truncated normal.

    Args:
        num_positions: positions, M.
        channels: channels of each vector.
        init_scale: standard deviation at the start.
    """

    def __init__(self, num_positions: int, channels: int, *, init_scale: float = 0.02) -> None:
        super().__init__()
        if num_positions < 1 or channels < 1:
            raise ValueError(f"num_positions and channels must be positive, got {num_positions} and {channels}")
        self.num_channels = channels
        self.positions = truncated_normal_parameter((num_positions, channels), std=init_scale)

    def forward(self) -> Tensor:
        """Return ``[M, channels]``."""
        return self.positions
