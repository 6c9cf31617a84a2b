from __future__ import annotations

import numpy as np
import pytest

from benchmarks import starcraft2_frames as frames
from envs.starcraft2.compatibility import common_pb, sc_pb, spatial_pb
from envs.starcraft2.native_planes import native_minimap
from envs.starcraft2.planes import PLANE_HIGHS, PLANE_NAMES, static_grids, unpack_image, write_minimap
from tests.envs.starcraft2.pysc2_features import features, minimap_planes, transform


def image(bits: int, data: bytes, width: int, height: int) -> common_pb.ImageData:
    return common_pb.ImageData(bits_per_pixel=bits, size=common_pb.Size2DI(x=width, y=height), data=data)


@pytest.mark.parametrize("seed", range(3))
def test_planes_equal_those_of_pysc2(seed: int) -> None:
    generator = np.random.default_rng(seed)
    message = frames.observation(generator, num_units=2, width=216, height=88)
    minimap = message.observation.feature_layer_data.minimap_renders
    if seed:
        minimap.ClearField("pathable")
    planes = np.full((len(PLANE_NAMES), 128, 128), 7, np.uint8)
    write_minimap(minimap, planes)
    info = frames.game_info(generator, width=216, height=88)
    np.testing.assert_array_equal(planes, minimap_planes(transform(info.start_raw.map_size)(message)))


def test_planes_from_c_are_the_same() -> None:
    in_c = native_minimap()
    if in_c is None:
        pytest.skip("there is no C compiler, or C is switched off")
    generator = np.random.default_rng(0)
    readable = 0
    for change in ("", "pathable", "height_map", "bits", "short", "size", "all", "twice", "cut"):
        message = frames.observation(generator, num_units=2)
        minimap = message.observation.feature_layer_data.minimap_renders
        if change in PLANE_NAMES:
            minimap.ClearField(change)
        elif change == "bits":
            minimap.creep.bits_per_pixel = 16
        elif change == "short":
            minimap.alerts.data = minimap.alerts.data[:-1]
        elif change == "size":
            minimap.camera.size.x = 64
        elif change == "all":
            message.observation.ClearField("feature_layer_data")
        answer = sc_pb.Response(observation=message).SerializeToString()
        answer = {"twice": answer * 2, "cut": answer[:-5]}.get(change, answer)
        expected, planes = np.full((2, len(PLANE_NAMES), 128, 128), 7, np.uint8)
        if in_c.write(answer, planes):
            write_minimap(message.observation.feature_layer_data.minimap_renders, expected)
            np.testing.assert_array_equal(planes, expected)
            readable += 1
    assert readable == 3, "the others are Python's, which says what is wrong with them"
    assert not in_c.write(answer, np.zeros((8, 128, 256), np.uint8)[:, :, ::2])


def test_highest_values_are_those_that_pysc2_names() -> None:
    assert [getattr(features.MINIMAP_FEATURES, name).scale - 1 for name in PLANE_NAMES] == list(PLANE_HIGHS)


def test_bits_run_from_the_highest_and_odd_sizes_end_in_padding() -> None:
    pixels = unpack_image(image(1, bytes([0b10100000, 0b01000000]), 3, 3))
    assert pixels is not None
    assert pixels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    words = unpack_image(image(32, np.asarray([1, -2], "<i4").tobytes(), 2, 1))
    assert words is not None
    assert words.tolist() == [[1, -2]]


def test_an_image_that_is_left_out_is_none() -> None:
    assert unpack_image(common_pb.ImageData()) is None


def test_images_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 4 bytes for 2 x 2 pixels of 8 bits, got 3"):
        unpack_image(image(8, b"abc", 2, 2))
    with pytest.raises(ValueError, match="got 24"):
        unpack_image(image(24, bytes(12), 2, 2))


def test_a_minimap_of_another_size_is_refused() -> None:
    minimap = spatial_pb.FeatureLayersMinimap(creep=image(1, bytes(8), 8, 8))
    with pytest.raises(ValueError, match=r"creep.*minimap_resolution 16 x 16"):
        write_minimap(minimap, np.zeros((len(PLANE_NAMES), 16, 16), np.uint8))


def test_older_and_newer_builds_give_the_same_grids() -> None:
    pathable = np.asarray([[1, 1, 0], [0, 1, 1]], bool)
    buildable = np.asarray([[0, 1, 0], [0, 0, 1]], bool)
    newer, older = sc_pb.ResponseGameInfo().start_raw, sc_pb.ResponseGameInfo().start_raw
    for start_raw, bits in ((newer, 1), (older, 8)):
        height = np.asarray([[0, 255, 255], [0, 0, 0]], np.uint8)
        if bits == 1:
            packed = [np.packbits(grid[::-1]).tobytes() for grid in (pathable, buildable)]
            height = height[::-1]
        else:
            packed = [
                np.where(pathable, 0, 255).astype(np.uint8).tobytes(),
                (buildable * 255).astype(np.uint8).tobytes(),
            ]
        start_raw.pathing_grid.CopyFrom(image(bits, packed[0], 3, 2))
        start_raw.placement_grid.CopyFrom(image(bits, packed[1], 3, 2))
        start_raw.terrain_height.CopyFrom(image(8, height.tobytes(), 3, 2))
        grids = static_grids(start_raw)
        np.testing.assert_array_equal(grids.pathable, pathable)
        np.testing.assert_array_equal(grids.buildable, buildable)
        assert np.sign(grids.terrain_height).tolist() == [[-1, 1, 1], [-1, -1, -1]]
    assert abs(static_grids(newer).terrain_height[0, 1]) == 16
    assert abs(static_grids(older).terrain_height[0, 1]) == 100


def test_grids_that_are_missing_are_refused() -> None:
    with pytest.raises(ValueError, match="raw interface"):
        static_grids(sc_pb.ResponseGameInfo().start_raw)
