"""The unit list of a raw observation, unit by unit, as serialized protobufs; what did not change is not built again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2clientprotocol import raw_pb2

from . import combat, construction, economy
from .facts import NEUTRAL_OWNER, TERRAN, ZERG
from .unit import Player, Unit
from .vision import is_visible
from .wire import varint

if TYPE_CHECKING:
    from .observation import View

VISIBLE, SNAPSHOT, HIDDEN = raw_pb2.Visible, raw_pb2.Snapshot, raw_pb2.Hidden
SELF, NEUTRAL, ENEMY = raw_pb2.Self, raw_pb2.Neutral, raw_pb2.Enemy
CARRY_MINERALS = 271
CARRY_VESPENE = {TERRAN: 273, 3: 274, ZERG: 275}
SHIELD_UPGRADES = (84, 85, 86)


def display_of(view: View, unit: Unit, lift_fog: bool) -> int | None:
    """Return how a unit of another owner shows to the view's player, or None if it does not."""
    player = view.player
    grid = player.visibility
    seen = view.sees_all or grid is None or is_visible(grid, unit)
    if not seen:
        if lift_fog:
            return HIDDEN
        if unit.owner == NEUTRAL_OWNER or unit.tag in player.snapshots:
            return SNAPSHOT
        return None
    if unit.cloaked and player.detected is not None and not player.detected[int(unit.y), int(unit.x)]:
        return HIDDEN if view.options.show_cloaked else None
    return VISIBLE


def visible_units(view: View, lift_fog: bool = False) -> list[tuple[Unit, int]]:
    """Return the units that the view's player is told of, each with its display type; own units first."""
    loop, own, others = view.world.loop, [], []
    for unit in view.world.units.values():
        if unit.carrier:
            continue
        unit.locate(loop)
        if unit.owner == view.player.id:
            own.append((unit, VISIBLE))
        else:
            display = display_of(view, unit, lift_fog)
            if display is not None:
                others.append((unit, display))
    for tag, unit in view.player.snapshots.items():
        if tag not in view.world.units:
            others.append((unit, SNAPSHOT))
    return own + others


def unit_list(view: View, shown: list[tuple[Unit, int]]) -> bytes:
    """Return the `units` field of ObservationRaw, serialized."""
    loop = view.world.loop
    camera_x, camera_y = view.player.camera
    harvesting = economy.harvesters(view.world, view.player.id)
    chunks = []
    for unit, display in shown:
        on_screen = abs(unit.x - camera_x) < view.half_width and abs(unit.y - camera_y) < view.half_height
        key: tuple[object, ...] | None = None
        quiet = not unit.orders and not unit.buffs and unit.done_at <= loop and not unit.facts.energy
        if quiet or unit.owner != view.player.id:
            position = (unit.x, unit.y, unit.facing, unit.health, unit.shield, unit.minerals, unit.vespene, unit.type)
            state = (display, on_screen, unit.selected, unit.ready_at > loop, bool(unit.orders), unit.done_at > loop)
            key = (*position, *state, unit.assigned, unit.addon, harvesting.get(unit.tag), len(unit.buffs))
            cached = view.cache.get(unit.tag)
            if cached is not None and cached[0] == key:
                chunks.append(cached[1])
                continue
        body = build(view, unit, display, on_screen, harvesting.get(unit.tag)).SerializePartialToString()
        chunk = b"\x12" + varint(len(body)) + body
        if key is not None and unit.ready_at <= loop and unit.done_at <= loop:
            view.cache[unit.tag] = (key, chunk)
        chunks.append(chunk)
    return b"".join(chunks)


def build(
    view: View, unit: Unit, display: int, on_screen: bool, harvesting: tuple[int, int] | None = None
) -> raw_pb2.Unit:
    """Return one unit's message for the view's player."""
    own = unit.owner == view.player.id
    facts, loop = unit.facts, view.world.loop
    message = raw_pb2.Unit(
        display_type=display,
        alliance=SELF if own else NEUTRAL if unit.owner == NEUTRAL_OWNER else ENEMY,
        tag=unit.tag,
        unit_type=unit.type,
        owner=unit.owner,
        facing=unit.facing,
        radius=facts.radius,
        build_progress=unit.build_progress(loop),
        cloak=_cloak(view, unit, display, own),
        is_on_screen=on_screen,
        is_blip=False,
    )
    position = message.pos
    position.x, position.y, position.z = unit.x - view.offset[0], unit.y - view.offset[1], unit.z
    message.is_flying = facts.flying
    if display == VISIBLE:
        _add_details(view, message, unit, own)
        if own:
            _add_own(view, message, unit, harvesting)
    return message


def _add_details(view: View, message: raw_pb2.Unit, unit: Unit, own: bool) -> None:
    """Add what everybody who sees the unit is told."""
    facts, loop = unit.facts, view.world.loop
    message.health, message.health_max = unit.health, facts.health
    if facts.shield:
        message.shield, message.shield_max = unit.shield, facts.shield
    if facts.energy:
        message.energy, message.energy_max = unit.energy_now(loop), facts.energy
    if unit.minerals:
        message.mineral_contents = unit.minerals
    if unit.vespene:
        message.vespene_contents = unit.vespene
    message.is_active = _active(view, unit)
    if unit.hallucination and (own or _detected(view, unit)):
        message.is_hallucination = True
    if unit.addon:
        message.add_on_tag = unit.addon
    _add_buffs(message, unit, loop)
    owner = view.world.players.get(unit.owner)
    if owner is not None and owner.upgrades:
        _add_levels(message, unit, owner)


def _detected(view: View, unit: Unit) -> bool:
    grid = view.player.detected
    return grid is not None and bool(grid[int(unit.y), int(unit.x)])


def _cloak(view: View, unit: Unit, display: int, own: bool) -> int:
    if display == HIDDEN and not unit.cloaked:
        return raw_pb2.CloakedUnknown
    if own:
        return raw_pb2.CloakedAllied if unit.cloaked else raw_pb2.NotCloaked
    if display == HIDDEN:
        grid = view.player.visibility
        here = view.sees_all or (grid is not None and is_visible(grid, unit))
        return raw_pb2.Cloaked if here else raw_pb2.CloakedUnknown
    return raw_pb2.CloakedDetected if unit.cloaked else raw_pb2.NotCloaked


def _active(view: View, unit: Unit) -> bool:
    if unit.facts.structure and not construction.powered(view.world, unit):
        return False
    return bool(unit.orders)


def _add_buffs(message: raw_pb2.Unit, unit: Unit, loop: int) -> None:
    if unit.carried[0]:
        message.buff_ids.append(CARRY_MINERALS)
    elif unit.carried[1]:
        message.buff_ids.append(CARRY_VESPENE[unit.facts.race])
    for buff, (end, loops) in unit.buffs.items():
        message.buff_ids.append(buff)
        message.buff_duration_remain, message.buff_duration_max = max(0, end - loop), loops


def _add_levels(message: raw_pb2.Unit, unit: Unit, owner: Player) -> None:
    level = combat.weapon_level(owner, unit.type)
    if level:
        message.attack_upgrade_level = level
    if unit.facts.shield:
        shields = sum(upgrade in owner.upgrades for upgrade in SHIELD_UPGRADES)
        if shields:
            message.shield_upgrade_level = shields


def _add_own(view: View, message: raw_pb2.Unit, unit: Unit, harvesting: tuple[int, int] | None) -> None:
    """Add what only the owner is told."""
    loop = view.world.loop
    message.is_powered = construction.powered(view.world, unit) if unit.facts.structure else False
    message.is_selected = unit.selected
    if unit.ready_at > loop:
        message.weapon_cooldown = float(unit.ready_at - loop)
    if unit.engaged and not unit.facts.worker:
        message.engaged_target_tag = unit.engaged
    if harvesting is not None:
        message.assigned_harvesters, message.ideal_harvesters = harvesting
    if unit.facts.cargo_space:
        message.cargo_space_max = unit.facts.cargo_space
    for order in unit.orders:
        added = message.orders.add(ability_id=order.ability)
        if order.target:
            added.target_unit_tag = order.target
        elif order.position is not None:
            added.target_world_space_pos.x = order.position[0] - view.offset[0]
            added.target_world_space_pos.y = order.position[1] - view.offset[1]
        progress = order.progress(loop)
        if progress:
            added.progress = progress
    _add_cargo(view, message, unit)
    if unit.rally is not None and unit.facts.structure:
        rally = message.rally_targets.add()
        rally.point.x, rally.point.y = unit.rally[0][0] - view.offset[0], unit.rally[0][1] - view.offset[1]
        if unit.rally[1]:
            rally.tag = unit.rally[1]


def _add_cargo(view: View, message: raw_pb2.Unit, unit: Unit) -> None:
    loop = view.world.loop
    for tag in unit.cargo:
        passenger = view.world.units.get(tag)
        if passenger is not None:
            message.cargo_space_taken += passenger.facts.cargo_size
            message.passengers.add(
                tag=passenger.tag,
                health=passenger.health,
                health_max=passenger.facts.health,
                shield=passenger.shield,
                shield_max=passenger.facts.shield,
                energy=passenger.energy_now(loop),
                energy_max=passenger.facts.energy,
                unit_type=passenger.type,
            )
