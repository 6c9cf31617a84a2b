"""Smooth shapes on a board of cells: drawn at three times the size, then scaled down."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import GameNotFoundError

Colour = tuple[int, int, int]
Point = tuple[float, float]
_SCALE = 3


def blend(colour: Colour, other: Colour, share: float) -> Colour:
    """Return a mixture with `share` of the first colour."""
    red, green, blue = (round(share * a + (1 - share) * b) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _pillow(module: str) -> Any:
    try:
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError as error:
        raise GameNotFoundError("pictures need Pillow; install it with: pip install pillow") from error
    return getattr(PIL, module)


@functools.lru_cache(maxsize=64)
def _font(size: int) -> Any:
    return _pillow("ImageFont").load_default(size)


class Canvas:
    """A picture with a board on it. Methods take cells (0, 0 is the board's upper left), pixel_ methods take pixels.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        cell: side of a cell, in pixels.
        origin: the board's upper left corner, in pixels.
        background: colour of everything not drawn on.
    """

    def __init__(self, width: int, height: int, cell: int, origin: tuple[int, int], background: Colour) -> None:
        self.width = width
        self.height = height
        self._cell = cell * _SCALE
        self._origin = (origin[0] * _SCALE, origin[1] * _SCALE)
        self._image = _pillow("Image").new("RGB", (width * _SCALE, height * _SCALE), background)
        self._draw = _pillow("ImageDraw").Draw(self._image)

    def copy(self) -> Canvas:
        """Return a canvas to draw on that starts as this one."""
        other = copy.copy(self)
        other._image = self._image.copy()
        other._draw = _pillow("ImageDraw").Draw(other._image)
        return other

    def to_array(self) -> NDArray[np.uint8]:
        """Return the picture, uint8 [height, width, 3]."""
        small = self._image.resize((self.width, self.height), _pillow("Image").Resampling.BOX)
        return np.array(small, np.uint8)

    def _at(self, point: Point) -> Point:
        return self._origin[0] + point[0] * self._cell, self._origin[1] + point[1] * self._cell

    def _width(self, width: float) -> int:
        return max(1, round(width * self._cell))

    def box(
        self, start: Point, end: Point, *, fill: Colour, radius: float = 0.0, outline: Colour | None = None
    ) -> None:
        """Draw a rectangle with rounded corners."""
        corners = [self._at(start), (self._at(end)[0] - 1, self._at(end)[1] - 1)]
        if corners[1][0] < corners[0][0] or corners[1][1] < corners[0][1]:
            return
        self._draw.rounded_rectangle(corners, radius * self._cell, fill=fill, outline=outline, width=self._width(0.035))

    def circle(
        self,
        centre: Point,
        radius: float,
        *,
        fill: Colour,
        outline: Colour | None = None,
        outline_width: float = 0.035,
    ) -> None:
        """Draw a disc."""
        (x, y), r = self._at(centre), radius * self._cell
        self._draw.ellipse([x - r, y - r, x + r, y + r], fill=fill, outline=outline, width=self._width(outline_width))

    def polygon(self, points: Sequence[Point], *, fill: Colour, outline: Colour | None = None) -> None:
        """Draw a filled polygon."""
        corners = [self._at(point) for point in points]
        self._draw.polygon(corners, fill=fill)
        if outline is not None:
            self._draw.line([*corners, corners[0], corners[1]], fill=outline, width=self._width(0.035), joint="curve")

    def regular_polygon(
        self, centre: Point, radius: float, *, sides: int, fill: Colour, outline: Colour | None = None
    ) -> None:
        """Draw a regular polygon with a corner at the top."""
        turns = [2 * math.pi * k / sides for k in range(sides)]
        points = [(centre[0] + radius * math.sin(turn), centre[1] - radius * math.cos(turn)) for turn in turns]
        self.polygon(points, fill=fill, outline=outline)

    def line(self, start: Point, end: Point, colour: Colour, *, width: float) -> None:
        """Draw a line with round ends."""
        self._draw.line([self._at(start), self._at(end)], fill=colour, width=self._width(width))
        for point in (start, end):
            self.circle(point, width / 2, fill=colour)

    def arc(self, centre: Point, radius: float, share: float, colour: Colour, *, width: float) -> None:
        """Draw a share of a circle's line, clockwise from the top."""
        (x, y), r = self._at(centre), radius * self._cell
        if share > 0:
            end = -90 + 360 * min(1.0, share)
            self._draw.arc([x - r, y - r, x + r, y + r], -90, end, fill=colour, width=self._width(width))

    def burst(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draw a star of eight rays."""
        for k in range(8):
            turn = math.pi * k / 4
            x, y = math.cos(turn), math.sin(turn)
            start = (centre[0] + 0.55 * radius * x, centre[1] + 0.55 * radius * y)
            self.line(start, (centre[0] + radius * x, centre[1] + radius * y), colour, width=0.05)

    def text(self, centre: Point, text: str, colour: Colour, *, size: float) -> None:
        """Write centred text; `size` is in cells."""
        font = _font(max(6, round(size * self._cell)))
        self._draw.text(self._at(centre), text, fill=colour, font=font, anchor="mm", stroke_width=self._width(0.006))

    def pixel_text(self, point: Point, text: str, colour: Colour, size: int, anchor: str) -> float:
        """Write text from `point` and return the horizontal position where it ends; `anchor` is Pillow's."""
        font = _font(size * _SCALE)
        place = (point[0] * _SCALE, point[1] * _SCALE)
        self._draw.text(place, text, fill=colour, font=font, anchor=anchor)
        left, _, right, _ = self._draw.textbbox(place, text, font=font, anchor=anchor)
        return float((left if anchor.startswith("r") else right) / _SCALE)

    def pixel_circle(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draw a disc."""
        x, y, r = (value * _SCALE for value in (*centre, radius))
        self._draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)

    def pixel_diamond(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draw a diamond."""
        x, y, r = (value * _SCALE for value in (*centre, radius))
        self._draw.polygon([(x, y - r), (x + 0.75 * r, y), (x, y + r), (x - 0.75 * r, y)], fill=colour)

    def pixel_bar(self, start: Point, end: Point, colour: Colour) -> None:
        """Draw a rectangle."""
        self._draw.rectangle([start[0] * _SCALE, start[1] * _SCALE, end[0] * _SCALE, end[1] * _SCALE], fill=colour)
