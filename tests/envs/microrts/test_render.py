from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.microrts import layout, render_observation
from envs.microrts.render import CRYSTAL, ENEMY, HEADER_PIXELS, OWN
from envs.spaces import (
    ENTITY_CATEGORIES,
    ENTITY_MASK,
    ENTITY_POSITIONS,
    ENTITY_VALUES,
    PLANES,
    SCALARS,
)

CELL = 40


def observation(*units: tuple[str, str, int, int], size: int = 8, **columns: int) -> dict[str, Any]:
    """Return an observation with these units (type, owner, x, y); `columns` are set for the first."""
    space = layout.observation_space(max_entities=8, width=size, height=size)
    arrays = {key: np.zeros(box.shape, box.dtype) for key, box in space.spaces.items()}
    for slot, (unit_type, owner, x, y) in enumerate(units):
        arrays[ENTITY_MASK][slot] = 1
        arrays[ENTITY_CATEGORIES][slot, layout.UNIT_TYPE] = layout.UNIT_TYPE_NAMES.index(unit_type)
        arrays[ENTITY_CATEGORIES][slot, layout.OWNER] = layout.OWNER_NAMES.index(owner)
        arrays[ENTITY_VALUES][slot, :2] = 1
        arrays[ENTITY_POSITIONS][slot] = x, y
    for name, value in columns.items():
        arrays[ENTITY_CATEGORIES][0, layout.ENTITY_CATEGORY_NAMES.index(name)] = value
    return arrays


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(picture.astype(int) - colour).max(-1) < 24).nonzero()


def cell(picture: np.ndarray, x: int, y: int) -> np.ndarray:
    top = HEADER_PIXELS + y * CELL
    return picture[top : top + CELL, x * CELL : (x + 1) * CELL]


def test_size_follows_the_map() -> None:
    picture = render_observation(observation(size=8), cell_pixels=CELL)
    assert picture.shape == (HEADER_PIXELS + 8 * CELL, 8 * CELL, 3)
    assert picture.dtype == np.uint8
    assert render_observation(observation(size=4), cell_pixels=20).shape[1] >= 320


def test_units_appear_in_their_cells_in_their_owners_colours() -> None:
    picture = render_observation(
        observation(("Worker", "own", 1, 2), ("Heavy", "enemy", 5, 6), ("Resource", "neutral", 7, 0)), cell_pixels=CELL
    )
    assert len(near(cell(picture, 1, 2), OWN)[0]) > 100
    assert len(near(cell(picture, 5, 6), ENEMY)[0]) > 100
    assert len(near(cell(picture, 7, 0), CRYSTAL)[0]) > 100
    assert not len(near(cell(picture, 3, 3), OWN)[0])
    board = picture[HEADER_PIXELS:]
    assert len(near(board, OWN)[0]) == len(near(cell(picture, 1, 2), OWN)[0])


def test_every_unit_type_looks_different() -> None:
    pictures = [
        render_observation(observation((name, "own", 3, 3)), cell_pixels=CELL) for name in layout.UNIT_TYPE_NAMES[1:]
    ]
    for first in range(len(pictures)):
        for second in range(first):
            assert (pictures[first] != pictures[second]).any(-1).sum() > 40


def test_masked_entities_are_not_drawn() -> None:
    seen = observation(("Base", "own", 2, 2))
    shown = render_observation(seen)
    seen[ENTITY_MASK][0] = 0
    np.testing.assert_array_equal(render_observation(seen), render_observation(observation()))
    assert not np.array_equal(shown, render_observation(seen))


@pytest.mark.parametrize("action", layout.ACTION_TYPE_NAMES[1:])
def test_every_action_is_visible(action: str) -> None:
    still = observation(("Worker", "own", 3, 3))
    acting = observation(
        ("Worker", "own", 3, 3),
        current_action=1 + layout.ACTION_TYPE_NAMES.index(action),
        action_direction=2,
        produced_type=1 + layout.UNIT_TYPE_NAMES.index("Base") if action == "produce" else 0,
    )
    acting[ENTITY_VALUES][0, layout.ENTITY_VALUE_NAMES.index("attack_target_x")] = 1 / 3 if action == "attack" else 0
    acting[ENTITY_VALUES][0, layout.ENTITY_VALUE_NAMES.index("action_time_left_fraction")] = 0.5
    assert not np.array_equal(render_observation(still), render_observation(acting))


def test_a_moving_unit_is_drawn_on_its_way() -> None:
    moving = observation(("Worker", "own", 3, 3), current_action=2, action_direction=2)
    columns = []
    for left in (1.0, 0.5, 0.0):
        moving[ENTITY_VALUES][0, layout.ENTITY_VALUE_NAMES.index("action_time_left_fraction")] = left
        columns.append(near(render_observation(moving, cell_pixels=CELL)[HEADER_PIXELS:], OWN)[1].mean())
    assert columns[1] - columns[0] == pytest.approx(CELL / 2, abs=3)
    assert columns[2] - columns[1] == pytest.approx(CELL / 2, abs=3)


def test_walls_and_header_are_drawn() -> None:
    walled = observation()
    walled[PLANES][0, 2, 5] = 1
    different = (
        render_observation(walled, cell_pixels=CELL) != render_observation(observation(), cell_pixels=CELL)
    ).any(-1)
    rows, columns = different.nonzero()
    assert rows.min() >= HEADER_PIXELS + 2 * CELL - 1
    assert rows.max() <= HEADER_PIXELS + 3 * CELL
    assert columns.min() >= 5 * CELL - 1
    assert columns.max() <= 6 * CELL
    late = observation()
    late[SCALARS][layout.SCALAR_NAMES.index("time_fraction")] = 0.5
    changed = (render_observation(late, max_steps=100) != render_observation(observation(), max_steps=100)).any(-1)
    assert changed.nonzero()[0].max() < HEADER_PIXELS


def test_rendering_changes_nothing_and_repeats_itself() -> None:
    seen = observation(("Worker", "own", 3, 3), ("Base", "enemy", 1, 1))
    before = {key: value.copy() for key, value in seen.items()}
    np.testing.assert_array_equal(render_observation(seen), render_observation(seen))
    assert all(np.array_equal(seen[key], before[key]) for key in before)


def test_a_batch_is_refused() -> None:
    seen = {key: value[None] for key, value in observation().items()}
    with pytest.raises(ValueError, match="pick a row"):
        render_observation(seen)
