"""A client of the stand-in inside the test's own process, and shorthands for requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s2clientprotocol import common_pb2, raw_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from tests.starcraft2_standin.server import Application
from tests.starcraft2_standin.session import Session

TERRAN, ZERG, PROTOSS = common_pb2.Terran, common_pb2.Zerg, common_pb2.Protoss
MARINE, COMMAND_CENTER, SCV, SUPPLY_DEPOT, BARRACKS = 48, 18, 45, 19, 21
TRAIN_SCV, BUILD_SUPPLY_DEPOT, BUILD_BARRACKS, ATTACK, MOVE = 524, 319, 321, 3674, 3794


def interface(**options: Any) -> sc_pb.InterfaceOptions:
    """Return raw options with a 64 x 64 minimap and a one-pixel screen."""
    made = sc_pb.InterfaceOptions(raw=True, score=True, show_cloaked=True, **options)
    made.feature_layer.width = 24
    made.feature_layer.resolution.x = made.feature_layer.resolution.y = 1
    made.feature_layer.minimap_resolution.x = made.feature_layer.minimap_resolution.y = 64
    return made


class Client:
    """Requests and answers, without a socket between."""

    def __init__(self, root: Path):
        self.session = Session(Application(root))
        self._id = 0

    def ask(self, **request: Any) -> sc_pb.Response:
        """Return the answer to one request."""
        self._id += 1
        raw = sc_pb.Request(id=self._id, **request).SerializeToString()
        return sc_pb.Response.FromString(self.session.handle(raw))

    def play(
        self, map_name: str = "Melee/Simple64", race: int = TERRAN, seed: int = 1, difficulty: int = 1, **create: Any
    ) -> sc_pb.InterfaceOptions:
        """Start a game against the script and return the options that were asked for."""
        options = create.pop("options", None) or interface()
        request = sc_pb.RequestCreateGame(random_seed=seed, **create)
        request.local_map.map_path = f"{map_name}.SC2Map"
        request.player_setup.add(type=sc_pb.Participant)
        if not map_name.startswith("mini_games"):
            request.player_setup.add(type=sc_pb.Computer, race=PROTOSS, difficulty=difficulty)
        assert not self.ask(create_game=request).create_game.HasField("error")
        assert self.ask(join_game=sc_pb.RequestJoinGame(race=race, options=options)).join_game.player_id == 1
        return options

    def step(self, loops: int) -> sc_pb.Response:
        """Advance the game."""
        return self.ask(step=sc_pb.RequestStep(count=loops))

    def observe(self, **request: Any) -> sc_pb.ResponseObservation:
        """Return an observation."""
        return self.ask(observation=sc_pb.RequestObservation(**request)).observation

    def order(
        self,
        ability: int,
        tags: list[int],
        at: tuple[float, float] | None = None,
        target: int | None = None,
        queue: bool = False,
    ) -> int:
        """Send one raw command and return its result."""
        action = sc_pb.Action()
        command = action.action_raw.unit_command
        command.ability_id, command.queue_command = ability, queue
        command.unit_tags.extend(tags)
        if at is not None:
            command.target_world_space_pos.x, command.target_world_space_pos.y = at
        if target is not None:
            command.target_unit_tag = target
        return self.ask(action=sc_pb.RequestAction(actions=[action])).action.result[0]


def units_of(observation: sc_pb.ResponseObservation, unit_type: int, alliance: int = raw_pb2.Self) -> list[Any]:
    """Return the observed units of a type and side."""
    units = observation.observation.raw_data.units
    return [unit for unit in units if unit.unit_type == unit_type and unit.alliance == alliance]
