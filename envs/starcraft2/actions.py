"""Function calls to the game's protobuf actions and back, as pysc2 transforms its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.function_calls import (
    COMPONENT_NAMES,
    DELAY,
    FIRST_SELECTED,
    QUEUED,
    REPEAT,
    SELECTED,
    TARGET_ENTITY,
    TARGET_POINT,
    FunctionCallSpace,
)
from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.functions import FUNCTION_BY_ABILITY, FUNCTION_BY_NAME, FUNCTIONS, GENERAL_ABILITY, Function
from envs.starcraft2.scalars import LastAction

MAX_SELECTED = 64
_DELAY, _QUEUED, _REPEAT, _TARGET_ENTITY, _TARGET_POINT = (
    COMPONENT_NAMES.index(name) for name in (DELAY, QUEUED, REPEAT, TARGET_ENTITY, TARGET_POINT)
)
_CAMERA = FUNCTION_BY_NAME["raw_move_camera"]


def no_op(max_entities: int, max_selected: int = MAX_SELECTED) -> NDArray[np.int64]:
    """Return the call [6 + max_selected] of no function, without arguments, with the shortest delay."""
    call = np.zeros(FIRST_SELECTED + max_selected, np.int64)
    call[FIRST_SELECTED:] = max_entities
    return call


def delay(action: NDArray[np.integer]) -> int:
    """Return the game loops until the next decision, from 1."""
    return int(action[_DELAY]) + 1


def to_protobuf(action: NDArray[np.integer], tags: NDArray[np.integer], grid: Grid) -> list[Any]:
    """Return the `sc_pb.Action` messages of a call [6 + K]: none for no_op, several where the order is repeated.

    Args:
        tags: the game's tags of the entity slots [E]; 0 where a slot is no unit.
        grid: turns target points into world positions (centres of cells).

    Raises:
        ValueError: if the function does not exist, no unit is selected by a function that needs one, or a slot that
            is selected or targeted holds no unit.
    """
    function = _function(int(action[0]))
    if function.kind == "no_op":
        return []
    message = sc_pb.Action()
    raw = message.action_raw
    if function.kind == "camera":
        _set_point(raw.camera_move.center_world_space, action, grid)
        return [message]
    command = raw.toggle_autocast if function.kind == "autocast" else raw.unit_command
    command.ability_id = function.ability_id
    command.unit_tags.extend(_selected_tags(function, action, tags))
    if function.kind == "autocast":
        return [message]
    command.queue_command = bool(action[_QUEUED])
    if function.kind == "cmd_pt":
        _set_point(command.target_world_space_pos, action, grid)
    if function.kind == "cmd_unit":
        command.target_unit_tag = _tag(function, int(action[_TARGET_ENTITY]), tags)
    repetitions = 1 + (int(action[_REPEAT]) if function.kind == "cmd" else 0)
    return [message] * repetitions


def from_protobuf(
    message: Any,
    tags: NDArray[np.integer],
    grid: Grid,
    *,
    hide_specific: bool = False,
    max_selected: int = MAX_SELECTED,
) -> NDArray[np.int64]:
    """Return the call [6 + max_selected] of a `sc_pb.Action`, with the shortest delay and no repetition.

    As in pysc2, an action that is no raw one, that has an ability without a function, or whose units or target are in
    no slot, is no_op.

    Args:
        tags: the game's tags of the entity slots [E].
        grid: turns world positions into target points.
        hide_specific: return the general function where there is one.

    Raises:
        ValueError: if there is a function for the ability, but none that takes this kind of target.
    """
    call = no_op(len(tags), max_selected)
    raw = message.action_raw
    if raw.HasField("camera_move"):
        call[0] = _CAMERA.index
        call[_TARGET_POINT] = _cell(raw.camera_move.center_world_space, grid)
        return call
    toggles = raw.HasField("toggle_autocast")
    if not toggles and not raw.HasField("unit_command"):
        return call
    command = raw.toggle_autocast if toggles else raw.unit_command
    slot_of = {int(tag): slot for slot, tag in enumerate(tags) if tag}
    slots = list(dict.fromkeys(slot_of[tag] for tag in command.unit_tags if tag in slot_of))[:max_selected]
    kind = "autocast" if toggles else _kind(command)
    if not slots or (kind == "cmd_unit" and command.target_unit_tag not in slot_of):
        return call
    function = _function_of(command, kind, hide_specific)
    if function is None:
        return call
    call[0] = function.index
    call[FIRST_SELECTED : FIRST_SELECTED + len(slots)] = slots
    if function.kind == "cmd_pt":
        call[_TARGET_POINT] = _cell(command.target_world_space_pos, grid)
    if function.kind == "cmd_unit":
        call[_TARGET_ENTITY] = slot_of[command.target_unit_tag]
    if not toggles:
        call[_QUEUED] = int(command.queue_command)
    return call


def _function(index: int) -> Function:
    if not 0 <= index < len(FUNCTIONS):
        raise ValueError(f"expected a function from 0 to {len(FUNCTIONS) - 1}, got {index}")
    return FUNCTIONS[index]


def _function_of(command: Any, kind: str, hide_specific: bool) -> Function | None:
    """Return the function of a command, None for abilities that have none (dances, cheers, a map's own)."""
    ability = command.ability_id
    if not any((ability, other) in FUNCTION_BY_ABILITY for other in ("cmd", "cmd_pt", "cmd_unit", "autocast")):
        return None
    if hide_specific:
        ability = GENERAL_ABILITY.get(ability, ability)
    if (ability, kind) not in FUNCTION_BY_ABILITY:
        raise ValueError(f"expected a function of the kind {kind} for the ability {ability}, but pysc2 has none")
    return FUNCTION_BY_ABILITY[ability, kind]


def _kind(command: Any) -> str:
    if command.HasField("target_unit_tag"):
        return "cmd_unit"
    return "cmd_pt" if command.HasField("target_world_space_pos") else "cmd"


def _selected_tags(function: Function, action: NDArray[np.integer], tags: NDArray[np.integer]) -> list[int]:
    slots = [slot for slot in action[FIRST_SELECTED:].tolist() if slot != len(tags)]
    if not slots:
        raise ValueError(f"{function.name} orders units, but the call selects none; mask the end of the selection")
    return [_tag(function, slot, tags) for slot in slots]


def _tag(function: Function, slot: int, tags: NDArray[np.integer]) -> int:
    tag = int(tags[slot]) if 0 <= slot < len(tags) else 0
    if not tag:
        raise ValueError(f"{function.name} names slot {slot}, which holds no unit; choose by the entity classes")
    return tag


def _set_point(point: Any, action: NDArray[np.integer], grid: Grid) -> None:
    y, x = divmod(int(action[_TARGET_POINT]), grid.width)
    world = grid.to_world(np.array([[x, y]]))[0]
    point.x, point.y = float(world[0]), float(world[1])


def _cell(point: Any, grid: Grid) -> int:
    x, y = grid.to_cells(np.array([[point.x, point.y]]))[0]
    return int(y) * grid.width + int(x)


def last_action(action: NDArray[np.integer], tags: NDArray[np.integer]) -> LastAction:
    """Return a call as the next observation shows it: what its function reads, with the tags of units for slots."""
    function = _function(int(action[0]))
    selected = action[FIRST_SELECTED:] if SELECTED in function.arguments else action[:0]
    return LastAction(
        function=function.index,
        delay=int(action[_DELAY]),
        queued=int(action[_QUEUED]) if QUEUED in function.arguments else 0,
        repeat=int(action[_REPEAT]) if REPEAT in function.arguments else 0,
        selected_tags=tuple(tags[selected[selected < len(tags)]].tolist()),
        target_tag=int(tags[action[_TARGET_ENTITY]]) if TARGET_ENTITY in function.arguments else 0,
    )


def keep_allowed(
    action: NDArray[np.int64], entity_classes: NDArray[np.integer], space: FunctionCallSpace
) -> NDArray[np.int64] | None:
    """Return a call with only the selected units that take its function; None if none is left or its target is barred.

    Players order mixed groups, of which only some units take the order; the pointer to the others would be masked.
    Beyond `space.max_selected`, units are left out too.

    Args:
        action: int64 [6 + K], of any K.
        entity_classes: [E, 2] of the observation it belongs to.
        space: which classes each function allows.
    """
    function = _function(int(action[0]))
    names = function.arguments
    if TARGET_ENTITY in names:
        target_class = int(entity_classes[action[_TARGET_ENTITY], 1])
        if not target_class or not space.target_table[function.index, target_class]:
            return None
    kept = no_op(space.max_entities, space.max_selected)
    kept[:FIRST_SELECTED] = action[:FIRST_SELECTED]
    if SELECTED not in names:
        return kept
    slots = action[FIRST_SELECTED:]
    slots = slots[slots != space.max_entities]
    classes = entity_classes[slots, 0]
    slots = slots[space.selection_table[function.index, classes] & (classes > 0)][: space.max_selected]
    if not len(slots):
        return None
    kept[FIRST_SELECTED : FIRST_SELECTED + len(slots)] = slots
    return kept
