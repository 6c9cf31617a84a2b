"""Debug commands: units out of nothing, deaths, hit points, resources, the end of the game."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from s2clientprotocol import debug_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import combat, economy, vision
from .facts import UNITS, UPGRADES

if TYPE_CHECKING:
    from .observation import View

RESOURCES = 5000


def apply(view: View, command: debug_pb2.DebugCommand) -> None:
    """Carry out one command for the view's player; drawing is ignored."""
    kind = command.WhichOneof("command")
    handler = _HANDLERS.get(kind)
    if handler is not None:
        handler(view, getattr(command, kind))


def _create_unit(view: View, order: debug_pb2.DebugCreateUnit) -> None:
    if order.unit_type not in UNITS:
        return
    for k in range(max(1, order.quantity)):
        x, y = order.pos.x + view.offset[0] + 0.5 * (k % 4), order.pos.y + view.offset[1] + 0.5 * (k // 4)
        unit = view.world.create(order.unit_type, order.owner, x, y)
        if unit.facts.town_hall and unit.facts.race == 2:
            economy.larva_clock(view.world, unit)
    vision.look(view.world)


def _kill_unit(view: View, order: debug_pb2.DebugKillUnit) -> None:
    for tag in order.tag:
        if tag in view.world.units:
            combat.kill(view.world, view.world.units[tag], None)


def _unit_value(view: View, order: debug_pb2.DebugSetUnitValue) -> None:
    unit = view.world.units.get(order.unit_tag)
    if unit is None:
        return
    if order.unit_value == order.Energy:
        unit.energy, unit.energy_at = min(order.value, unit.facts.energy), view.world.loop
    elif order.unit_value == order.Life:
        unit.health = min(order.value, unit.facts.health)
    elif order.unit_value == order.Shields:
        unit.shield = min(order.value, unit.facts.shield)


def _game_state(view: View, state: int) -> None:
    player = view.player
    if state == debug_pb2.god:
        player.gods = not player.gods
    elif state in (debug_pb2.minerals, debug_pb2.all_resources):
        player.minerals += RESOURCES
    if state in (debug_pb2.gas, debug_pb2.all_resources):
        player.vespene += RESOURCES
    elif state == debug_pb2.upgrade:
        player.upgrades.update(u.id for u in UPGRADES.values())
    elif state == debug_pb2.show_map:
        view.sees_all = not view.sees_all


def _end_game(view: View, order: debug_pb2.DebugEndGame) -> None:
    mine = view.player.id
    won = order.end_result == order.DeclareVictory
    results = {p: (sc_pb.Victory if (p == mine) == won else sc_pb.Defeat) for p in view.world.players}
    view.world.finish(results)


def _score(view: View, order: debug_pb2.DebugSetScore) -> None:
    view.player.score.curriculum = order.score


_HANDLERS: dict[str | None, Callable[[Any, Any], None]] = {
    "create_unit": _create_unit,
    "kill_unit": _kill_unit,
    "unit_value": _unit_value,
    "game_state": _game_state,
    "end_game": _end_game,
    "score": _score,
}
