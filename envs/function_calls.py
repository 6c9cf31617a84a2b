"""The action space of games that are ordered by function calls with arguments: one call for each decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from envs.spaces import ACTION_MASK, ENTITY_CLASSES

FUNCTION = "function"
DELAY = "delay"
QUEUED = "queued"
REPEAT = "repeat"
TARGET_ENTITY = "target_entity"
TARGET_POINT = "target_point"
SELECTED = "selected"

COMPONENT_NAMES = (FUNCTION, DELAY, QUEUED, REPEAT, TARGET_ENTITY, TARGET_POINT, SELECTED)
ARGUMENT_NAMES = (QUEUED, REPEAT, TARGET_ENTITY, TARGET_POINT, SELECTED)
# Where the selected slots begin in an action.
FIRST_SELECTED = len(COMPONENT_NAMES) - 1


class FunctionCallSpace(spaces.MultiDiscrete):
    """One function call, int64 [6 + max_selected]: function, delay, queued, repeat, target entity and point, selection.

    The delay (stored as one less than the steps to wait) is always read; `arguments` tells which of the others a
    function reads. Arguments that are not read are 0. The selected slots are distinct and `max_entities` ends them:
    every place after the last one holds it, and so does every place where nothing is selected. A target point is
    y * width + x. An environment may keep `legal_calls`, the arrays of its current observation under `ACTION_MASK` [F]
    and `ENTITY_CLASSES` [E, 2], up to date, so that `sample()` draws only legal calls.

    Args:
        functions: for each function, the names of the arguments it reads, of `ARGUMENT_NAMES`.
        max_delay: largest number of steps until the next decision.
        max_repeat: how many times more than once an order can be given.
        point_shape: height and width of the grid of target points, in cells.
        selection_table: bool [functions, selection classes], True where units of the class take the function.
        target_table: bool [functions, target classes], True where entities of the class can be its target. Class 0
            of either table is never chosen.

    Attributes:
        component_sizes: number of choices of each component by name; `selected` counts the end of the selection.
        arguments: as `functions`.
        legal_calls: arrays of the current observation, or None.
    """

    def __init__(
        self,
        functions: Sequence[Sequence[str]],
        *,
        max_entities: int,
        max_selected: int = 64,
        max_delay: int = 128,
        max_repeat: int = 2,
        point_shape: tuple[int, int] = (256, 256),
        selection_table: ArrayLike,
        target_table: ArrayLike,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        unknown = {name for names in functions for name in names} - set(ARGUMENT_NAMES)
        if unknown:
            raise ValueError(f"functions read unknown arguments {sorted(unknown)}; there are {ARGUMENT_NAMES}")
        if not 1 <= max_selected <= max_entities:
            raise ValueError(f"max_selected must be 1 to max_entities = {max_entities}, got {max_selected}")
        self.arguments = tuple(tuple(names) for names in functions)
        self.max_selected = max_selected
        self.point_shape = (int(point_shape[0]), int(point_shape[1]))
        self.selection_table = _frozen_table("selection_table", selection_table, len(functions))
        self.target_table = _frozen_table("target_table", target_table, len(functions))
        self.component_sizes = {
            FUNCTION: len(functions),
            DELAY: max_delay,
            QUEUED: 2,
            REPEAT: max_repeat + 1,
            TARGET_ENTITY: max_entities,
            TARGET_POINT: self.point_shape[0] * self.point_shape[1],
            SELECTED: max_entities + 1,
        }
        self.legal_calls: Mapping[str, NDArray[Any]] | None = None
        sizes = list(self.component_sizes.values())
        super().__init__(np.array(sizes[:-1] + sizes[-1:] * max_selected, np.int64), seed=seed)

    @property
    def max_entities(self) -> int:
        """Number of entity slots, which is also the selected value that ends a selection."""
        return self.component_sizes[TARGET_ENTITY]

    def sample(self, mask: Any = None, probability: Any = None) -> NDArray[Any]:
        """Return a drawn call that is legal under `mask`, a mapping like `legal_calls` (the default).

        Function, delay, the other arguments and the number of selected units are drawn uniformly. Without any legal
        function (no decision is asked) the call is that of function 0 without arguments.
        """
        if probability is not None:
            raise ValueError("FunctionCallSpace draws uniformly: pass mask, not probability")
        mask = self.legal_calls if mask is None else mask
        if mask is None:
            mask = {
                ACTION_MASK: np.array(
                    [not {SELECTED, TARGET_ENTITY} & set(names) for names in self.arguments], np.int8
                ),
                ENTITY_CLASSES: np.zeros((self.max_entities, 2), np.int32),
            }
        return sample_function_call(mask[ACTION_MASK], mask[ENTITY_CLASSES], self, self.np_random)

    def contains(self, x: Any) -> bool:
        """Return whether `x` is a call in range whose selected slots are distinct and stand before the end."""
        if not super().contains(x):
            return False
        selected = np.asarray(x)[FIRST_SELECTED:]
        count = int(np.count_nonzero(selected != self.max_entities))
        return bool((selected[count:] == self.max_entities).all()) and len(np.unique(selected[:count])) == count

    def __eq__(self, other: object) -> bool:
        """Return whether the other space has the same components, arguments and tables."""
        return (
            isinstance(other, FunctionCallSpace)
            and self.component_sizes == other.component_sizes
            and self.arguments == other.arguments
            and self.max_selected == other.max_selected
            and self.point_shape == other.point_shape
            and np.array_equal(self.selection_table, other.selection_table)
            and np.array_equal(self.target_table, other.target_table)
        )

    def __repr__(self) -> str:
        """Return a short description."""
        return f"FunctionCallSpace({self.component_sizes}, max_selected={self.max_selected})"


def sample_function_call(
    action_mask: NDArray[Any], entity_classes: NDArray[Any], space: FunctionCallSpace, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return a drawn legal call [6 + K] for a mask [F] and entity classes [E, 2]; function 0 where none is legal.

    Raises:
        ValueError: if the drawn function needs units or a target and no entity may be chosen.
    """
    call = np.zeros(FIRST_SELECTED + space.max_selected, np.int64)
    call[FIRST_SELECTED:] = space.max_entities
    functions = np.flatnonzero(action_mask)
    if not len(functions):
        return call
    function = int(generator.choice(functions))
    names = space.arguments[function]
    call[0] = function
    for column, name in enumerate(COMPONENT_NAMES[1:FIRST_SELECTED], 1):
        if name == TARGET_ENTITY and name in names:
            call[column] = generator.choice(_choices(space.target_table, function, entity_classes[:, 1], name))
        elif name == DELAY or name in names:
            call[column] = generator.integers(space.component_sizes[name])
    if SELECTED in names:
        slots = _choices(space.selection_table, function, entity_classes[:, 0], SELECTED)
        count = int(generator.integers(1, min(len(slots), space.max_selected) + 1))
        call[FIRST_SELECTED : FIRST_SELECTED + count] = generator.choice(slots, count, replace=False)
    return call


def _choices(table: NDArray[np.bool_], function: int, classes: NDArray[Any], name: str) -> NDArray[np.intp]:
    slots = np.flatnonzero(table[function, classes] & (classes > 0))
    if not len(slots):
        raise ValueError(
            f"function {function} reads {name!r} but no entity may be chosen; clear its bit in {ACTION_MASK!r}"
        )
    return slots


def _frozen_table(name: str, table: ArrayLike, num_functions: int) -> NDArray[np.bool_]:
    array: NDArray[np.bool_] = np.array(table, np.bool_)
    if array.ndim != 2 or len(array) != num_functions:
        raise ValueError(f"{name} must be [{num_functions} functions, classes], got the shape {array.shape}")
    array[:, 0] = False
    array.setflags(write=False)
    return array
