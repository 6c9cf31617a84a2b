"""Output queries: what to decode, for the tasks of the paper (Jaegle et al. 2022, section 3.2 and table 6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from perceiver_io.attention import truncated_normal_parameter
from perceiver_io.checks import check_grid
from perceiver_io.execution import is_plain
from perceiver_io.position import FourierFeatures, LearnedPositions


class OutputQueries(nn.Module):
    """A module that gives the queries ``[Q, num_channels]`` of chosen outputs, the same for the whole batch."""

    num_outputs: int
    """Outputs there are to choose from."""
    num_channels: int
    """Channels of each query."""


class LearnedQueries(OutputQueries):
    """One trained vector per output: a class query (one output) or one per position of a text.

    Args:
        num_outputs: outputs.
        channels: channels of each query.
        init_scale: standard deviation at the start.
    """

    def __init__(self, num_outputs: int, channels: int, *, init_scale: float = 0.02) -> None:
        super().__init__()
        self.num_outputs = num_outputs
        self.num_channels = channels
        self.vectors = LearnedPositions(num_outputs, channels, init_scale=init_scale)

    def forward(self, indices: Tensor | None = None) -> Tensor:
        """Return ``[Q, num_channels]`` for output indices ``[Q]``, or of all outputs."""
        vectors: Tensor = self.vectors()
        return vectors if indices is None else vectors[indices]


class FourierQueries(OutputQueries):
    """The Fourier features of points of a grid, made when asked for: for images, video and audio of any size.

    Index i of n along a dimension is at 2 i / n - 1, as in the published models.

    Args:
        output_shape: points along each dimension, such as (frames, height, width).
        num_bands: frequencies per dimension.
        max_resolution: resolution per dimension that sets the highest frequency; the output shape by default.

    Raises:
        ValueError: if a size is not positive or the lengths of the shapes differ.
    """

    like: Tensor

    def __init__(
        self, output_shape: Sequence[int], *, num_bands: int = 64, max_resolution: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        resolution = check_grid("output_shape", output_shape, max_resolution)
        self.output_shape = tuple(output_shape)
        self.num_outputs = math.prod(self.output_shape)
        self.features = FourierFeatures(resolution, num_bands=num_bands)
        self.num_channels = self.features.num_channels
        # Follows the model it is in to its device and precision.
        self.register_buffer("like", torch.empty(0), persistent=False)

    def forward(self, indices: Tensor | None = None) -> Tensor:
        """Return ``[Q, num_channels]`` for flat indices ``[Q]``, last dimension fastest, or of all outputs.

        Raises:
            IndexError: if there is no such output; looked at only where the indices are on the CPU.
        """
        if indices is None:
            indices = torch.arange(self.num_outputs)
        elif indices.device.type == "cpu" and is_plain():
            _check_range(indices, self.num_outputs)
        indices = indices.to(self.like.device)
        coordinates = torch.unravel_index(indices, self.output_shape)
        exact = torch.promote_types(self.like.dtype, torch.float32)
        positions = [2 * along.to(exact) / size - 1 for along, size in zip(coordinates, self.output_shape, strict=True)]
        return self.features.encode(torch.stack(positions, dim=-1)).to(self.like.dtype)


def _check_range(indices: Tensor, num_outputs: int) -> None:
    outside = indices[(indices < 0) | (indices >= num_outputs)]
    if len(outside):
        raise IndexError(f"indices: expected 0 to {num_outputs - 1}, got {outside[0].item()}")


class MultimodalQueries(nn.Module):
    """The queries of each modality, filled up to common channels with a trained vector of that modality.

    Args:
        queries: the queries of each modality.
        min_padding: channels of the trained vector of the widest modality.
        init_scale: standard deviation of the trained vectors at the start.
    """

    def __init__(self, queries: Mapping[str, OutputQueries], *, min_padding: int = 2, init_scale: float = 0.02) -> None:
        super().__init__()
        self.queries = nn.ModuleDict(queries)
        self.num_channels = max(builder.num_channels for builder in queries.values()) + min_padding
        self.output_counts = {name: builder.num_outputs for name, builder in queries.items()}
        self.paddings = nn.ParameterDict(
            {
                name: truncated_normal_parameter((self.num_channels - builder.num_channels,), std=init_scale)
                for name, builder in queries.items()
            }
        )

    def forward(self, name: str, indices: Tensor | None = None) -> Tensor:
        """Return ``[Q, num_channels]`` of one modality, for output indices ``[Q]`` or of all its outputs.

        Raises:
            ValueError: if there is no modality of that name.
        """
        if name not in self.output_counts:
            raise ValueError(f"name: expected one of {list(self.output_counts)}, got {name!r}")
        padding: Tensor = self.paddings[name]
        vectors: Tensor = self.queries[name](indices)
        return torch.cat([vectors, padding.expand(vectors.shape[0], -1)], dim=-1)


def input_queries(tokens: Tensor, indices: Tensor | None = None) -> Tensor:
    """Return ``[B, Q, C]``: the input tokens ``[B, M, C]`` as queries, or those at indices ``[Q]`` (optical flow)."""
    return tokens if indices is None else tokens[:, indices]


def random_indices(
    num_outputs: int,
    num_samples: int,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return ``[num_samples]`` distinct output indices: enough of a very large output to train on.

    Args:
        num_outputs: outputs in all.
        num_samples: indices to draw.
        generator: of the draw, on the same device.
        device: where the indices are made; torch's default device by default.

    Raises:
        ValueError: if there are fewer outputs than samples.
    """
    if not 0 <= num_samples <= num_outputs:
        raise ValueError(f"num_samples: expected from 0 to num_outputs = {num_outputs}, got {num_samples}")
    return torch.randperm(num_outputs, generator=generator, device=device)[:num_samples]


def decode_in_chunks(
    decode: Callable[[Tensor], Tensor], num_outputs: int, chunk_size: int, *, device: torch.device | None = None
) -> Tensor:
    """Return ``[B, num_outputs, O]``, decoded in pieces: outputs don't depend on each other, and memory is bounded.

    Args:
        decode: from output indices ``[Q]`` to outputs ``[B, Q, O]``.
        num_outputs: outputs in all.
        chunk_size: outputs decoded at once.
        device: where the indices are made.

    Raises:
        ValueError: if a size is not positive.
    """
    if num_outputs < 1 or chunk_size < 1:
        raise ValueError(f"num_outputs and chunk_size must be positive, got {num_outputs} and {chunk_size}")
    indices = torch.arange(num_outputs, device=device)
    return torch.cat([decode(chunk) for chunk in indices.split(chunk_size)], dim=1)
