"""Pictures of µRTS, drawn from an observation alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.microrts import layout
from envs.microrts.drawing import Canvas, Colour, Point, blend
from envs.spaces import (
    ENTITY_CATEGORIES,
    ENTITY_MASK,
    ENTITY_POSITIONS,
    ENTITY_VALUES,
    PLANES,
    SCALARS,
)

BACKGROUND: Colour = (18, 22, 31)
FLOOR: tuple[Colour, Colour] = ((32, 38, 51), (36, 43, 57))
WALL: Colour = (86, 95, 114)
TEXT: Colour = (226, 232, 243)
MUTED: Colour = (128, 139, 160)
OWN: Colour = (72, 143, 255)
ENEMY: Colour = (255, 92, 88)
CRYSTAL: Colour = (64, 214, 158)
ATTACK: Colour = (255, 190, 84)
PLAYER_COLOURS = (OWN, ENEMY)
DEFAULT_BOARD_PIXELS = 512
HEADER_PIXELS = 48
MINIMUM_WIDTH = 320

_DIRECTIONS: tuple[Point, ...] = ((0, -1), (1, 0), (0, 1), (-1, 0))
_RESOURCE, _BASE, _BARRACKS, _WORKER, _LIGHT, _HEAVY, _RANGED = range(7)
_MOVE, _HARVEST, _RETURN, _PRODUCE, _ATTACK = range(2, 7)  # values of the column current_action


def render_observation(
    observation: Mapping[str, NDArray[Any]],
    *,
    player_name: str = "agent",
    opponent: str = "opponent",
    max_steps: int | None = None,
    cell_pixels: int | None = None,
) -> NDArray[np.uint8]:
    """Return a picture of one player's observation, uint8 [height, width, 3]; the player is blue, its enemy red.

    A moving unit is drawn on its way, so that a sequence of pictures runs smoothly.

    Args:
        observation: of a single row, in the layout of `envs.microrts.layout`.
        player_name: written at the left of the header.
        opponent: written at its right.
        max_steps: the episode's limit, which turns the fraction of time into game steps.
        cell_pixels: side of a cell; by default the board's longer side is about 512 pixels.

    Raises:
        ValueError: if the observation is a batch.
    """
    planes = np.asarray(observation[PLANES])
    if planes.ndim != 3:
        raise ValueError(
            f"expected one observation with planes [1, height, width], got planes {planes.shape}: pick a row"
        )
    height, width = planes.shape[1:]
    cell = cell_pixels or max(12, DEFAULT_BOARD_PIXELS // max(height, width))
    board = _board(planes.tobytes(), height, width, cell)
    canvas = board.copy()
    entities = _entities(observation)
    for entity in entities:
        _draw_action(canvas, entity)
    # Buildings and resources first: units pass over them.
    for entity in sorted(entities, key=lambda entity: entity.type >= _WORKER):
        _draw_entity(canvas, entity)
    _draw_header(canvas, np.asarray(observation[SCALARS]), player_name, opponent, max_steps)
    return canvas.to_array()


class _Entity:
    """One unit or resource, and where it is drawn."""

    def __init__(self, categories: NDArray[Any], values: NDArray[Any], position: NDArray[Any]) -> None:
        self.type = int(categories[layout.UNIT_TYPE])
        self.colour = (OWN, ENEMY, CRYSTAL)[int(categories[layout.OWNER])]
        self.action = int(categories[layout.CURRENT_ACTION])
        self.produced = int(categories[layout.PRODUCED_TYPE]) - 1
        self.hit_points = float(values[layout.ENTITY_VALUE_NAMES.index("hit_point_fraction")])
        self.resources = round(10 * float(values[layout.ENTITY_VALUE_NAMES.index("resources_div_10")]))
        left = float(values[layout.ENTITY_VALUE_NAMES.index("action_time_left_fraction")])
        self.done = 1 - left if self.action else 0.0
        direction = int(categories[layout.ACTION_DIRECTION])
        self.direction = _DIRECTIONS[direction - 1] if direction else (0, 0)
        target = values[layout.ENTITY_VALUE_NAMES.index("attack_target_x") :][:2] * (layout.ATTACK_SIDE // 2)
        self.target = (float(target[0]), float(target[1]))
        self.cell = (float(position[0]) + 0.5, float(position[1]) + 0.5)
        way = self.done if self.action == _MOVE else 0.0
        self.centre = (self.cell[0] + way * self.direction[0], self.cell[1] + way * self.direction[1])


def _entities(observation: Mapping[str, NDArray[Any]]) -> list[_Entity]:
    rows = np.flatnonzero(observation[ENTITY_MASK])
    columns = (observation[ENTITY_CATEGORIES], observation[ENTITY_VALUES], observation[ENTITY_POSITIONS])
    return [_Entity(*(column[row] for column in columns)) for row in rows]


@functools.lru_cache(maxsize=8)
def _board(walls: bytes, height: int, width: int, cell: int) -> Canvas:
    """Return a canvas with everything that never moves: floor, grid and walls."""
    canvas_width = max(width * cell, MINIMUM_WIDTH)
    margin = (canvas_width - width * cell) // 2
    canvas = Canvas(canvas_width, height * cell + HEADER_PIXELS, cell, (margin, HEADER_PIXELS), BACKGROUND)
    wall = np.frombuffer(walls, np.uint8).reshape(-1, height, width)[0]
    for y in range(height):
        for x in range(width):
            canvas.box((x, y), (x + 1, y + 1), fill=FLOOR[(x + y) % 2])
            if wall[y, x]:
                canvas.box((x + 0.04, y + 0.04), (x + 0.96, y + 0.96), fill=blend(WALL, BACKGROUND, 0.45), radius=0.14)
                canvas.box((x + 0.04, y + 0.04), (x + 0.96, y + 0.84), fill=WALL, radius=0.14)
    return canvas


def _draw_action(canvas: Canvas, entity: _Entity) -> None:
    x, y = entity.cell
    ahead = (x + entity.direction[0], y + entity.direction[1])
    if entity.action == _MOVE:
        canvas.line(entity.cell, ahead, blend(entity.colour, FLOOR[0], 0.55), width=0.1)
        canvas.circle(ahead, 0.1, fill=blend(entity.colour, FLOOR[0], 0.55))
    elif entity.action in (_HARVEST, _RETURN):
        canvas.line(entity.cell, (x + 0.62 * entity.direction[0], y + 0.62 * entity.direction[1]), CRYSTAL, width=0.12)
    elif entity.action == _PRODUCE:
        faint = blend(entity.colour, FLOOR[0], 0.35)
        _draw_shape(canvas, entity.produced, ahead, faint, scale=0.45 + 0.4 * entity.done)
        canvas.arc(ahead, 0.44, entity.done, entity.colour, width=0.08)
    elif entity.action == _ATTACK:
        target = (x + entity.target[0], y + entity.target[1])
        canvas.line(entity.cell, target, blend(ATTACK, FLOOR[0], 0.4), width=0.22)
        canvas.line(entity.cell, target, ATTACK, width=0.09)
        canvas.burst(target, 0.2 + 0.25 * entity.done, ATTACK)


def _draw_entity(canvas: Canvas, entity: _Entity) -> None:
    if entity.type == _RESOURCE:
        _draw_resource(canvas, entity)
        return
    _draw_shape(canvas, entity.type, entity.centre, entity.colour)
    x, y = entity.centre
    if entity.type == _WORKER and entity.resources:
        canvas.polygon(_diamond((x + 0.27, y - 0.27), 0.17), fill=CRYSTAL, outline=BACKGROUND)
    if entity.hit_points < 1 or entity.type in (_BASE, _BARRACKS):
        canvas.box((x - 0.36, y + 0.37), (x + 0.36, y + 0.46), fill=BACKGROUND, radius=0.04)
        colour = blend(CRYSTAL, ENEMY, max(0.0, min(1.0, entity.hit_points)))
        end = x - 0.36 + 0.72 * max(0.06, min(1.0, entity.hit_points))
        canvas.box((x - 0.36, y + 0.37), (end, y + 0.46), fill=colour, radius=0.04)


def _draw_resource(canvas: Canvas, entity: _Entity) -> None:
    x, y = entity.cell
    dark = blend(CRYSTAL, BACKGROUND, 0.55)
    canvas.polygon(_diamond((x - 0.2, y + 0.1), 0.24), fill=dark)
    canvas.polygon(_diamond((x + 0.21, y + 0.12), 0.22), fill=dark)
    canvas.polygon(_diamond((x, y - 0.04), 0.36), fill=CRYSTAL)
    canvas.text((x, y - 0.04), str(entity.resources), BACKGROUND, size=0.27)


def _diamond(centre: Point, radius: float) -> list[Point]:
    x, y = centre
    return [(x, y - radius), (x + 0.75 * radius, y), (x, y + radius), (x - 0.75 * radius, y)]


def _draw_shape(canvas: Canvas, unit_type: int, centre: Point, colour: Colour, scale: float = 1.0) -> None:
    """Draw a unit's shape: each type has its own outline and letter."""
    x, y = centre
    edge = blend(colour, (255, 255, 255), 0.55)
    inner = blend(colour, BACKGROUND, 0.45)
    radius = scale * {_BASE: 0.42, _BARRACKS: 0.4, _WORKER: 0.27, _LIGHT: 0.35, _HEAVY: 0.38, _RANGED: 0.34}[unit_type]
    if unit_type == _BASE:
        canvas.box((x - radius, y - radius), (x + radius, y + radius), fill=colour, radius=0.12, outline=edge)
        canvas.box(
            (x - 0.62 * radius, y - 0.62 * radius), (x + 0.62 * radius, y + 0.62 * radius), fill=inner, radius=0.08
        )
    elif unit_type == _BARRACKS:
        roof = [(x - radius, y - 0.2 * radius), (x, y - radius), (x + radius, y - 0.2 * radius)]
        canvas.polygon(
            [*roof, (x + radius, y + 0.9 * radius), (x - radius, y + 0.9 * radius)], fill=colour, outline=edge
        )
    elif unit_type == _WORKER:
        canvas.circle(centre, radius, fill=colour, outline=edge)
    elif unit_type == _LIGHT:
        canvas.regular_polygon(centre, radius, sides=3, fill=colour, outline=edge)
    elif unit_type == _HEAVY:
        canvas.regular_polygon(centre, radius, sides=6, fill=colour, outline=edge)
    else:
        canvas.circle(centre, radius, fill=inner, outline=colour, outline_width=0.09)
        canvas.circle(centre, 0.2 * radius, fill=edge)
        return
    down = 0.06 * scale if unit_type in (_LIGHT, _BARRACKS) else 0.0
    letter = layout.UNIT_TYPE_NAMES[unit_type][0] if unit_type != _BARRACKS else "K"
    canvas.text((x, y + down), letter, (255, 255, 255), size=0.3 * scale)


def _draw_header(canvas: Canvas, scalars: NDArray[Any], player_name: str, opponent: str, max_steps: int | None) -> None:
    width, middle = canvas.width, HEADER_PIXELS * 0.42
    stocks = [
        round(10 * float(scalars[layout.SCALAR_NAMES.index(f"{side}_resources_div_10")])) for side in ("own", "enemy")
    ]
    fraction = float(scalars[layout.SCALAR_NAMES.index("time_fraction")])
    for side, (name, stock) in enumerate(zip((player_name, opponent), stocks, strict=True)):
        sign, edge = (1, 0) if side == 0 else (-1, width)
        canvas.pixel_circle((edge + sign * 18, middle), 7, PLAYER_COLOURS[side])
        anchor = "lm" if side == 0 else "rm"
        end = canvas.pixel_text((edge + sign * 32, middle), name, TEXT, 16, anchor)
        canvas.pixel_diamond((end + sign * 18, middle), 8, CRYSTAL)
        canvas.pixel_text((end + sign * 29, middle), str(stock), CRYSTAL, 16, anchor)
    time = f"{100 * fraction:.0f} %" if max_steps is None else f"{round(fraction * max_steps)}"
    canvas.pixel_text((width / 2, middle), time, MUTED, 16, "mm")
    canvas.pixel_bar((0, HEADER_PIXELS - 5), (width, HEADER_PIXELS - 2), FLOOR[1])
    canvas.pixel_bar((0, HEADER_PIXELS - 5), (width * min(1.0, fraction), HEADER_PIXELS - 2), MUTED)
