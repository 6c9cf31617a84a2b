"""Generated maps: grids, bases and start positions, the same from both sides (half a turn about the middle).

There are no cliffs between two points of the playable area, so a straight line is always a path.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .facts import GEYSER, MINERAL_FIELD, SMALL_MINERAL_FIELD

Point = tuple[float, float]
Grid = NDArray[np.uint8]

_GROUND, _PLATEAU = 140, 172
_MINERALS = ((-7.5, 1), (-7.5, -1), (-6.5, -3), (-5.5, -5), (-3.5, -6), (-1.5, -7), (0.5, -7), (2.5, -6))
_GEYSERS = ((-7.0, 4.0), (-2.0, 7.0))
_BASES = ((0.25, 0.27), (0.25, 0.62), (0.52, 0.16), (0.42, 0.4), (0.16, 0.88), (0.46, 0.72), (0.84, 0.14))
"""Bases of one side as parts of the playable area; the main base first."""


@dataclass(frozen=True)
class Base:
    """A place for a town hall, with its resources as (unit type, x, y)."""

    position: Point
    resources: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class Terrain:
    """One map. Grids are [height, width], row 0 at the bottom; areas are (x0, y0, x1, y1)."""

    name: str
    width: int
    height: int
    playable: tuple[int, int, int, int]
    elevation: Grid
    pathable: Grid
    placeable: Grid
    starts: tuple[Point, ...]
    bases: tuple[Base, ...]

    def ground(self, x: float, y: float) -> float:
        """Return the ground's height at a point, in cells."""
        column = min(self.width - 1, max(0, int(x)))
        row = min(self.height - 1, max(0, int(y)))
        return -16.0 + 32.0 * float(self.elevation[row, column]) / 255.0

    def clamp(self, x: float, y: float) -> Point:
        """Return the nearest point that units can stand on."""
        x0, y0, x1, y1 = self.playable
        return min(max(x, x0 + 0.5), x1 - 0.5), min(max(y, y0 + 0.5), y1 - 0.5)


def _base(x: float, y: float, middle: Point) -> Base:
    sign_x = 1 if x < middle[0] else -1
    sign_y = 1 if y < middle[1] else -1
    resources = [
        (MINERAL_FIELD if k % 2 else SMALL_MINERAL_FIELD, x + sign_x * dx, y + sign_y * dy)
        for k, (dx, dy) in enumerate(_MINERALS)
    ]
    resources += [(GEYSER, x + sign_x * dx, y + sign_y * dy) for dx, dy in _GEYSERS]
    return Base((x, y), tuple(resources))


def _elevation(width: int, height: int, bases: tuple[Base, ...], seed: int) -> Grid:
    """Return smooth hills with a plateau under every base, equal under half a turn."""
    rows, columns = np.mgrid[0:height, 0:width]
    random = np.random.default_rng(seed)
    hills = np.zeros((height, width))
    for _ in range(4):
        kx, ky, phase = random.uniform(0.02, 0.12), random.uniform(0.02, 0.12), random.uniform(0, 6.28)
        hills += 4.0 * np.cos(kx * columns + ky * rows + phase)
    hills = (hills + hills[::-1, ::-1]) / 2 + _GROUND
    for base in bases:
        distance = np.hypot(columns + 0.5 - base.position[0], rows + 0.5 - base.position[1])
        hills = np.where(distance < 13, _PLATEAU, np.where(distance < 17, np.maximum(hills, 156), hills))
    return np.round(hills).astype(np.uint8)


def _build(name: str, size: tuple[int, int], playable: tuple[int, int, int, int], bases_each: int) -> Terrain:
    width, height = size
    x0, y0, x1, y1 = playable
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    half = []
    for fx, fy in _BASES[:bases_each]:
        half.append((np.floor(x0 + fx * (x1 - x0)) + 0.5, np.floor(y0 + fy * (y1 - y0)) + 0.5))
    points = [(float(x), float(y)) for x, y in half]
    points += [(x0 + x1 - x, y0 + y1 - y) for x, y in points]
    bases = tuple(_base(x, y, middle) for x, y in points)
    pathable = np.zeros((height, width), np.uint8)
    pathable[y0:y1, x0:x1] = 1
    placeable = np.zeros((height, width), np.uint8)
    placeable[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = 1
    for base in bases:
        for kind, x, y in base.resources:
            reach = 2 if kind == GEYSER else 1
            placeable[int(y) - reach : int(y) + reach + 1, int(x) - reach : int(x) + reach + 1] = 0
            if kind != GEYSER:
                pathable[int(y), int(x) - 1 : int(x) + 1] = 0
    elevation = _elevation(width, height, bases, zlib.crc32(name.encode()))
    starts = (points[0], points[bases_each]) if bases_each else ()
    return Terrain(name, width, height, playable, elevation, pathable, placeable, starts, bases)


_MINI_GAME_BASES = {"BuildMarines": 1, "CollectMineralsAndGas": 2}
MINI_GAMES = (
    "BuildMarines",
    "CollectMineralsAndGas",
    "CollectMineralShards",
    "DefeatRoaches",
    "DefeatZerglingsAndBanelings",
    "FindAndDefeatZerglings",
    "MoveToBeacon",
)


def generate(name: str) -> Terrain:
    """Return the map of this name: Flat64, Simple96, a mini-game, or a ladder map of a size drawn from its name."""
    if name in MINI_GAMES:
        bases = _MINI_GAME_BASES.get(name, 0)
        return _build(name, (88, 96), (12, 16, 76, 80), bases) if bases else _build(name, (64, 64), (16, 18, 48, 46), 0)
    for family, bases in (("32", 1), ("48", 1), ("64", 2), ("96", 3), ("128", 5)):
        if name in (f"Flat{family}", f"Simple{family}"):
            side = int(family)
            margin = (12, 16)
            size = (side + 2 * margin[0], side + 2 * margin[1])
            return _build(name, size, (*margin, margin[0] + side, margin[1] + side), bases)
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    width, height = (int(side) for side in 8 * draw.integers(17, 23, size=2))
    return _build(name, (width, height), (14, 14, width - 14, height - 14), len(_BASES))
