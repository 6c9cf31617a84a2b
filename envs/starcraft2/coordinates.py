"""World coordinates of StarCraft II to cells of a fixed grid and back, as pysc2's raw interface transforms them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID_SIZE = 256
"""Side of the grid of entity positions and target points (AlphaStar's)."""


class Grid:
    """A grid over a map: row 0 at the top, both axes in one scale, anchored at the map's top left corner.

    The longer side of the map fills the grid; on maps that are not square the cells beyond the shorter side are unused.
    The arithmetic is that of pysc2 at `raw_resolution=(width, height)`, in double precision.

    Attributes:
        map_width, map_height: size of the map in world units, `start_raw.map_size`; under
            `raw_crop_to_playable_area` that of the playable area, whose corner is then the game's origin.
        width, height: size of the grid in cells.
        scale: cells per world unit along x and y, float64 [2].
    """

    def __init__(self, map_size: Any, resolution: tuple[int, int] = (GRID_SIZE, GRID_SIZE)) -> None:
        """Lay a grid of `resolution` (width, height) cells over a map.

        Args:
            map_size: (width, height), or a message with `x` and `y`.

        Raises:
            ValueError: if a side of the map or of the grid is not positive.
        """
        size = (map_size.x, map_size.y) if hasattr(map_size, "x") else tuple(map_size)
        if len(size) != 2 or min(*size, *resolution) <= 0:
            raise ValueError(
                f"a map and its grid need two positive sides, got map_size {size} and resolution {resolution}; "
                "start_raw.map_size is set where the game was joined with the raw interface"
            )
        self.map_width, self.map_height = float(size[0]), float(size[1])
        self.width, self.height = int(resolution[0]), int(resolution[1])
        self.scale = np.asarray(resolution, np.float64) / max(self.map_width, self.map_height)

    @property
    def extent(self) -> tuple[int, int]:
        """Number of columns and rows that the map covers."""
        columns, rows = np.ceil(np.asarray([self.map_width, self.map_height]) * self.scale - 1e-9).astype(int)
        return int(columns), int(rows)

    def project(self, world: NDArray[Any]) -> NDArray[np.int64]:
        """Return the cells [N, 2] (x, y) of world positions [N, 2], not bound to the grid: what `raw_units` holds.

        A unit on the map's lower edge lies in row `height`, one below the grid.
        """
        positions = np.array(world, np.float64).reshape(-1, 2)
        positions[:, 1] = self.map_height - positions[:, 1]
        return np.floor(positions * self.scale).astype(np.int64)

    def to_cells(self, world: NDArray[Any]) -> NDArray[np.int32]:
        """Return the nearest cells of the grid, int32 [N, 2] (x, y), to world positions [N, 2]."""
        cells: NDArray[np.int64] = np.clip(self.project(world), 0, (self.width - 1, self.height - 1))
        return cells.astype(np.int32)

    def to_world(self, cells: NDArray[Any]) -> NDArray[np.float32]:
        """Return the world positions float32 [N, 2] of the centres of cells [N, 2] (x, y)."""
        positions = (np.array(cells, np.float64).reshape(-1, 2) + 0.5) / self.scale
        positions[:, 1] = self.map_height - positions[:, 1]
        return positions.astype(np.float32)

    def __repr__(self) -> str:
        """Return a short description."""
        return f"Grid({self.map_width:g} x {self.map_height:g} world units, {self.width} x {self.height} cells)"
