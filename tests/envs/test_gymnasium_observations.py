"""Every kind of Gymnasium space written into our layout, with arrays worked out by hand and laws over random spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.gymnasium_observations import ObservationEncoder, channel_axis
from envs.spaces import entity_spaces

UNBOUNDED = float(np.finfo(np.float32).max)


def encode(space: spaces.Space[Any], *observations: Any, mask: tuple[int, ...] | None = None) -> dict[str, np.ndarray]:
    encoder = ObservationEncoder(space, len(observations), mask)
    for row, observation in enumerate(observations):
        encoder.write(row, observation)
    arrays = encoder.finish()
    for row in range(len(observations)):
        assert encoder.space.contains({key: array[row] for key, array in arrays.items()})
    return arrays


def test_bounded_columns_are_scaled_and_unbounded_ones_kept() -> None:
    space = spaces.Box(*np.array([[-2, -UNBOUNDED, 10, 0], [2, UNBOUNDED, 30, np.inf]], np.float32))
    arrays = encode(space, np.array([-2, 5, 10, 7]), np.array([1, -6, 25, 0]))
    np.testing.assert_allclose(arrays["scalars"], [[-1, 5, -1, 7], [0.5, -6, 0.5, 0]])
    assert arrays["scalars"].dtype == np.float32


def test_a_constant_column_is_kept() -> None:
    assert encode(spaces.Box(3, 3, (1,)), np.array([3.0]))["scalars"].tolist() == [[3]]


def test_scaling_twice_changes_nothing() -> None:
    encoder = ObservationEncoder(spaces.Box(0, 10, (1,)), 2)
    encoder.write(0, np.array([10.0]))
    encoder.write(1, np.array([5.0]))
    first = encoder.finish()["scalars"].copy()
    encoder.write(1, np.array([0.0]))
    assert encoder.finish()["scalars"].tolist() == [first[0].tolist(), [-1]]


def test_choices_become_one_hot_and_forget_the_last_choice() -> None:
    encoder = ObservationEncoder(spaces.Discrete(3, start=4), 1)
    for value, expected in ((4, [1, 0, 0]), (6, [0, 0, 1])):
        encoder.write(0, np.int64(value))
        assert encoder.finish()["scalars"].tolist() == [expected]
    multi = ObservationEncoder(spaces.MultiDiscrete([[2, 3]], start=[[1, 0]]), 1)
    for values, expected in (([[1, 2]], [1, 0, 0, 0, 1]), ([[2, 0]], [0, 1, 1, 0, 0])):
        multi.write(0, np.array(values))
        assert multi.finish()["scalars"].tolist() == [expected]


def test_nested_parts_are_joined_in_order() -> None:
    space = spaces.Dict(
        {
            "body": spaces.Dict({"speed": spaces.Box(-np.inf, np.inf, (2, 1)), "gear": spaces.Discrete(2)}),
            "keys": spaces.Tuple((spaces.MultiBinary(2), spaces.Box(-1, 1, (1,)))),
        }
    )
    observation = {"body": {"speed": np.array([[8.0], [9.0]]), "gear": 1}, "keys": (np.array([0, 1]), np.array([0.25]))}
    # A Dict made of a plain dict keeps its keys in order of the alphabet: gear, speed.
    gear_first = list(space["body"].spaces) == ["gear", "speed"]
    body = [0, 1, 8, 9] if gear_first else [8, 9, 0, 1]
    assert encode(space, observation)["scalars"].tolist() == [[*body, 0, 1, 0.25]]


def test_blackjack_like_tuples_work() -> None:
    space = spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3)))
    assert encode(space, (1, 0), (0, 2))["scalars"].tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((210, 160, 3), 2),
        ((4, 84, 84), 0),
        ((8, 8, 27), 2),
        ((27, 8, 8), 0),
        ((3, 64, 96), 0),
        ((3, 3, 3), 2),
        ((5, 6), None),
    ],
)
def test_channel_axis(shape: tuple[int, ...], axis: int | None) -> None:
    assert channel_axis(shape) == axis


@pytest.mark.parametrize("shape", [(6, 5, 3), (3, 6, 5)])
def test_images_become_planes_with_channels_first(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    planes = encode(spaces.Box(0, 255, shape, np.uint8), image, image // 2)["planes"]
    expected = image if shape[0] == 3 else image.transpose(2, 0, 1)
    np.testing.assert_array_equal(planes, [expected, expected // 2])
    assert planes.dtype == np.uint8


def test_images_of_one_size_are_stacked_and_bring_scalars_along() -> None:
    space = spaces.Dict(
        {
            "a_depth": spaces.Box(0, 1, (1, 4, 6), np.float32),
            "b_grey": spaces.Box(0, 255, (4, 6), np.uint8),
            "c_score": spaces.Box(-np.inf, np.inf, ()),
        }
    )
    depth, grey = np.full((1, 4, 6), 0.5), np.arange(24, dtype=np.uint8).reshape(4, 6)
    arrays = encode(space, {"a_depth": depth, "b_grey": grey, "c_score": np.float32(3)})
    np.testing.assert_array_equal(arrays["planes"], [np.stack([depth[0], grey])])
    assert arrays["planes"].dtype == np.float32
    assert arrays["scalars"].tolist() == [[3]]


def test_a_table_of_floats_is_flattened() -> None:
    assert encode(spaces.Box(-np.inf, np.inf, (2, 3)), np.arange(6.0).reshape(2, 3))["scalars"].tolist() == [
        list(range(6))
    ]


def test_action_mask_beside_other_keys_is_an_action_mask() -> None:
    space = spaces.Dict({"action_mask": spaces.MultiBinary(3), "observation": spaces.Discrete(2)})
    arrays = encode(space, {"action_mask": np.array([1, 0, 1]), "observation": 1}, mask=(3,))
    assert arrays["action_mask"].tolist() == [[1, 0, 1]]
    assert arrays["action_mask"].dtype == np.int8
    assert arrays["scalars"].tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (spaces.Box(0, 1, (2, 3), np.int8), np.array([[1, 0, 1], [0, 0, 1]])),
        (spaces.Tuple((spaces.MultiBinary(2), spaces.MultiBinary(4))), (np.array([1, 0]), np.array([1, 0, 0, 1]))),
    ],
)
def test_an_action_mask_of_another_shape_is_one_all_the_same(space: spaces.Space[Any], value: Any) -> None:
    whole = spaces.Dict({"action_mask": space, "observation": spaces.Discrete(2)})
    arrays = encode(whole, {"action_mask": value, "observation": 1}, mask=(6,))
    assert arrays["action_mask"].tolist() == [[1, 0, 1, 0, 0, 1]]
    assert arrays["scalars"].tolist() == [[0, 1]]
    with pytest.raises(ValueError, match=r"expected observation\['action_mask'\] with \(5,\) entries, .*, got 6"):
        ObservationEncoder(whole, 1, (5,))


def test_an_action_mask_beside_keys_of_our_layout_is_one_too() -> None:
    masks = spaces.Box(0, 1, (2, 3), np.int8)
    space = spaces.Dict({"action_mask": masks, "scalars": spaces.Box(-1, 1, (1,))})
    value = np.array([[1, 0, 1], [0, 0, 1]])
    arrays = encode(space, {"action_mask": value, "scalars": np.array([0.5])}, mask=(6,))
    assert arrays["action_mask"].tolist() == [[1, 0, 1, 0, 0, 1]]
    assert arrays["scalars"].tolist() == [[0.5]]
    with pytest.raises(ValueError, match=r"with \(5,\) entries, .*, got 6"):
        ObservationEncoder(space, 1, (5,))


def test_our_own_layout_passes_through_unchanged() -> None:
    parts = entity_spaces(max_entities=3, category_sizes=[4, 2], num_values=2, width=8, height=6)
    space = spaces.Dict({**parts, "scalars": spaces.Box(0, 5, (2,)), "planes": spaces.Box(0, 1, (2, 6, 8), np.uint8)})
    encoder = ObservationEncoder(space, 2)
    assert encoder.space is space
    space.seed(0)
    observations = [space.sample() for _ in range(2)]
    arrays = encode(space, *observations)
    for key, box in space.spaces.items():
        np.testing.assert_array_equal(arrays[key], [observation[key] for observation in observations])
        assert arrays[key].dtype == box.dtype


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Text(5), r"observation is Text.*supported: Box, Discrete"),
        (
            spaces.Dict({"chat": spaces.Tuple((spaces.Discrete(2), spaces.Text(5)))}),
            r"observation\['chat'\]\[1\] is Text",
        ),
        (spaces.Sequence(spaces.Discrete(2)), "observation is Sequence"),
        (spaces.Dict({}), "is empty"),
        (spaces.Discrete(2**40), "one-hot columns, at most 100000"),
        (
            spaces.Dict(
                {"left": spaces.Box(0, 255, (4, 4, 3), np.uint8), "right": spaces.Box(0, 255, (8, 4, 3), np.uint8)}
            ),
            r"equal heights and widths, got observation\['left'\] 4x4, observation\['right'\] 8x4",
        ),
        (spaces.Dict({"entity_mask": spaces.Box(0, 1, (3,), np.int8)}), "'entity_values'.* are missing"),
    ],
)
def test_other_spaces_are_refused_by_name(space: spaces.Space[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObservationEncoder(space, 1)


def plain_spaces() -> st.SearchStrategy[spaces.Space[Any]]:
    sizes = st.lists(st.integers(1, 4), min_size=1, max_size=3)
    return st.one_of(
        st.integers(1, 5).map(spaces.Discrete),
        sizes.map(spaces.MultiDiscrete),
        sizes.map(spaces.MultiBinary),
        sizes.map(lambda shape: spaces.Box(-3, 5, shape[:2], np.float32)),
    )


def nested_spaces() -> st.SearchStrategy[spaces.Space[Any]]:
    def nest(parts: st.SearchStrategy[spaces.Space[Any]]) -> st.SearchStrategy[spaces.Space[Any]]:
        names = st.sampled_from("abc")
        return st.one_of(
            st.lists(parts, min_size=1, max_size=3).map(spaces.Tuple),
            st.dictionaries(names, parts, min_size=1, max_size=3).map(spaces.Dict),
        )

    return st.recursive(plain_spaces(), nest, max_leaves=5)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(space=nested_spaces(), seed=st.integers(0, 1000))
def test_rows_are_independent_and_as_wide_as_the_flat_space(space: spaces.Space[Any], seed: int) -> None:
    space.seed(seed)
    first, second = space.sample(), space.sample()
    both = encode(space, first, second)["scalars"]
    np.testing.assert_array_equal(both, np.concatenate([encode(space, part)["scalars"] for part in (first, second)]))
    assert both.shape[1] == spaces.flatdim(space)
    assert (np.abs(both) <= 1).all()
