"""What a player sees: visible 2, seen before 1, never seen 0, per cell; and where it detects the cloaked."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .facts import CREEP_RADIUS, DETECTORS, NEUTRAL_OWNER, PERMANENTLY_CLOAKED

if TYPE_CHECKING:
    from .unit import Unit
    from .world import World

VISIBLE, SEEN = 2, 1
DETECTION_RADIUS = 11
CONSTRUCTION_SIGHT = 4


@lru_cache(maxsize=64)
def disc(radius: int) -> NDArray[np.bool_]:
    """Return the cells within a radius of the middle one, [2 radius + 1, 2 radius + 1]."""
    offsets = np.arange(-radius, radius + 1) ** 2
    return offsets[:, None] + offsets[None, :] <= radius * radius + 1


def _stamp(grid: NDArray[np.uint8] | NDArray[np.bool_], x: int, y: int, radius: int, value: int | bool) -> None:
    height, width = grid.shape
    x0, x1, y0, y1 = max(0, x - radius), min(width, x + radius + 1), max(0, y - radius), min(height, y + radius + 1)
    mask = disc(radius)[y0 - y + radius : y1 - y + radius, x0 - x + radius : x1 - x + radius]
    grid[y0:y1, x0:x1][mask] = value


def look(world: World) -> None:
    """Bring every human player's visibility and detection up to date."""
    for player in world.players.values():
        grid, detected = player.visibility, player.detected
        if grid is None or detected is None:
            continue
        if not player.human and world.mini_game is not None:
            continue
        sights: set[tuple[int, int, int]] = set()
        detected[:] = False
        for unit in world.units.values():
            if unit.owner != player.id or unit.carrier:
                continue
            x, y = unit.locate(world.loop)
            done = unit.done_at <= world.loop
            sights.add((int(x), int(y), int(unit.facts.sight) if done else CONSTRUCTION_SIGHT))
            if done and unit.type in DETECTORS:
                _stamp(detected, int(x), int(y), DETECTION_RADIUS, True)
        np.minimum(grid, SEEN, out=grid)
        if player.human:
            for x, y, radius in sights:
                _stamp(grid, x, y, radius, VISIBLE)
    _spread_creep(world)
    _remember(world)
    for unit in world.units.values():
        unit.cloaked = unit.type in PERMANENTLY_CLOAKED and unit.done_at <= world.loop


def is_visible(grid: NDArray[np.uint8], unit: Unit) -> bool:
    """Return whether a unit stands where a player sees now."""
    return bool(
        grid[min(grid.shape[0] - 1, max(0, int(unit.y))), min(grid.shape[1] - 1, max(0, int(unit.x)))] == VISIBLE
    )


def _spread_creep(world: World) -> None:
    """Draw the creep around every finished source."""
    sources = {
        (int(unit.x), int(unit.y), int(CREEP_RADIUS[unit.type]))
        for unit in world.units.values()
        if unit.type in CREEP_RADIUS and unit.done_at <= world.loop
    }
    if sources != world.creep_sources:
        world.creep_sources = sources
        world.creep[:] = 0
        for x, y, radius in sources:
            _stamp(world.creep, x, y, radius, 1)


def _remember(world: World) -> None:
    """Keep the structures that a player has seen, and forget those that it sees gone."""
    players = [player for player in world.players.values() if player.human]
    for player in players:
        grid = player.visibility
        if grid is None:
            continue
        for unit in world.units.values():
            foreign = unit.owner not in (player.id, NEUTRAL_OWNER)
            if foreign and unit.facts.structure and is_visible(grid, unit):
                player.snapshots[unit.tag] = unit
        gone = [tag for tag, unit in player.snapshots.items() if not unit.alive and is_visible(grid, unit)]
        for tag in gone:
            del player.snapshots[tag]
