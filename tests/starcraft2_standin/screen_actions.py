"""Actions through the screen, the minimap and the panels, and their translation to raw ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2clientprotocol import error_pb2, spatial_pb2, ui_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import actions, commands, production, selection
from .facts import LARVA
from .raw_units import visible_units
from .unit import Unit

if TYPE_CHECKING:
    from .layers import Canvas
    from .observation import View

Point = tuple[float, float]
_Select = spatial_pb2.ActionSpatialUnitSelectionPoint


def apply(view: View, action: sc_pb.Action, try_only: bool) -> int:
    """Carry out a feature-layer or panel action and return its ActionResult."""
    if action.HasField("action_ui"):
        return error_pb2.Success if try_only else _panel(view, action.action_ui)
    spatial = action.action_feature_layer
    if spatial.HasField("unit_command"):
        return _command(view, spatial.unit_command, try_only)
    if try_only or view.screen is None or view.minimap is None:
        return error_pb2.Success
    if spatial.HasField("camera_move"):
        centre = spatial.camera_move.center_minimap
        actions.move_camera(view, view.minimap.canvas.to_world(centre.x, centre.y))
    elif spatial.HasField("unit_selection_point"):
        point = spatial.unit_selection_point
        _select_at(view, point.selection_screen_coord, point.type)
    elif spatial.HasField("unit_selection_rect"):
        _select_in(view, spatial.unit_selection_rect)
    return error_pb2.Success


def _command(view: View, order: Any, try_only: bool) -> int:
    position, target = _target(view, order)
    tags = [unit.tag for unit in selection.selected(view)]
    if not tags:
        return error_pb2.NotSupported
    return commands.command(
        view.world, view.player.id, order.ability_id, tags, position, target, order.queue_command, try_only
    )


def _target(view: View, order: Any) -> tuple[Point | None, int]:
    """Return the point and, on the screen, the unit under it."""
    if order.HasField("target_minimap_coord") and view.minimap is not None:
        at = order.target_minimap_coord
        return view.minimap.canvas.to_world(at.x, at.y), 0
    if order.HasField("target_screen_coord") and view.screen is not None:
        at = order.target_screen_coord
        unit = unit_at(view, view.screen.canvas, at.x, at.y)
        return view.screen.canvas.to_world(at.x, at.y), unit.tag if unit is not None and _aims(unit) else 0
    return None, 0


def _aims(unit: Unit) -> bool:
    """Return whether a click on a unit means the unit rather than the ground (beacons and shards are ground)."""
    return unit.facts.race != 0 or unit.minerals > 0 or unit.vespene > 0


def unit_at(view: View, canvas: Canvas, x: int, y: int) -> Unit | None:
    """Return the unit drawn at a pixel, the uppermost."""
    for unit, _ in visible_units(view):
        box = canvas.box(unit)
        if box is not None and box[0].start <= y < box[0].stop and box[1].start <= x < box[1].stop:
            return unit
    return None


def _own(view: View) -> list[Unit]:
    return [unit for unit, _ in visible_units(view) if unit.owner == view.player.id]


def _select_at(view: View, at: Any, kind: int) -> None:
    if view.screen is None:
        return
    unit = unit_at(view, view.screen.canvas, at.x, at.y)
    if unit is None:
        return
    if unit.owner != view.player.id:
        return
    if kind in (_Select.AllType, _Select.AddAllType):
        canvas = view.screen.canvas
        chosen = [other for other in _own(view) if other.type == unit.type and canvas.box(other) is not None]
        selection.select(view, chosen, add=kind == _Select.AddAllType)
    elif kind == _Select.Toggle:
        unit.selected = not unit.selected
    else:
        selection.select(view, [unit])


def _select_in(view: View, rectangles: Any) -> None:
    if view.screen is None:
        return
    canvas, chosen = view.screen.canvas, []
    for rectangle in rectangles.selection_screen_coord:
        x0, x1 = sorted((rectangle.p0.x, rectangle.p1.x))
        y0, y1 = sorted((rectangle.p0.y, rectangle.p1.y))
        for unit in _own(view):
            box = canvas.box(unit)
            if box and box[0].start <= y1 and box[0].stop > y0 and box[1].start <= x1 and box[1].stop > x0:
                chosen.append(unit)
    mobile = [unit for unit in chosen if unit.facts.mobile and not unit.facts.structure]
    if chosen:
        selection.select(view, mobile or chosen, add=rectangles.selection_add)


def _panel(view: View, action: ui_pb2.ActionUI) -> int:
    own = _own(view)
    if action.HasField("select_army"):
        selection.select(view, selection.army(own), action.select_army.selection_add)
    elif action.HasField("select_larva"):
        selection.select(view, [unit for unit in own if unit.type == LARVA])
    elif action.HasField("select_warp_gates"):
        selection.select(
            view, [u for u in own if u.type == selection.WARP_GATE], action.select_warp_gates.selection_add
        )
    elif action.HasField("select_idle_worker"):
        _idle_worker(view, action.select_idle_worker.type, [u for u in own if u.facts.worker and not u.orders])
    elif action.HasField("control_group"):
        _control_group(view, action.control_group)
    elif action.HasField("multi_panel"):
        _multi_panel(view, action.multi_panel)
    elif action.HasField("production_panel"):
        for unit in selection.selected(view)[:1]:
            return production.cancel(view.world, unit)
    return error_pb2.Success


def _idle_worker(view: View, kind: int, idle: list[Unit]) -> None:
    Types = ui_pb2.ActionSelectIdleWorker  # noqa: N806  # a message class
    if idle:
        every = kind in (Types.All, Types.AddAll)
        selection.select(view, idle if every else idle[:1], add=kind in (Types.Add, Types.AddAll))


def _control_group(view: View, action: ui_pb2.ActionControlGroup) -> None:
    groups, index = view.player.groups, action.control_group_index
    tags = [unit.tag for unit in selection.selected(view)]
    if action.action == action.Recall:
        units = [view.world.units[tag] for tag in groups.get(index, []) if tag in view.world.units]
        selection.select(view, units)
    elif action.action in (action.Set, action.SetAndSteal):
        groups[index] = tags
    else:
        groups[index] = list(dict.fromkeys(groups.get(index, []) + tags))


def _multi_panel(view: View, action: ui_pb2.ActionMultiPanel) -> None:
    chosen = selection.selected(view)
    if not 0 <= action.unit_index < len(chosen):
        return
    unit = chosen[action.unit_index]
    if action.type == action.SingleSelect:
        selection.select(view, [unit])
    elif action.type == action.SelectAllOfType:
        selection.select(view, [other for other in chosen if other.type == unit.type])
    elif action.type == action.DeselectUnit:
        unit.selected = False
    else:
        for other in chosen:
            other.selected = other.selected and other.type != unit.type


def tell_camera(view: View, told: sc_pb.Action, centre: Point) -> None:
    """Add the minimap form of a camera move."""
    if view.minimap is not None and view.minimap.canvas.width:
        x, y = view.minimap.canvas.to_pixel(*centre)
        at = told.action_feature_layer.camera_move.center_minimap
        at.x, at.y = max(0, x), max(0, y)


def tell_command(view: View, told: sc_pb.Action) -> None:
    """Add the screen or minimap form of a raw command."""
    if view.screen is None or view.minimap is None or not told.action_raw.HasField("unit_command"):
        return
    raw = told.action_raw.unit_command
    order = told.action_feature_layer.unit_command
    order.ability_id, order.queue_command = raw.ability_id, raw.queue_command
    if raw.HasField("target_world_space_pos"):
        place = (raw.target_world_space_pos.x + view.offset[0], raw.target_world_space_pos.y + view.offset[1])
    elif raw.HasField("target_unit_tag") and raw.target_unit_tag in view.world.units:
        place = view.world.units[raw.target_unit_tag].locate(view.world.loop)
    else:
        return
    x, y = view.screen.canvas.to_pixel(*place)
    if 0 <= x < view.screen.size.x and 0 <= y < view.screen.size.y:
        order.target_screen_coord.x, order.target_screen_coord.y = x, y
    else:
        x, y = view.minimap.canvas.to_pixel(*place)
        order.target_minimap_coord.x, order.target_minimap_coord.y = max(0, x), max(0, y)


def tell_raw(view: View, told: sc_pb.Action) -> None:
    """Add the raw form of a screen action."""
    spatial, (ox, oy) = told.action_feature_layer, view.offset
    if spatial.HasField("camera_move") and view.minimap is not None:
        at = spatial.camera_move.center_minimap
        x, y = view.minimap.canvas.to_world(at.x, at.y)
        centre = told.action_raw.camera_move.center_world_space
        centre.x, centre.y = x - ox, y - oy
    elif spatial.HasField("unit_command"):
        position, target = _target(view, spatial.unit_command)
        units = selection.selected(view)
        raw = told.action_raw.unit_command
        raw.ability_id = actions.executed_ability(view, spatial.unit_command.ability_id, units, bool(target))
        spatial.unit_command.ability_id = raw.ability_id
        raw.unit_tags.extend(unit.tag for unit in units)
        raw.queue_command = spatial.unit_command.queue_command
        if target:
            raw.target_unit_tag = target
        elif position is not None:
            raw.target_world_space_pos.x, raw.target_world_space_pos.y = position[0] - ox, position[1] - oy
