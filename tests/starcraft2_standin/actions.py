"""Actions of the game's API: what they do, and how they are told back ("echoed") in the next observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2clientprotocol import error_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import commands, screen_actions, selection
from .facts import ATTACK, GATHER, HOLD, MOVE, PATROL, RETURN, SCAN_MOVE, SMART, STOP
from .unit import Unit

if TYPE_CHECKING:
    from .observation import View

Point = tuple[float, float]
_SAME_FOR_ALL = ((commands.MOVES, MOVE), (commands.PATROLS, PATROL), (commands.STOPS, STOP), (commands.HOLDS, HOLD))


def apply(view: View, action: sc_pb.Action, try_only: bool = False) -> int:
    """Carry out an action for the view's player and return its ActionResult; with `try_only` nothing changes."""
    if action.HasField("action_raw"):
        return _raw(view, action, try_only)
    if action.HasField("action_feature_layer") or action.HasField("action_ui"):
        return screen_actions.apply(view, action, try_only)
    if action.HasField("action_render"):
        return screen_actions.apply(view, _as_feature_layer(action), try_only)
    return error_pb2.Success


def _as_feature_layer(action: sc_pb.Action) -> sc_pb.Action:
    converted = sc_pb.Action()
    converted.action_feature_layer.CopyFrom(action.action_render)
    return converted


def _raw(view: View, action: sc_pb.Action, try_only: bool) -> int:
    raw, (ox, oy) = action.action_raw, view.offset
    if raw.HasField("camera_move"):
        if not try_only:
            centre = raw.camera_move.center_world_space
            move_camera(view, (centre.x + ox, centre.y + oy))
        return error_pb2.Success
    if not raw.HasField("unit_command"):
        return error_pb2.Success
    order = raw.unit_command
    position = None
    if order.HasField("target_world_space_pos"):
        position = (order.target_world_space_pos.x + ox, order.target_world_space_pos.y + oy)
    tags = list(order.unit_tags)
    if view.options.raw_affects_selection and not try_only:
        selection.select(view, [view.world.units[tag] for tag in tags if tag in view.world.units])
    target = order.target_unit_tag if order.HasField("target_unit_tag") else 0
    return commands.command(
        view.world, view.player.id, order.ability_id, tags, position, target, order.queue_command, try_only
    )


def move_camera(view: View, centre: Point) -> None:
    """Put the camera somewhere on the map."""
    view.player.camera = view.world.terrain.clamp(*centre)


def executed_ability(view: View, ability: int, units: list[Unit], has_target: bool) -> int:
    """Return the ability that a general command turned into for the units that took it."""
    for group, meaning in _SAME_FOR_ALL:
        if ability in group:
            return meaning
    if ability in commands.ATTACKS:
        return ATTACK if any(unit.facts.weapons for unit in units) else SCAN_MOVE
    for unit in units:
        if ability in commands.GATHERS and unit.type in GATHER:
            return GATHER[unit.type]
        if ability in commands.RETURNS and unit.type in RETURN:
            return RETURN[unit.type]
        facts = commands.specific(unit, ability)
        if facts is not None:
            return facts.id
    return SMART if ability == SMART and not has_target else ability


def echo(view: View, action: sc_pb.Action, loop: int) -> bytes:
    """Return an executed action as the game tells it back, in the interfaces that the player asked for."""
    told = sc_pb.Action()
    told.CopyFrom(action)
    told.game_loop = loop
    options, (ox, oy) = view.options, view.offset
    if told.HasField("action_raw") and told.action_raw.HasField("unit_command"):
        order = told.action_raw.unit_command
        units = [view.world.units[tag] for tag in order.unit_tags if tag in view.world.units]
        order.ability_id = executed_ability(view, order.ability_id, units, order.HasField("target_unit_tag"))
    if told.HasField("action_raw") and told.action_raw.HasField("camera_move") and options.HasField("feature_layer"):
        centre = told.action_raw.camera_move.center_world_space
        screen_actions.tell_camera(view, told, (centre.x + ox, centre.y + oy))
    elif options.HasField("feature_layer") and told.HasField("action_raw"):
        screen_actions.tell_command(view, told)
    elif options.raw and told.HasField("action_feature_layer"):
        screen_actions.tell_raw(view, told)
    if not options.raw:
        told.ClearField("action_raw")
    return told.SerializeToString()
