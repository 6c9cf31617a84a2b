"""Feature layers: the minimap and the screen, painted from what a player sees, and a plain picture for `render`."""

from __future__ import annotations

from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .facts import NEUTRAL_OWNER
from .raw_units import HIDDEN, VISIBLE

if TYPE_CHECKING:
    from s2clientprotocol import spatial_pb2

    from .observation import View
    from .unit import Unit

Array = NDArray[Any]
SELF, NEUTRAL, ENEMY = 1, 3, 4
_COLOURS = np.array([[0, 0, 0], [0, 200, 0], [0, 200, 200], [90, 90, 200], [220, 40, 40]], np.uint8)


def put(image: Any, grid: Array, bits: int) -> None:
    """Write a grid into an ImageData message; one-bit images are packed, the first pixel in the highest bit."""
    image.bits_per_pixel = bits
    image.size.y, image.size.x = grid.shape
    if bits == 1:
        image.data = np.packbits(grid != 0).tobytes()
    else:
        image.data = np.ascontiguousarray(grid, dtype=np.uint8 if bits == 8 else np.int32).tobytes()


@lru_cache(maxsize=256)
def _empty(width: int, height: int, bits: int) -> bytes:
    return bytes((width * height + 7) // 8) if bits == 1 else bytes(width * height * bits // 8)


class Canvas:
    """A rectangle of the map drawn on pixels: row 0 at the top, the same scale on both axes.

    Args:
        width, height: in pixels.
        left, top: the map point at the upper left corner.
        scale: pixels per map cell.
    """

    def __init__(self, width: int, height: int, left: float, top: float, scale: float):
        self.width, self.height, self.left, self.top, self.scale = width, height, left, top, scale

    def box(self, unit: Unit, smallest: float = 0.5) -> tuple[slice, slice] | None:
        """Return the pixels that a unit covers, or None if it lies outside."""
        reach = max(smallest, unit.facts.radius * self.scale)
        x, y = (unit.x - self.left) * self.scale, (self.top - unit.y) * self.scale
        x0, y0 = floor(x - reach + 0.5), floor(y - reach + 0.5)
        x1, y1 = min(self.width, max(x0 + 1, int(x + reach + 0.5))), min(self.height, max(y0 + 1, int(y + reach + 0.5)))
        x0, y0 = max(0, x0), max(0, y0)
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None

    def to_world(self, x: float, y: float) -> tuple[float, float]:
        """Return the map point in the middle of a pixel."""
        return self.left + (x + 0.5) / self.scale, self.top - (y + 0.5) / self.scale

    def to_pixel(self, x: float, y: float) -> tuple[int, int]:
        """Return the pixel of a map point."""
        return int((x - self.left) * self.scale), int((self.top - y) * self.scale)

    def gather(self, grid: Array) -> Array:
        """Return a map grid (row 0 at the bottom) drawn on the pixels; 0 outside the map."""
        height, width = grid.shape
        columns = np.floor(self.left + (np.arange(self.width) + 0.5) / self.scale).astype(int)
        rows = np.floor(self.top - (np.arange(self.height) + 0.5) / self.scale).astype(int)
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None, :]
        drawn = grid[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)[None, :]]
        return np.where(inside, drawn, 0).astype(grid.dtype)


def relation(view: View, unit: Unit) -> int:
    """Return the value of the `player_relative` layer for a unit."""
    if unit.owner == view.player.id:
        return SELF
    return NEUTRAL if unit.owner == NEUTRAL_OWNER else ENEMY


class Minimap:
    """The minimap: the map (or its playable area) from the upper left corner of the image."""

    def __init__(self, view: View):
        self.view = view
        layer, terrain = view.options.feature_layer, view.world.terrain
        size = layer.minimap_resolution
        x0, y0, x1, y1 = terrain.playable if layer.crop_to_playable_area else (0, 0, terrain.width, terrain.height)
        scale = max(size.x, size.y) / max(x1 - x0, y1 - y0)
        self.canvas = Canvas(size.x, size.y, x0, y1, scale)
        if size.x and size.y:
            self._height = self.canvas.gather(terrain.elevation)
            self._pathable = self.canvas.gather(terrain.pathable)
            self._buildable = self.canvas.gather(terrain.placeable)

    def paint(self, message: spatial_pb2.FeatureLayersMinimap, shown: list[tuple[Unit, int]]) -> None:
        """Fill in the layers."""
        view, canvas = self.view, self.canvas
        if not canvas.width or not canvas.height:
            return
        shape = (canvas.height, canvas.width)
        owner, relative, selected = (np.zeros(shape, np.uint8) for _ in range(3))
        types = np.zeros(shape, np.int32) if view.options.feature_layer.allow_cheating_layers else None
        for unit, display in reversed(shown):
            box = canvas.box(unit) if display != HIDDEN or unit.cloaked else None
            if box is None:
                continue
            owner[box], relative[box] = unit.owner, relation(view, unit)
            if unit.selected and unit.owner == view.player.id:
                selected[box] = 1
            if types is not None:
                types[box] = unit.type
        put(message.height_map, self._height, 8)
        put(message.visibility_map, canvas.gather(view.visibility()), 8)
        put(message.creep, canvas.gather(view.world.creep), 1)
        put(message.camera, self._camera(), 1)
        put(message.player_id, owner, 8)
        put(message.player_relative, relative, 8)
        put(message.selected, selected, 1)
        put(message.alerts, self._alerts(shown), 1)
        put(message.pathable, self._pathable, 1)
        put(message.buildable, self._buildable, 1)
        if types is not None:
            put(message.unit_type, types, 32)

    def _camera(self) -> Array:
        grid = np.zeros((self.canvas.height, self.canvas.width), np.uint8)
        x, y = self.view.player.camera
        left, top = self.canvas.to_pixel(x - self.view.half_width, y + self.view.half_height)
        right, bottom = self.canvas.to_pixel(x + self.view.half_width, y - self.view.half_height)
        grid[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 1
        return grid

    def _alerts(self, shown: list[tuple[Unit, int]]) -> Array:
        grid = np.zeros((self.canvas.height, self.canvas.width), np.uint8)
        for unit, _ in shown:
            recent = self.view.world.loop - unit.under_attack_at < 32
            if unit.owner == self.view.player.id and recent and (box := self.canvas.box(unit)) is not None:
                grid[box] = 1
        return grid


_SCREEN_UNIT_LAYERS = {
    "player_id": 8,
    "unit_type": 32,
    "selected": 1,
    "unit_hit_points": 32,
    "unit_hit_points_ratio": 8,
    "unit_energy": 32,
    "unit_energy_ratio": 8,
    "unit_shields": 32,
    "unit_shields_ratio": 8,
    "player_relative": 8,
    "unit_density": 8,
    "unit_density_aa": 8,
    "hallucinations": 1,
    "cloaked": 1,
    "buffs": 32,
    "buff_duration": 8,
    "active": 1,
    "build_progress": 8,
}
_EMPTY_LAYERS = {"blip": 1, "placeholder": 32, "power": 1}


class Screen:
    """The screen: the camera's view, from straight above."""

    def __init__(self, view: View):
        self.view = view
        self.size = view.options.feature_layer.resolution

    @property
    def canvas(self) -> Canvas:
        """The canvas at the camera's present place."""
        view = self.view
        scale = self.size.x / (2 * view.half_width)
        x, y = view.player.camera
        return Canvas(self.size.x, self.size.y, x - view.half_width, y + view.half_height, scale)

    def paint(self, message: spatial_pb2.FeatureLayers, shown: list[tuple[Unit, int]]) -> None:
        """Fill in the layers; a screen of one pixel (raw agents ask for that) is left out."""
        if self.size.x <= 1 or self.size.y <= 1:
            return
        view, canvas, world = self.view, self.canvas, self.view.world
        grids = {name: np.zeros((canvas.height, canvas.width), np.int32) for name in _SCREEN_UNIT_LAYERS}
        for unit, display in reversed(shown):
            box = canvas.box(unit)
            if box is None or (display == HIDDEN and not unit.cloaked):
                continue
            for name, value in self._values(unit, display).items():
                grids[name][box] = value
            grids["unit_density"][box] += 1
            grids["unit_density_aa"][box] += 16
        for name, bits in _SCREEN_UNIT_LAYERS.items():
            put(getattr(message, name), np.minimum(grids[name], 255) if bits == 8 else grids[name], bits)
        put(message.height_map, canvas.gather(world.terrain.elevation), 8)
        put(message.visibility_map, canvas.gather(view.visibility()), 8)
        put(message.creep, canvas.gather(world.creep), 1)
        put(message.pathable, canvas.gather(world.terrain.pathable), 1)
        put(message.buildable, canvas.gather(world.terrain.placeable), 1)
        put(message.effects, self._effects(canvas), 8)
        for name, bits in _EMPTY_LAYERS.items():
            image = getattr(message, name)
            image.bits_per_pixel, image.size.x, image.size.y = bits, canvas.width, canvas.height
            image.data = _empty(canvas.width, canvas.height, bits)

    def _values(self, unit: Unit, display: int) -> dict[str, int]:
        """Return what a unit paints into each layer."""
        view, loop = self.view, self.view.world.loop
        relative = relation(view, unit)
        values = {"player_id": unit.owner, "unit_type": unit.type, "player_relative": relative}
        values["cloaked"] = int(unit.cloaked)
        values["selected"] = int(unit.selected and relative == SELF)
        if display != VISIBLE:
            return {**values, "unit_hit_points": 0, "unit_shields": 0}
        facts = unit.facts
        pairs = (
            ("unit_hit_points", unit.health, facts.health),
            ("unit_shields", unit.shield, facts.shield),
            ("unit_energy", unit.energy_now(loop), facts.energy),
        )
        for name, now, most in pairs:
            values[name] = int(now)
            values[f"{name}_ratio"] = int(255 * now / most) if most else 0
        values["active"] = int(bool(unit.orders))
        values["build_progress"] = int(100 * unit.build_progress(loop))
        values["hallucinations"] = int(unit.hallucination and relative == SELF)
        values["buffs"] = next(iter(unit.buffs), 0)
        return values

    def _effects(self, canvas: Canvas) -> Array:
        grid = np.zeros((canvas.height, canvas.width), np.uint8)
        rows, columns = np.mgrid[0 : canvas.height, 0 : canvas.width]
        for effect, _, x, y, radius, _ in self.view.world.effects:
            px, py = (x - canvas.left) * canvas.scale, (canvas.top - y) * canvas.scale
            grid[np.hypot(columns + 0.5 - px, rows + 0.5 - py) <= radius * canvas.scale] = effect
        return grid


def render(view: View, message: Any, shown: list[tuple[Unit, int]]) -> None:
    """Fill in `render_data`: terrain in grey, units as coloured boxes. Nothing like the game's own pictures."""
    size, small = view.options.render.resolution, view.options.render.minimap_resolution
    terrain = view.world.terrain
    x, y = view.player.camera
    width = view.options.render.width or 2 * view.half_width
    ratio = size.y / max(1, size.x)
    camera = Canvas(size.x, size.y, x - width / 2, y + width * ratio / 2, size.x / width)
    whole = max(small.x, small.y) / max(terrain.width, terrain.height)
    pictures = ((message.map, camera), (message.minimap, Canvas(small.x, small.y, 0, terrain.height, whole)))
    for image, canvas in pictures:
        picture = np.repeat((canvas.gather(terrain.elevation) // 2)[:, :, None], 3, axis=2)
        for unit, _ in reversed(shown):
            box = canvas.box(unit)
            if box is not None:
                picture[box] = _COLOURS[relation(view, unit)]
        image.bits_per_pixel = 24
        image.size.y, image.size.x = picture.shape[:2]
        image.data = picture.astype(np.uint8).tobytes()
