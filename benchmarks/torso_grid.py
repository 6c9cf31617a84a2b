"""Times of the torsos at one size, and over the number of entities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from timing import Times, interleaved, medians
from torch import nn
from torso_peers import NESTED, TRANSFORMER
from torso_place import Call, Place

SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
GRID_BATCH = 4
LARGEST_QUADRATIC = 4096
Grid = dict[int, dict[str, float]]


def fits(name: str, size: int) -> bool:
    """Return whether a torso is measured at a number of entities: quadratic ones stop before memory does."""
    return size <= LARGEST_QUADRATIC or name not in (TRANSFORMER, NESTED)


def timed(torsos: dict[str, nn.Module], make: Callable[..., Call], seconds: float, place: Place, **shape: Any) -> Times:
    """Return the times of all torsos on the same lists."""
    return interleaved({name: make(torso, place, **shape) for name, torso in torsos.items()}, seconds=seconds)


def by_size(
    torsos: dict[str, nn.Module], make: Callable[..., Call], seconds: float, place: Place, *, quarter: bool
) -> Grid:
    """Return median seconds of a batch by number of entities."""
    grid = {}
    for size in SIZES:
        fitting = {name: torso for name, torso in torsos.items() if fits(name, size)}
        times = timed(fitting, make, seconds, place, batch=GRID_BATCH, entities=size, quarter=quarter)
        grid[size] = medians(times)
    return grid


def growth_exponent(grid: Grid, name: str, *, first: int) -> float:
    """Return the slope of log time over log entities from a size on, by least squares."""
    points = [(math.log(size), math.log(times[name])) for size, times in grid.items() if size >= first]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
