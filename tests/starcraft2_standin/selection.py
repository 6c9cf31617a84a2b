"""The selection, the abilities that it offers, and the panels that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2clientprotocol import sc2api_pb2 as sc_pb

from . import commands
from .facts import ABILITIES, LARVA
from .unit import Unit

if TYPE_CHECKING:
    from .observation import View

WARP_GATE = 133
NO_PLACE = ("None", "PointOrNone")
"""Targets of abilities that need no click on the map."""


def army(units: list[Unit]) -> list[Unit]:
    """Return the units that count as army: mobile, no workers, no larvae or eggs."""
    return [u for u in units if u.facts.mobile and not u.facts.worker and not u.facts.structure and u.type != LARVA
            and u.facts.supply > 0]  # fmt: skip


def selected(view: View) -> list[Unit]:
    """Return the player's selected units."""
    return [unit for unit in view.world.units.values() if unit.selected and unit.owner == view.player.id]


def select(view: View, units: list[Unit], add: bool = False) -> None:
    """Make these units the selection, or add them to it."""
    if not add:
        for unit in selected(view):
            unit.selected = False
    for unit in units:
        unit.selected = True


def add_abilities(view: View, observation: sc_pb.Observation) -> None:
    """List the abilities of the selected units, each once."""
    found: dict[int, None] = {}
    types: set[int] = set()
    for unit in selected(view):
        if unit.type not in types:
            types.add(unit.type)
            for ability in commands.available(view.world, unit):
                found.setdefault(ability.id)
    for ability_id in found:
        observation.abilities.add(ability_id=ability_id, requires_point=ABILITIES[ability_id].target not in NO_PLACE)


def _describe(view: View, message: Any, unit: Unit) -> None:
    loop = view.world.loop
    message.unit_type, message.player_relative = unit.type, 1
    message.health, message.shields, message.energy = int(unit.health), int(unit.shield), int(unit.energy_now(loop))
    message.max_health, message.max_shields = int(unit.facts.health), int(unit.facts.shield)
    message.max_energy = int(unit.facts.energy)
    message.build_progress = unit.build_progress(loop)
    message.transport_slots_taken = len(unit.cargo)


def add_panels(view: View, panel: Any) -> None:
    """Show the control groups, the selection and a structure's queue."""
    panel.SetInParent()
    for index, tags in view.player.groups.items():
        units = [view.world.units[tag] for tag in tags if tag in view.world.units]
        if units:
            panel.groups.add(control_group_index=index, leader_unit_type=units[0].type, count=len(units))
    chosen = selected(view)
    if not chosen:
        return
    if len(chosen) > 1:
        for unit in chosen:
            _describe(view, panel.multi.units.add(), unit)
        return
    unit = chosen[0]
    queue = [ABILITIES[order.ability] for order in unit.orders if order.ability in ABILITIES]
    queue = [ability for ability in queue if ability.kind in ("Train", "Research")]
    if unit.facts.structure and queue:
        _describe(view, panel.production.unit, unit)
        for order in unit.orders:
            _describe(view, panel.production.build_queue.add(), unit)
            panel.production.production_queue.add(
                ability_id=order.ability, build_progress=order.progress(view.world.loop)
            )
    else:
        _describe(view, panel.single.unit, unit)
