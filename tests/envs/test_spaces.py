"""The shared layout: entity spaces, unit actions and their random samples."""

from __future__ import annotations

import numpy as np
import pytest

from envs.spaces import (
    ENTITY_CATEGORIES,
    ENTITY_KEYS,
    ENTITY_POSITIONS,
    ENTITY_VALUES,
    UnitActionSpace,
    entity_spaces,
    sample_unit_actions,
)

COMPONENTS = {"type": 3, "direction": 4, "target": 5}
ARGUMENTS: list[list[str]] = [[], ["direction"], ["direction", "target"]]


def make_space(seed: int | None = None) -> UnitActionSpace:
    return UnitActionSpace(6, COMPONENTS, ARGUMENTS, seed=seed)


def random_mask(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Return masks [N, 6, 12] in which about half of the units await an order, with few legal choices."""
    mask = (generator.random((samples, 6, 12)) < 0.2).astype(np.int8)
    for first, size in ((0, 3), (3, 4), (7, 5)):
        np.put_along_axis(mask, generator.integers(first, first + size, (samples, 6, 1)), 1, -1)
    mask[generator.random((samples, 6)) < 0.5] = 0
    return mask


def test_entity_spaces_hold_shapes_and_bounds() -> None:
    parts = entity_spaces(max_entities=4, category_sizes=(3, 7), num_values=2, width=9, height=5)
    assert tuple(parts) == ENTITY_KEYS
    assert {key: part.shape for key, part in parts.items()} == {
        "entity_categories": (4, 2), "entity_values": (4, 2), "entity_positions": (4, 2), "entity_mask": (4,),
    }  # fmt: skip
    assert parts[ENTITY_CATEGORIES].contains(np.array([[2, 6]] * 4, np.int32))
    assert not parts[ENTITY_CATEGORIES].contains(np.array([[3, 6]] * 4, np.int32))
    assert parts[ENTITY_POSITIONS].contains(np.array([[8, 4]] * 4, np.int32))
    assert not parts[ENTITY_POSITIONS].contains(np.array([[4, 8]] * 4, np.int32))
    assert parts[ENTITY_VALUES].contains(np.full((4, 2), -1e9, np.float32))


@pytest.mark.parametrize("name", ["max_entities", "width", "height"])
def test_empty_maps_and_lists_are_errors(name: str) -> None:
    sizes = {"max_entities": 4, "width": 3, "height": 3} | {name: 0}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        entity_spaces(category_sizes=(3,), num_values=1, **sizes)


def test_unit_action_space_describes_its_components() -> None:
    space = make_space()
    assert space.shape == (6, 3)
    assert (space.max_entities, space.mask_size) == (6, 12)
    assert space.component_slices() == {"type": slice(0, 3), "direction": slice(3, 7), "target": slice(7, 12)}
    assert repr(space).startswith("UnitActionSpace(6, {'type': 3")


def test_equality_needs_equal_slots_components_and_arguments() -> None:
    space = make_space()
    assert space == make_space(seed=4)
    assert space != UnitActionSpace(5, COMPONENTS, ARGUMENTS)
    assert space != UnitActionSpace(6, {**COMPONENTS, "target": 6}, ARGUMENTS)
    assert space != UnitActionSpace(6, COMPONENTS, [[], [], []])


def test_arguments_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match="one entry for each of the 3 action types, got 2"):
        UnitActionSpace(6, COMPONENTS, [[], []])
    with pytest.raises(ValueError, match=r"do not exist: \['speed'\]"):
        UnitActionSpace(6, COMPONENTS, [[], ["speed"], []])


def test_samples_are_legal_and_reach_every_legal_choice() -> None:
    space, generator = make_space(), np.random.default_rng(0)
    mask = random_mask(generator, 3)
    seen = np.zeros_like(mask)
    for _ in range(300):
        actions = sample_unit_actions(mask, space, generator)
        assert actions.shape == (3, 6, 3)
        for column, part in enumerate(space.component_slices().values()):
            np.put_along_axis(seen[:, :, part], actions[:, :, column : column + 1], 1, -1)
    awaits = mask.any(-1)
    np.testing.assert_array_equal(seen[awaits], mask[awaits])
    assert (seen[~awaits][:, [0, 3, 7]] == 1).all()
    assert seen[~awaits].sum() == 3 * (~awaits).sum()


def test_draws_of_zero_are_no_illegal_actions() -> None:
    """A uniform draw may be exactly 0; the only legal choice is taken all the same."""

    class Zeros:
        def random(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
            return np.zeros(shape, dtype)

    mask = np.zeros((1, 6, 12), np.int8)
    mask[0, 0, [2, 5, 11]] = 1
    actions = sample_unit_actions(mask, make_space(), Zeros())  # type: ignore[arg-type]
    assert actions[0, 0].tolist() == [2, 2, 4]


def test_space_samples_under_its_masks() -> None:
    space = make_space(seed=0)
    assert space.contains(space.sample())
    mask = random_mask(np.random.default_rng(1), 1)[0]
    mask[2] = 0
    mask[2, [1, 6, 8]] = 1
    assert space.sample(mask)[2].tolist() == [1, 3, 1]
    space.legal_actions = mask
    sample = space.sample()
    assert sample[2].tolist() == [1, 3, 1]
    assert space.contains(sample)
    with pytest.raises(ValueError, match="draws uniformly"):
        space.sample(mask, probability=mask)
