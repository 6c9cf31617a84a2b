"""The answer to a query: pathing, abilities, placements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from s2clientprotocol import error_pb2, query_pb2

from . import commands, construction, selection
from .facts import ABILITIES, UNITS, VARIANTS

if TYPE_CHECKING:
    from .observation import View


def answer(view: View, request: query_pb2.RequestQuery, response: query_pb2.ResponseQuery) -> None:
    """Fill in the answers, one for each question, in their order."""
    for question in request.pathing:
        response.pathing.add(distance=_distance(view, question))
    for question in request.abilities:
        unit = view.world.units.get(question.unit_tag)
        told = response.abilities.add(unit_tag=question.unit_tag)
        if unit is not None:
            told.unit_type_id = unit.type
            for facts in commands.available(view.world, unit, request.ignore_resource_requirements):
                told.abilities.add(ability_id=facts.id, requires_point=facts.target not in selection.NO_PLACE)
    for question in request.placements:
        response.placements.add(result=_placement(view, question))


def _distance(view: View, question: Any) -> float:
    """Return the length of the path, 0 if there is none (the end is outside)."""
    ox, oy = view.offset
    unit = view.world.units.get(question.unit_tag) if question.HasField("unit_tag") else None
    start = unit.locate(view.world.loop) if unit is not None else (question.start_pos.x + ox, question.start_pos.y + oy)
    end = (question.end_pos.x + ox, question.end_pos.y + oy)
    grid = view.world.terrain.pathable
    row, column = int(end[1]), int(end[0])
    reachable = 0 <= row < grid.shape[0] and 0 <= column < grid.shape[1] and bool(grid[row, column])
    return math.dist(start, end) if reachable or (unit is not None and unit.facts.flying) else 0.0


def _placement(view: View, question: Any) -> int:
    candidates = [question.ability_id, *VARIANTS.get(question.ability_id, ())]
    product = next((ABILITIES[a].product for a in candidates if a in ABILITIES and ABILITIES[a].product in UNITS), 0)
    if not product:
        return int(error_pb2.NotSupported)
    x, y = question.target_pos.x + view.offset[0], question.target_pos.y + view.offset[1]
    builder = view.world.units.get(question.placing_unit_tag)
    return construction.placement(view.world, view.player.id, product, x, y, None, builder)
