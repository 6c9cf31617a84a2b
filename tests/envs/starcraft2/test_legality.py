from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.function_calls import COMPONENT_NAMES, FIRST_SELECTED, FunctionCallSpace
from envs.spaces import ACTION_MASK, ENTITY_CLASSES
from envs.starcraft2.legality import describe_illegal

END = 6
SPACE = FunctionCallSpace(
    [(), ("queued", "selected"), ("selected", "target_entity"), ("target_point",)],
    max_entities=END,
    max_selected=3,
    point_shape=(4, 4),
    selection_table=[[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 0]],
    target_table=[[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]],
)
MASK = np.array([1, 1, 1, 0], np.int8)
CLASSES = np.array([[1, 1], [2, 1], [1, 2], [0, 2], [0, 0], [0, 0]], np.int32)


def call(function: int, selected: tuple[int, ...] = (END, END, END), **arguments: int) -> Any:
    values = np.zeros(FIRST_SELECTED + 3, np.int64)
    values[0] = function
    values[FIRST_SELECTED:] = selected
    for name, value in arguments.items():
        values[COMPONENT_NAMES.index(name)] = value
    return values


def test_sampled_calls_are_legal() -> None:
    SPACE.seed(0)
    calls = [SPACE.sample({ACTION_MASK: MASK, ENTITY_CLASSES: CLASSES}) for _ in range(200)]
    assert {int(each[0]) for each in calls} == {0, 1, 2}
    assert not any(describe_illegal(each, MASK, CLASSES, SPACE) for each in calls)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (call(3), r"'function' is 3, legal are \[0, 1, 2\]"),
        (call(-1), "'function' is -1"),
        (call(4), "'function' is 4"),
        (call(0, delay=128), "'delay' is 128, legal are 0 to 127"),
        (call(1, (0, END, END), queued=2), "'queued' is 2, legal are 0 to 1"),
        (call(1), "at least one"),
        (call(1, (END, 0, END)), "and then 6 only"),
        (call(1, (0, 0, END)), "distinct"),
        (call(1, (-1, END, END)), "distinct slots below 6"),
        (call(1, (7, END, END)), "distinct slots below 6"),
        (call(1, (0, 1, 3)), r"may not be given to the entities in slots \[1, 3\]"),
        (call(2, (1, END, END), target_entity=0), "may not target the entity in slot 0"),
        (call(2, (1, END, END), target_entity=6), "'target_entity' is 6"),
        (call(2, (1, END, END), target_entity=4), "may not target the entity in slot 4"),
    ],
)
def test_illegal_calls_are_described(action: Any, message: str) -> None:
    problem = describe_illegal(action, MASK, CLASSES, SPACE)
    assert problem is not None
    with pytest.raises(ValueError, match=message):
        raise ValueError(problem)


def test_arguments_that_are_not_read_do_not_count() -> None:
    action = call(0, (9, 9, -4), queued=7, target_entity=99)
    assert describe_illegal(action, MASK, CLASSES, SPACE) is None
    assert describe_illegal(call(2, (1, 0, 2), target_entity=3), MASK, CLASSES, SPACE) is None
