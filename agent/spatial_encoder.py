"""Map planes -> tokens, and the entities around each unit -> a part of its query."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from agent.interface import EntitySpec


class PlaneEncoder(nn.Module):
    """Cut the planes into at most `most_patches` x `most_patches` patches; a patch's token is embedding plus position.

    Args:
        plane_shape: planes, height, width.
        plane_scales: each plane is divided by its own.
    """

    scales: Tensor

    def __init__(
        self,
        plane_shape: tuple[int, int, int],
        channels: int,
        *,
        plane_scales: Sequence[float] | None = None,
        most_patches: int = 8,
    ) -> None:
        super().__init__()
        planes, height, width = plane_shape
        scales = torch.tensor(plane_scales or [1.0] * planes).view(planes, 1, 1)
        self.register_buffer("scales", scales, persistent=False)
        self.patch = (-(-height // most_patches), -(-width // most_patches))
        rows, columns = -(-height // self.patch[0]), -(-width // self.patch[1])
        self.padding = (0, columns * self.patch[1] - width, 0, rows * self.patch[0] - height)
        self.embed = nn.Conv2d(planes, channels, self.patch, self.patch)
        self.position = nn.Parameter(torch.empty(rows * columns, channels))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, planes: Float[Tensor, "N P H W"]) -> Float[Tensor, "N M C"]:
        """Return the tokens of each observation, row by row."""
        patches: Tensor = self.embed(F.pad(planes / self.scales, self.padding)).flatten(2).transpose(1, 2)
        return patches + self.position


class NeighbourhoodEncoder(nn.Module):
    """AlphaStar's scatter connection, read only where a unit stands.

    Entity tokens, projected to few channels, are placed on the map at their cells; a (2r+1) x (2r+1) convolution over
    that map is computed at the deciding units alone. Cells outside the map and blocked cells read a learned vector,
    empty cells zero. Where two entities share a cell, the later one is read.
    """

    window: Tensor

    def __init__(self, spec: EntitySpec, channels: int, radius: int, scattered_channels: int) -> None:
        super().__init__()
        self.radius = radius
        self.size = (spec.height + 2 * radius, spec.width + 2 * radius)
        side = torch.arange(2 * radius + 1)
        self.register_buffer("window", (side[:, None] * self.size[1] + side).flatten(), persistent=False)
        self.scatter = nn.Linear(channels, scattered_channels)
        self.blocked = nn.Parameter(torch.empty(scattered_channels))
        nn.init.trunc_normal_(self.blocked, std=1.0)
        self.gather = nn.Linear(len(self.window) * scattered_channels, channels)

    def forward(
        self,
        tokens: Float[Tensor, "R C"],
        positions: Int[Tensor, "R 2"],
        entity_sample: Int[Tensor, " R"],
        units: Int[Tensor, " X"],
        blocked: Float[Tensor, "N H W"] | None,
        batch_size: int,
    ) -> Float[Tensor, "X C"]:
        """Return the neighbourhood of each unit (rows of the entities) as a query part."""
        empty, wall = len(tokens), len(tokens) + 1
        cells = tokens.new_full((batch_size, *self.size), wall, dtype=torch.int64)
        inside = cells[:, self.radius : self.size[0] - self.radius, self.radius : self.size[1] - self.radius]
        if blocked is None:
            inside.fill_(empty)
        else:
            inside.copy_(torch.where(blocked > 0, wall, empty))
        corner = (entity_sample * self.size[0] + positions[:, 1]) * self.size[1] + positions[:, 0]
        centre = corner + self.radius * (self.size[1] + 1)
        rows = torch.arange(len(tokens), device=tokens.device)
        # The largest row wins on every device; plain assignment leaves shared cells to chance on a GPU.
        cells = cells.flatten().scatter_reduce(0, centre, rows, "amax", include_self=False)
        neighbours = cells[corner[units][:, None] + self.window]
        table = torch.cat([self.scatter(tokens), self.blocked.new_zeros(1, len(self.blocked)), self.blocked[None]])
        # Indexed plainly, a GPU would add up the gradients of the many empty cells one by one.
        gathered: Tensor = self.gather(F.embedding(neighbours, table, padding_idx=empty).flatten(1))
        return gathered
