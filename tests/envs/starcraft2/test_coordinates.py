from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.starcraft2.compatibility import PYSC2_NAME, common_pb
from envs.starcraft2.coordinates import Grid

features = importlib.import_module(f"{PYSC2_NAME}.lib.features")
point = importlib.import_module(f"{PYSC2_NAME}.lib.point")

SIZES = [(168, 184), (216, 192), (32, 32), (88, 248)]


def pysc2_transform(size: tuple[int, int], resolution: tuple[int, int]) -> object:
    interface = features.AgentInterfaceFormat(
        use_raw_units=True, use_raw_actions=True, raw_resolution=resolution, camera_width_world_units=24
    )
    return features.Features(interface, map_size=point.Point(*size))._world_to_minimap_px


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resolution", [(256, 256), (168, 184)])
def test_cells_are_those_of_pysc2(size: tuple[int, int], resolution: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    world = generator.uniform((0, 0), size, (500, 2)).astype(np.float32)
    world[:4] = [(0, 0), size, (0, size[1]), (size[0] / 2, size[1] / 3)]
    transform = pysc2_transform(size, resolution)
    theirs = [transform.fwd_pt(point.Point(*position)) for position in world.tolist()]  # type: ignore[attr-defined]
    grid = Grid(size, resolution)
    np.testing.assert_array_equal(grid.project(world), np.asarray(theirs))
    cells = np.asarray(generator.integers(0, resolution, (500, 2)))
    back = [transform.back_pt(point.Point(*cell)) for cell in cells.tolist()]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(grid.to_world(cells), np.asarray(back, np.float32))


@given(st.sampled_from(SIZES), st.integers(0, 255), st.integers(0, 255))
def test_the_centre_of_a_cell_lies_in_it(size: tuple[int, int], x: int, y: int) -> None:
    grid = Grid(size)
    cells = np.asarray([[x, y]])
    np.testing.assert_array_equal(grid.to_cells(grid.to_world(cells)), cells)


def test_row_0_is_the_top_and_edges_stay_on_the_grid() -> None:
    grid = Grid(common_pb.Size2DI(x=128, y=128))
    corners = np.asarray([(0, 127.9), (127.9, 0.1), (0, 0), (128, 128), (-3, 500)])
    assert grid.to_cells(corners).tolist() == [[0, 0], [255, 255], [0, 255], [255, 0], [0, 0]]
    assert grid.to_cells(corners).dtype == np.int32
    assert grid.project(corners)[2].tolist() == [0, 256]


def test_the_longer_side_fills_the_grid() -> None:
    assert Grid((168, 184)).extent == (234, 256)
    assert Grid((256, 64)).extent == (256, 64)


def test_a_map_without_size_is_refused() -> None:
    with pytest.raises(ValueError, match="raw interface"):
        Grid(common_pb.Size2DI())
    with pytest.raises(ValueError, match="two positive sides"):
        Grid((10, 10), (0, 256))
