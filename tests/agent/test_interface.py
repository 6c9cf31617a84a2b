"""The agent's view of a game, and packing against plain loops over padded observations."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agent.interface import ActionSpec, AgentInput, AgentSpec, EntitySpec, FunctionCallSpec, pack_observation
from envs.spaces import ACTION_MASK, ENTITY_CLASSES, ENTITY_MASK, PLANES, SCALARS, VALUE_SCALARS
from tests.agent import call_games, games

DISCRETE = spaces.Discrete(3)


def test_spec_of_a_game_with_units() -> None:
    spec = games.unit_game()
    assert spec == AgentSpec(
        entities=EntitySpec(max_entities=6, category_sizes=(3, 7), num_values=2, width=5, height=4),
        num_scalars=3,
        plane_shape=(2, 4, 5),
        plane_scales=(1.0, 1.0),
        action=ActionSpec(component_sizes=(3, 4, 5), arguments=((), (1,), (1, 2)), per_entity=True),
        reward_terms=("win", "harvest"),
    )
    assert spec.action.mask_size == 12
    assert spec.action.action_size == 3
    assert spec.action.has_waits


@pytest.mark.parametrize(
    ("space", "expected", "mask_size", "action_size"),
    [
        (spaces.Discrete(4), ActionSpec(component_sizes=(4,), scalar=True), 4, 1),
        (spaces.MultiDiscrete([2, 3]), ActionSpec(component_sizes=(2, 3)), 5, 2),
        (
            spaces.Box(np.array([-1, -2], np.float32), np.array([1, 2], np.float32)),
            ActionSpec(box_size=2, box_low=(-1.0, -2.0), box_high=(1.0, 2.0)),
            0,
            2,
        ),
    ],
)
def test_spec_of_plain_action_spaces(
    space: spaces.Space[Any], expected: ActionSpec, mask_size: int, action_size: int
) -> None:
    spec = AgentSpec.from_spaces(games.vector_space(), space)
    assert spec.action == expected
    assert (spec.action.mask_size, spec.action.action_size) == (mask_size, action_size)
    assert not spec.action.has_waits
    assert (spec.entities, spec.plane_shape, spec.num_scalars) == (None, None, 3)


@pytest.mark.parametrize(
    ("observation_space", "action_space", "message"),
    [
        (games.vector_space(), spaces.MultiBinary(3), "expected a Discrete, MultiDiscrete, Box or UnitActionSpace"),
        (games.vector_space(), spaces.MultiDiscrete([[2, 3]]), "expected a Discrete, MultiDiscrete, Box"),
        (games.vector_space(), spaces.Discrete(3, start=1), "count from 0"),
        (games.vector_space(), spaces.MultiDiscrete([3, 2], start=[0, 1]), "count from 0"),
        (games.vector_space(), games.unit_action_space(), "unit actions need entities"),
        (spaces.Box(-1, 1, (3,)), DISCRETE, "expected a Dict observation space"),
        (spaces.Dict({"camera": spaces.Box(-1, 1, (3,))}), DISCRETE, r"unknown observation keys \['camera'\]"),
        (spaces.Dict({ACTION_MASK: spaces.Box(0, 1, (3,), np.int8)}), DISCRETE, "at least one of entities"),
    ],
)
def test_spaces_that_do_not_fit_are_errors(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        AgentSpec.from_spaces(observation_space, action_space)


def test_planes_carry_their_scale() -> None:
    high = np.stack([np.full((4, 4), 255), np.ones((4, 4)), np.full((4, 4), np.inf), np.full((4, 4), 3e38)])
    for dtype, box_high, scales in (
        (np.uint8, high[:2], (255.0, 1.0)),
        (np.float32, high, (255.0, 1.0, 1.0, 1.0)),
    ):
        box = spaces.Box(np.zeros_like(box_high, dtype), box_high.astype(dtype), dtype=dtype)
        spec = AgentSpec.from_spaces(spaces.Dict({PLANES: box}), DISCRETE)
        assert spec.plane_scales == scales


def test_packing_equals_loops_over_the_padded_observation() -> None:
    counts = [3, 0, 6, 1, 5]
    observation = games.random_observation(games.unit_observation_space(), np.random.default_rng(0), counts)
    decides = np.array([True, True, True, True, False])
    packed = pack_observation(observation, games.unit_game(), decides)
    assert len(packed) == 5
    entity: dict[str, list[Any]] = {key: [] for key in ("entity_categories", "entity_values", "entity_positions")}
    slots, masks, decision_counts = [], [], []
    for n, count in enumerate(counts):
        before = len(slots)
        for slot in range(count):
            for key, rows in entity.items():
                rows.append(observation[key][n, slot])
            if decides[n] and observation[ACTION_MASK][n, slot].any():
                slots.append(slot)
                masks.append(observation[ACTION_MASK][n, slot].astype(bool))
        decision_counts.append(len(slots) - before)
    assert sum(decision_counts) > 3
    np.testing.assert_array_equal(packed.entity_counts, counts)
    np.testing.assert_array_equal(packed.decision_counts, decision_counts)
    for key, rows in entity.items():
        np.testing.assert_array_equal(packed.entity[key], rows)
    np.testing.assert_array_equal(packed.decision["slot"], slots)
    np.testing.assert_array_equal(packed.decision[ACTION_MASK], masks)
    for key in (SCALARS, PLANES):
        np.testing.assert_array_equal(packed.sample[key], observation[key])


def test_packed_arrays_are_copies() -> None:
    observation = games.random_observation(games.unit_observation_space(), np.random.default_rng(1), [3, 2])
    packed = pack_observation(observation, games.unit_game())
    for part in (packed.sample, packed.entity, packed.decision):
        for name, array in part.items():
            assert not any(np.shares_memory(array, source) for source in observation.values()), name


def test_one_decision_per_observation() -> None:
    space = spaces.Dict({**games.vector_space(2).spaces, ACTION_MASK: spaces.Box(0, 1, (3,), np.int8)})
    mask = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1]], np.int8)
    observation = {SCALARS: np.arange(6, dtype=np.float32).reshape(3, 2), ACTION_MASK: mask}
    packed = pack_observation(observation, AgentSpec.from_spaces(space, DISCRETE), np.array([True, False, True]))
    np.testing.assert_array_equal(packed.decision_counts, [1, 0, 1])
    np.testing.assert_array_equal(packed.decision[ACTION_MASK], mask[[0, 2]].astype(bool))
    np.testing.assert_array_equal(packed.entity_counts, [0, 0, 0])
    assert packed.entity == {}


def test_holes_in_the_entity_list_are_an_error() -> None:
    observation = games.random_observation(games.unit_observation_space(), np.random.default_rng(2), [3, 2])
    observation[ENTITY_MASK][1] = [1, 0, 1, 0, 0, 0]
    with pytest.raises(ValueError, match="padding before one"):
        pack_observation(observation, games.unit_game())


@pytest.mark.parametrize("key", ["scalars", "planes", "entity_mask", "entity_values"])
def test_what_the_spec_has_must_be_there(key: str) -> None:
    observation = games.random_observation(games.unit_observation_space(), np.random.default_rng(0), [2, 3])
    del observation[key]
    with pytest.raises(ValueError, match=rf"expected the observation keys \['{key}'\] too, got \['action_mask'"):
        pack_observation(observation, games.unit_game())


def test_unit_actions_without_mask_are_an_error() -> None:
    observation = games.random_observation(games.unit_observation_space(), np.random.default_rng(2), [3, 2])
    del observation[ACTION_MASK]
    with pytest.raises(ValueError, match="action_mask"):
        pack_observation(observation, games.unit_game())


def test_input_tensors_equal_loops() -> None:
    counts = [3, 0, 5, 1]
    packed = games.random_units(3, counts)
    inputs = AgentInput.from_packed(packed)
    assert inputs.size == 4
    assert inputs.entity_mask is not None
    assert inputs.entity_mask.tolist() == [[slot < count for slot in range(5)] for count in counts]
    assert inputs.entity_sample is not None
    assert inputs.entity_sample.tolist() == [n for n, count in enumerate(counts) for _ in range(count)]
    expected = [
        (n, position, sum(counts[:n]) + int(packed.decision["slot"][sum(packed.decision_counts[:n]) + position]))
        for n, decisions in enumerate(packed.decision_counts)
        for position in range(decisions)
    ]
    assert inputs.decision_entity is not None
    got = zip(
        inputs.decision_sample.tolist(), inputs.decision_slot.tolist(), inputs.decision_entity.tolist(), strict=True
    )
    assert list(got) == expected
    assert inputs.decision_mask.sum(1).tolist() == packed.decision_counts.tolist()
    assert inputs.decision_mask.shape[1] == packed.decision_counts.max()
    assert inputs.categories is not None
    assert inputs.categories.dtype == torch.int64
    assert inputs.planes is not None
    assert inputs.planes.dtype == torch.float32


def test_spec_of_a_game_of_function_calls() -> None:
    space = call_games.call_space()
    spec = call_games.call_game(space)
    assert spec.num_value_scalars == 2
    assert (spec.action.mask_size, spec.action.action_size) == (6, 9)
    calls = spec.action.function_call
    assert calls == FunctionCallSpec(
        component_sizes=(6, 4, 2, 3, 6, 64, 7),
        point_shape=(8, 8),
        max_selected=3,
        arguments=(
            ("delay",),
            ("delay", "queued", "selected"),
            ("delay", "queued", "repeat", "selected", "target_point"),
            ("delay", "selected", "target_entity"),
            ("delay", "target_point"),
            ("delay", "queued", "repeat", "selected", "target_entity", "target_point"),
        ),
        selectable=((), (1, 2), (1, 2), (1,), (), (2,)),
        targetable=((), (), (), (1, 2), (), (1,)),
        num_selection_classes=3,
        num_target_classes=3,
    )
    assert hash(calls) == hash(FunctionCallSpec.from_space(call_games.call_space()))
    assert calls != FunctionCallSpec.from_space(call_games.call_space(max_delay=5))
    assert repr(calls) == "FunctionCallSpec(6 functions, 6 entities, points 8 x 8, at most 3 selected)"
    assert calls.readers("queued") == (False, True, True, False, False, True)
    assert space.contains(calls.idle_actions(2)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({ENTITY_CLASSES: None}, "function calls need entities and the keys 'entity_classes' and 'action_mask'"),
        ({ACTION_MASK: None}, "function calls need entities and the keys"),
        ({ENTITY_CLASSES: spaces.Box(0, 3, (6, 2), np.int32)}, r"at most 3 selection and 3 target classes.* \[4, 4\]"),
        ({ENTITY_MASK: spaces.Box(0, 1, (7,), np.int8)}, "expected the 6 entity slots that .* got 7"),
    ],
)
def test_observations_that_function_calls_cannot_be_made_from_are_errors(
    change: dict[str, spaces.Space[Any] | None], message: str
) -> None:
    space = call_games.call_space()
    parts = {**call_games.observation_space(space).spaces, **change}
    with pytest.raises(ValueError, match=message):
        AgentSpec.from_spaces(spaces.Dict({key: part for key, part in parts.items() if part is not None}), space)


def test_packing_function_calls_keeps_classes_and_drops_rows_that_may_call_nothing() -> None:
    observation = call_games.random_observation(0, [4, 2, 6])
    observation[ACTION_MASK][1] = 0
    packed = pack_observation(observation, call_games.call_game())
    assert packed.decision_counts.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(packed.decision[ACTION_MASK], observation[ACTION_MASK][[0, 2]].astype(bool))
    rows = [observation[ENTITY_CLASSES][n, :count] for n, count in enumerate((4, 2, 6))]
    np.testing.assert_array_equal(packed.entity[ENTITY_CLASSES], np.concatenate(rows))
    np.testing.assert_array_equal(packed.sample[VALUE_SCALARS], observation[VALUE_SCALARS])
    inputs = AgentInput.from_packed(packed)
    assert inputs.decision_sample.tolist() == [0, 2]
    assert inputs.entity_classes is not None
    assert inputs.entity_classes.dtype == torch.int64
    del observation[ACTION_MASK]
    with pytest.raises(ValueError, match="function calls need the observation key 'action_mask'"):
        pack_observation(observation, call_games.call_game())
