"""The action space of function calls: what it contains, what it draws, when two are equal."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from envs.function_calls import FIRST_SELECTED, FunctionCallSpace, sample_function_call
from envs.spaces import ACTION_MASK, ENTITY_CLASSES

FUNCTIONS = [(), ("selected",), ("queued", "selected", "target_entity"), ("target_point",)]
SELECTION = [[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 0]]
TARGETS = [[0, 0, 0], [0, 0, 0], [1, 0, 1], [0, 0, 0]]
CLASSES = np.array([[1, 0], [2, 1], [1, 2], [0, 2], [0, 0], [0, 0]], np.int32)


def make_space(seed: int | None = None, **changes: object) -> FunctionCallSpace:
    arguments: dict[str, object] = {
        "max_entities": 6, "max_selected": 3, "max_delay": 8, "point_shape": (4, 5), "selection_table": SELECTION,
        "target_table": TARGETS,
    }  # fmt: skip
    return FunctionCallSpace(FUNCTIONS, seed=seed, **{**arguments, **changes})  # type: ignore[arg-type]


def test_a_call_has_one_entry_for_each_argument_and_each_selected_slot() -> None:
    space = make_space()
    assert space.component_sizes == {
        "function": 4, "delay": 8, "queued": 2, "repeat": 3, "target_entity": 6, "target_point": 20, "selected": 7,
    }  # fmt: skip
    assert space.nvec.tolist() == [4, 8, 2, 3, 6, 20, 7, 7, 7]
    assert (space.max_entities, space.max_selected, space.point_shape) == (6, 3, (4, 5))
    assert not space.selection_table.flags.writeable
    assert not space.target_table[:, 0].any(), "class 0 is never chosen, whatever the table says"


def test_selections_must_be_distinct_and_end_once() -> None:
    space = make_space()
    call = np.array([1, 0, 0, 0, 0, 0, 2, 0, 6])
    assert space.contains(call)
    assert space.contains(np.array([0, 7, 1, 2, 5, 19, 6, 6, 6]))
    assert not space.contains(np.array([1, 0, 0, 0, 0, 0, 2, 2, 6])), "a slot twice"
    assert not space.contains(np.array([1, 0, 0, 0, 0, 0, 6, 2, 6])), "a slot after the end"
    assert not space.contains(np.array([1, 8, 0, 0, 0, 0, 2, 0, 6])), "a delay out of range"


def test_samples_are_legal_and_reach_every_choice() -> None:
    space, generator = make_space(), np.random.default_rng(0)
    mask = np.array([0, 1, 1, 0], np.int8)
    calls = [sample_function_call(mask, CLASSES, space, generator) for _ in range(600)]
    assert all(space.contains(call) for call in calls)
    assert Counter(call[0] for call in calls).keys() == {1, 2}
    for call in calls:
        selected = {int(slot) for slot in call[FIRST_SELECTED:] if slot != 6}
        assert selected
        assert selected <= ({0, 2} if call[0] == 1 else {0, 1, 2})
        assert call[4] in ({0} if call[0] == 1 else {2, 3})
        assert call[5] == 0
        assert call[2] == 0 or call[0] == 2
    assert {int(call[1]) for call in calls} == set(range(8))
    assert {np.count_nonzero(call[FIRST_SELECTED:] != 6) for call in calls if call[0] == 2} == {1, 2, 3}


def test_an_empty_mask_asks_for_no_decision() -> None:
    call = sample_function_call(np.zeros(4, np.int8), CLASSES, make_space(), np.random.default_rng(0))
    assert call.tolist() == [0, 0, 0, 0, 0, 0, 6, 6, 6]


def test_a_function_without_a_choice_is_an_error() -> None:
    space, generator = make_space(), np.random.default_rng(0)
    with pytest.raises(ValueError, match="function 1 reads 'selected' but no entity may be chosen"):
        sample_function_call(np.array([0, 1, 0, 0]), np.zeros((6, 2), np.int32), space, generator)
    with pytest.raises(ValueError, match="function 2 reads 'target_entity' but no entity may be chosen"):
        sample_function_call(np.array([0, 0, 1, 0]), CLASSES * [[1, 0]], space, generator)


def test_sample_follows_the_current_legal_calls() -> None:
    space = make_space(seed=3)
    assert {int(space.sample()[0]) for _ in range(50)} == {0, 3}, "without entities only calls that choose none"
    space.legal_calls = {ACTION_MASK: np.array([0, 1, 0, 0]), ENTITY_CLASSES: CLASSES}
    assert {int(space.sample()[0]) for _ in range(20)} == {1}
    other = {ACTION_MASK: np.array([0, 0, 0, 1]), ENTITY_CLASSES: CLASSES}
    points = {int(space.sample(other)[5]) for _ in range(300)}
    assert points == set(range(20))
    with pytest.raises(ValueError, match="pass mask, not probability"):
        space.sample(probability=1)


def test_equal_seeds_draw_equal_calls() -> None:
    first, second = (make_space(seed=5) for _ in range(2))
    first.legal_calls = second.legal_calls = {ACTION_MASK: np.ones(4), ENTITY_CLASSES: CLASSES}
    assert all(np.array_equal(first.sample(), second.sample()) for _ in range(20))


def test_spaces_are_equal_by_all_that_a_call_means() -> None:
    space = make_space()
    assert space == make_space(seed=9)
    assert space == pickle.loads(pickle.dumps(space))
    assert repr(space).startswith("FunctionCallSpace({'function': 4")
    changes: list[dict[str, object]] = [
        {"max_entities": 7}, {"max_selected": 2}, {"point_shape": (5, 4)}, {"max_repeat": 1},
        {"selection_table": np.ones((4, 3))}, {"target_table": np.ones((4, 3))},
    ]  # fmt: skip
    for change in changes:
        assert space != make_space(**change), change


def test_arguments_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match=r"unknown arguments \['speed'\]"):
        FunctionCallSpace([("speed",)], max_entities=1, max_selected=1, selection_table=[[0]], target_table=[[0]])
    with pytest.raises(ValueError, match="max_selected must be 1 to max_entities = 6, got 7"):
        make_space(max_selected=7)
    with pytest.raises(ValueError, match=r"target_table must be \[4 functions, classes\], got the shape \(3, 3\)"):
        make_space(target_table=np.ones((3, 3)))
