"""What one player sees of the game, as the answers `game_info` and `observation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from s2clientprotocol import common_pb2, raw_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import layers, raw_units, score, selection
from .facts import LARVA
from .unit import Player, Unit
from .version import MARK
from .wire import field

if TYPE_CHECKING:
    from .world import World

CAMERA_WIDTH = 24.0
CAMERA_HEIGHT_OVER_GROUND = 9.0
PYLON_POWER_RADIUS = 6.5


class View:
    """One player's window on a game, under the interface options of its join request.

    Args:
        world: the game.
        player: whose eyes.
        options: the join request's interface options, echoed by `game_info`.
        sees_all: the game was created (or the replay started) without fog.
    """

    def __init__(self, world: World, player: Player, options: sc_pb.InterfaceOptions, sees_all: bool):
        self.world, self.player, self.options, self.sees_all = world, player, options, sees_all
        x0, y0, _, _ = world.terrain.playable
        self.offset = (x0, y0) if options.raw_crop_to_playable_area else (0, 0)
        layer = options.feature_layer
        width = layer.width or CAMERA_WIDTH
        ratio = layer.resolution.y / layer.resolution.x if layer.resolution.x else 1.0
        self.half_width, self.half_height = width / 2, width * ratio / 2
        self.cache: dict[int, tuple[tuple[object, ...], bytes]] = {}
        self.minimap = layers.Minimap(self) if options.HasField("feature_layer") else None
        self.screen = layers.Screen(self) if options.HasField("feature_layer") else None

    def observation(self, lift_fog: bool = False) -> bytes:
        """Return a serialized ResponseObservation, and forget the events that it told of."""
        world, player = self.world, self.player
        observation = sc_pb.Observation(game_loop=world.loop)
        units = [unit for unit in world.units.values() if unit.owner == player.id]
        self._common(observation.player_common, units)
        observation.alerts.extend(sorted(set(player.alerts)))
        player.alerts.clear()
        selection.add_abilities(self, observation)
        if self.options.score:
            observation.score.CopyFrom(score.build(world, player))
        shown = raw_units.visible_units(self, lift_fog)
        if self.minimap is not None and self.screen is not None:
            self.minimap.paint(observation.feature_layer_data.minimap_renders, shown)
            self.screen.paint(observation.feature_layer_data.renders, shown)
            selection.add_panels(self, observation.ui_data)
        if self.options.HasField("render"):
            layers.render(self, observation.render_data, shown)
        body = observation.SerializePartialToString()
        if self.options.raw:
            body += field(5, self._raw(units).SerializePartialToString() + raw_units.unit_list(self, shown))
        return field(3, body) + self._rest().SerializePartialToString()

    def _rest(self) -> sc_pb.ResponseObservation:
        """Return what surrounds the observation: action echoes, errors, results."""
        answer = sc_pb.ResponseObservation()
        for _, action in self.player.echoes:
            answer.actions.add().ParseFromString(action)
        self.player.echoes.clear()
        for tag, ability, result in self.player.errors:
            answer.action_errors.add(unit_tag=tag, ability_id=ability, result=result)
        self.player.errors.clear()
        if self.world.ended:
            for player in self.world.players.values():
                answer.player_result.add(player_id=player.id, result=player.result or sc_pb.Undecided)
        return answer

    def _common(self, common: sc_pb.PlayerCommon, units: list[Unit]) -> None:
        player = self.player
        used, cap, workers, army = self.world.supply(player.id)
        common.player_id = player.id
        common.minerals, common.vespene = int(player.minerals), int(player.vespene)
        common.food_used, common.food_cap = int(used + 0.5), int(cap)
        common.food_workers, common.food_army = int(workers), int(army + 0.5)
        common.idle_worker_count = sum(unit.facts.worker and not unit.orders for unit in units)
        common.army_count = len(selection.army(units))
        common.larva_count = sum(unit.type == LARVA for unit in units)
        common.warp_gate_count = sum(
            unit.type == selection.WARP_GATE and unit.cooldown_until <= self.world.loop for unit in units
        )

    def _raw(self, units: list[Unit]) -> raw_pb2.ObservationRaw:
        """Return the raw observation without its units."""
        world, player = self.world, self.player
        raw = raw_pb2.ObservationRaw()
        camera = raw.player.camera
        camera.x, camera.y = player.camera[0] - self.offset[0], player.camera[1] - self.offset[1]
        camera.z = CAMERA_HEIGHT_OVER_GROUND
        raw.player.upgrade_ids.extend(sorted(player.upgrades))
        for unit in units:
            if unit.facts.power and unit.done_at <= world.loop:
                source = raw.player.power_sources.add(radius=PYLON_POWER_RADIUS, tag=unit.tag)
                source.pos.x, source.pos.y, source.pos.z = unit.x - self.offset[0], unit.y - self.offset[1], unit.z
        self._map_state(raw)
        raw.event.dead_units.extend(player.dead)
        player.dead.clear()
        world.effects = [effect for effect in world.effects if effect[5] > world.loop]
        for effect, owner, x, y, radius, _ in world.effects:
            alliance = raw_pb2.Self if owner == player.id else raw_pb2.Enemy
            message = raw.effects.add(effect_id=effect, alliance=alliance, owner=owner, radius=radius)
            message.pos.add(x=x - self.offset[0], y=y - self.offset[1])
        return raw

    def _map_state(self, raw: raw_pb2.ObservationRaw) -> None:
        grids = ((raw.map_state.visibility, self.visibility(), 8), (raw.map_state.creep, self.world.creep, 1))
        for image, grid, bits in grids:
            if self.options.raw_crop_to_playable_area:
                x0, y0, x1, y1 = self.world.terrain.playable
                grid = grid[y0:y1, x0:x1]
            layers.put(image, grid, bits)

    def visibility(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Return the player's visibility grid, all visible without fog."""
        grid = self.player.visibility
        if self.sees_all or grid is None:
            return np.full((self.world.terrain.height, self.world.terrain.width), 2, np.uint8)
        return grid

    def game_info(self, path: str) -> sc_pb.ResponseGameInfo:
        """Return the map, the players and the options of this view."""
        terrain = self.world.terrain
        info = sc_pb.ResponseGameInfo(map_name=f"{terrain.name} ({MARK})", local_map_path=path)
        info.mod_names.append(MARK)
        for player in self.world.players.values():
            kind = sc_pb.Participant if player.human else sc_pb.Computer
            added = info.player_info.add(player_id=player.id, type=kind, race_requested=player.race_requested)
            added.player_name = player.name
            if player is self.player or self.sees_all:
                added.race_actual = player.race
            if not player.human:
                added.difficulty, added.ai_build = player.difficulty, player.ai_build
        start = info.start_raw
        x0, y0, x1, y1 = terrain.playable
        cropped = self.options.raw_crop_to_playable_area
        area = slice(y0, y1) if cropped else slice(None), slice(x0, x1) if cropped else slice(None)
        layers.put(start.pathing_grid, terrain.pathable[area], 1)
        layers.put(start.terrain_height, terrain.elevation[area], 8)
        layers.put(start.placement_grid, terrain.placeable[area], 1)
        start.map_size.CopyFrom(common_pb2.Size2DI(x=start.terrain_height.size.x, y=start.terrain_height.size.y))
        ox, oy = self.offset
        start.playable_area.p0.x, start.playable_area.p0.y = x0 - ox, y0 - oy
        start.playable_area.p1.x, start.playable_area.p1.y = x1 - ox, y1 - oy
        for other in self.world.players.values():
            if other is not self.player and self.world.mini_game is None:
                start.start_locations.add(x=other.start[0] - ox, y=other.start[1] - oy)
        info.options.CopyFrom(self.options)
        return info
