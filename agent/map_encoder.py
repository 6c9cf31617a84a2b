"""Planes and entities -> a coarse feature map and tokens: AlphaStar's spatial encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from agent.interface import EntitySpec
from agent.residual import ConvolutionBlock

MOST_CELLS = 16


class MapEncoder(nn.Module):
    """Read planes, with the entities scattered on them, into a map of at most 16 x 16 cells, and that into tokens.

    The scatter connection adds each entity's token, projected to few channels, to the cell it stands on; convolutions
    halve the map until it is small enough, and residual blocks follow (Vinyals et al. 2019). Each 2 x 2 cells of the
    result are a token.

    Args:
        plane_shape: planes, height, width.
        entities: whose positions are on a grid that covers the same area as the planes.
        channels: of the tokens.
        map_channels: of the feature map.
        num_blocks: residual blocks.
        plane_scales: each plane is divided by its own.
    """

    scales: Tensor

    def __init__(
        self,
        plane_shape: tuple[int, int, int],
        entities: EntitySpec,
        channels: int,
        *,
        map_channels: int,
        num_blocks: int,
        plane_scales: Sequence[float],
    ) -> None:
        super().__init__()
        planes, *self.shape = plane_shape
        self.grid = (entities.height, entities.width)
        self.register_buffer("scales", torch.tensor(plane_scales).view(planes, 1, 1), persistent=False)
        halvings = max(0, math.ceil(math.log2(max(self.shape) / MOST_CELLS)))
        narrow = max(4, map_channels // 4)
        widths = [*(min(map_channels, narrow * 2 ** (step + 1)) for step in range(halvings - 1)), map_channels]
        self.from_planes = nn.Conv2d(planes, narrow, 1)
        self.from_entities = nn.Linear(channels, narrow)
        # Even kernels that halve the map, or one odd kernel where it is small enough.
        self.halves = halvings > 0
        kernel = (4, 2, 1) if self.halves else (3, 1, 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, *kernel) for before, after in zip([narrow, *widths[:-1]], widths, strict=True)
        )
        self.blocks = nn.ModuleList(ConvolutionBlock(map_channels) for _ in range(num_blocks))
        height, width = (-(-side // 2**halvings) for side in self.shape)
        self.to_tokens = nn.Conv2d(map_channels, channels, 2, 2)
        self.position = nn.Parameter(torch.empty(-(-height // 2) * -(-width // 2), channels))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(
        self,
        planes: Float[Tensor, "N P H W"],
        entity_tokens: Float[Tensor, "R C"],
        positions: Int[Tensor, "R 2"],
        entity_sample: Int[Tensor, " R"],
    ) -> tuple[Float[Tensor, "N F h w"], Float[Tensor, "N M C"]]:
        """Return the feature map, and its tokens row by row."""
        # Channels last, so that a cell's channels lie together; the weights are divided, not the far larger planes.
        planes = planes.contiguous(memory_format=torch.channels_last)
        weight = self.from_planes.weight / self.scales
        cells = F.conv2d(planes, weight, self.from_planes.bias).permute(0, 2, 3, 1)
        scattered = cells.flatten(0, 2).index_add(
            0, self._cells(positions, entity_sample), self.from_entities(entity_tokens)
        )
        maps = F.relu(scattered.view(cells.shape).permute(0, 3, 1, 2))
        for convolution in self.convolutions:
            maps = F.relu(convolution(_even(maps) if self.halves else maps))
        for block in self.blocks:
            maps = block(maps)
        tokens = self.to_tokens(F.relu(_even(maps))).flatten(2).transpose(1, 2)
        return maps, tokens + self.position

    def _cells(self, positions: Int[Tensor, "R 2"], entity_sample: Int[Tensor, " R"]) -> Int[Tensor, " R"]:
        """Return the flat cell of the planes that each entity stands on."""
        height, width = self.shape
        row = positions[:, 1] * height // self.grid[0]
        column = positions[:, 0] * width // self.grid[1]
        return (entity_sample * height + row) * width + column


def _even(maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    """Return maps whose odd sides have grown by an empty row or column."""
    height, width = maps.shape[2:]
    return F.pad(maps, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else maps
