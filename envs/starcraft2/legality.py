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
    function, *arguments = call[:FIRST_SELECTED].tolist()
    if not 0 <= function < len(action_mask) or not action_mask[function]:
        return f"component {FUNCTION!r} is {function}, legal are {np.flatnonzero(action_mask).tolist()}"
    names = space.arguments[function]
    for name, value in zip(COMPONENT_NAMES[1:FIRST_SELECTED], arguments, strict=True):
        size = space.component_sizes[name]
        if (name == DELAY or name in names) and not 0 <= value < size:
            return f"component {name!r} is {value}, legal are 0 to {size - 1}"
    if TARGET_ENTITY in names:
        slot = arguments[COMPONENT_NAMES.index(TARGET_ENTITY) - 1]
        # Class 0 is False in the tables: nothing that can be chosen.
        if not space.target_table[function, entity_classes[slot, 1]]:
            return f"function {function} may not target the entity in slot {slot}"
    return _illegal_selection(call[FIRST_SELECTED:], function, entity_classes, space) if SELECTED in names else None


def _illegal_selection(
    selected: NDArray[np.int64], function: int, entity_classes: NDArray[np.int32], space: FunctionCallSpace
) -> str | None:
    listed, end = selected.tolist(), space.max_entities
    count = len(listed) - listed.count(end)
    slots = listed[:count]
    if not slots or end in slots:
        return f"{SELECTED!r} must be slots, at least one, and then {end} only, got {listed}"
    if min(slots) < 0 or max(slots) > end or len(set(slots)) < count:
        return f"{SELECTED!r} must be distinct slots below {end}, got {slots}"
    allowed = space.selection_table[function, entity_classes[slots, 0]]
    if allowed.all():
        return None
    wrong = [slot for slot, is_allowed in zip(slots, allowed, strict=True) if not is_allowed]
    return f"function {function} may not be given to the entities in slots {wrong}"
