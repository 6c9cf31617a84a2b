"""Whether a function call is legal under an observation, and if not, why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.function_calls import (
    COMPONENT_NAMES,
    DELAY,
    FIRST_SELECTED,
    FUNCTION,
    SELECTED,
    TARGET_ENTITY,
    FunctionCallSpace,
)


def describe_illegal(
    call: NDArray[np.int64],
    action_mask: NDArray[np.int8],
    entity_classes: NDArray[np.int32],
    space: FunctionCallSpace,
) -> str | None:
    """Return what is illegal about a call [6 + K], None if it is legal.

    Args:
        call: function, delay and arguments.
        action_mask: int8 [F], the functions that may be called.
        entity_classes: int32 [E, 2], selection and target class of each slot.
        space: which arguments a function reads, and which classes it allows.
    """
    function = int(call[0])
    if not 0 <= function < len(action_mask) or not action_mask[function]:
        return f"component {FUNCTION!r} is {function}, legal are {np.flatnonzero(action_mask).tolist()}"
    names = space.arguments[function]
    for column, name in enumerate(COMPONENT_NAMES[1:FIRST_SELECTED], 1):
        size = space.component_sizes[name]
        if (name == DELAY or name in names) and not 0 <= call[column] < size:
            return f"component {name!r} is {call[column]}, legal are 0 to {size - 1}"
    if TARGET_ENTITY in names:
        slot = int(call[COMPONENT_NAMES.index(TARGET_ENTITY)])
        if not _allowed(space.target_table[function], entity_classes[[slot], 1]).all():
            return f"function {function} may not target the entity in slot {slot}"
    return _illegal_selection(call[FIRST_SELECTED:], function, entity_classes, space) if SELECTED in names else None


def _illegal_selection(
    selected: NDArray[np.int64], function: int, entity_classes: NDArray[np.int32], space: FunctionCallSpace
) -> str | None:
    count = int(np.count_nonzero(selected != space.max_entities))
    slots = selected[:count]
    if not count or (selected[count:] != space.max_entities).any():
        return f"{SELECTED!r} must be slots, at least one, and then {space.max_entities} only, got {selected.tolist()}"
    if (slots < 0).any() or (slots > space.max_entities).any() or len(np.unique(slots)) < count:
        return f"{SELECTED!r} must be distinct slots below {space.max_entities}, got {slots.tolist()}"
    wrong = slots[~_allowed(space.selection_table[function], entity_classes[slots, 0])]
    return f"function {function} may not be given to the entities in slots {wrong.tolist()}" if len(wrong) else None


def _allowed(table: NDArray[np.bool_], classes: NDArray[np.int32]) -> NDArray[np.bool_]:
    allowed: NDArray[np.bool_] = table[classes] & (classes > 0)
    return allowed
