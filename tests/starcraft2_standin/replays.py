"""Replays: an MPQ archive with the metadata that pysc2 reads and our log of actions, which is played once more."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

from s2clientprotocol import debug_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import actions, debug_commands, mpq
from .observation import View
from .room import LOOPS_PER_SECOND, Room
from .version import BASE_BUILD, GAME_VERSION, RELEASE, data_version

METADATA, LOG = "replay.gamemetadata.json", "standin.log"
RACES = {0: "", 1: "Terr", 2: "Zerg", 3: "Prot", 4: "Rand"}
RESULTS = {0: "Undecided", sc_pb.Victory: "Win", sc_pb.Defeat: "Loss", sc_pb.Tie: "Tie", sc_pb.Undecided: "Undecided"}
MMR = 4000


def write(room: Room) -> bytes:
    """Return the replay of a room's game so far."""
    world = room.game
    minutes = max(1e-9, world.loop / LOOPS_PER_SECOND / 60)
    players = [
        {
            "PlayerID": player.id,
            "APM": sum(entry[1] == player.id for entry in room.log) / minutes,
            "Result": RESULTS[player.result],
            "SelectedRace": RACES[player.race_requested],
            "AssignedRace": RACES[player.race],
        }
        for player in world.players.values()
    ]
    metadata = {
        "Title": room.map_name,
        "GameVersion": f"{RELEASE}.{BASE_BUILD}",
        "DataBuild": str(BASE_BUILD),
        "DataVersion": data_version(),
        "BaseBuild": f"Base{BASE_BUILD}",
        "Duration": int(world.loop / LOOPS_PER_SECOND),
        "IsNotAvailable": False,
        "Players": players,
    }
    log = {
        "create": _text(room.create.SerializeToString()),
        "path": room.path,
        "seed": room.seed,
        "joined": {seat: _text(request.SerializeToString()) for seat, request in room.joined.items()},
        "loops": world.loop,
        "results": {player.id: player.result for player in world.players.values()},
        "actions": [(loop, player_id, _text(entry)) for loop, player_id, entry in room.log],
    }
    return mpq.write({METADATA: json.dumps(metadata).encode(), LOG: zlib.compress(json.dumps(log).encode())})


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read(request: sc_pb.RequestReplayInfo | sc_pb.RequestStartReplay) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metadata and the log of the replay that a request carries or names.

    Raises:
        ValueError: if it is no replay of the stand-in.
        OSError: if the file cannot be read.
    """
    data = request.replay_data or Path(request.replay_path).read_bytes()
    try:
        return json.loads(mpq.read(data, METADATA)), json.loads(zlib.decompress(mpq.read(data, LOG)))
    except zlib.error as error:
        raise ValueError(f"the replay's log is damaged: {error}") from error


def describe(request: sc_pb.RequestReplayInfo, answer: sc_pb.ResponseReplayInfo) -> None:
    """Fill in what a replay is about."""
    try:
        metadata, log = _read(request)
    except (ValueError, OSError) as error:
        answer.error, answer.error_details = sc_pb.ResponseReplayInfo.ParsingError, str(error)
        return
    answer.map_name, answer.local_map_path = metadata["Title"], log["path"]
    answer.game_duration_loops = log["loops"]
    answer.game_duration_seconds = log["loops"] / LOOPS_PER_SECOND
    answer.game_version, answer.data_version = GAME_VERSION, metadata["DataVersion"]
    answer.data_build = answer.base_build = BASE_BUILD
    codes = {name: number for number, name in RACES.items()}
    for entry in metadata["Players"]:
        told = answer.player_info.add(player_mmr=MMR, player_apm=int(entry["APM"]))
        told.player_info.player_id, told.player_info.type = entry["PlayerID"], sc_pb.Participant
        told.player_info.race_requested = codes[entry["SelectedRace"]]
        told.player_info.race_actual = codes[entry["AssignedRace"]]
        told.player_result.player_id = entry["PlayerID"]
        told.player_result.result = log["results"][str(entry["PlayerID"])] or sc_pb.Undecided


def start(request: sc_pb.RequestStartReplay, answer: sc_pb.ResponseStartReplay) -> Playback | None:
    """Return a replay that is ready to run, or None with the answer's error set."""
    if not request.HasField("options"):
        answer.error = sc_pb.ResponseStartReplay.MissingOptions
        return None
    if not request.replay_data and not request.replay_path:
        answer.error = sc_pb.ResponseStartReplay.MissingReplay
        return None
    try:
        _, log = _read(request)
    except (ValueError, OSError) as error:
        answer.error, answer.error_details = sc_pb.ResponseStartReplay.InvalidReplayData, str(error)
        return None
    return Playback(request, log)


class Playback:
    """A game that is played again, seen by one of its players.

    Args:
        request: who watches, and with which interface.
        log: what the replay recorded.
    """

    def __init__(self, request: sc_pb.RequestStartReplay, log: dict[str, Any]):
        create = sc_pb.RequestCreateGame.FromString(base64.b64decode(log["create"]))
        create.realtime = False
        self.room = Room(create, log["path"], log["seed"])
        for seat, text in log["joined"].items():
            self.room.joined[int(seat)] = sc_pb.RequestJoinGame.FromString(base64.b64decode(text))
        self.room.start()
        self._loops = log["loops"]
        self._results = {int(player): result for player, result in log["results"].items()}
        views = {view.player.id: view for view in self.room.views.values()}
        self.view = self._watch(request, views)
        for loop, player_id, text in log["actions"]:
            self._schedule(views, loop, player_id, base64.b64decode(text))

    def _watch(self, request: sc_pb.RequestStartReplay, views: dict[int, View]) -> View:
        """Return the observer's view, which takes the place of the player's own."""
        world = self.room.game
        watched = world.players[request.observed_player_id or 1]
        watched.human = True
        view = View(world, watched, request.options, request.disable_fog)
        self._own = views.get(watched.id)
        return view

    def _schedule(self, views: dict[int, View], loop: int, player_id: int, entry: bytes) -> None:
        world, acting = self.room.game, views[player_id]
        if entry[:1] == b"d":
            command = debug_pb2.DebugCommand.FromString(entry[1:])
            world.later(loop, player_id, lambda: debug_commands.apply(acting, command))
            return
        action = sc_pb.Action.FromString(entry[1:])

        def carry_out() -> None:
            told = actions.echo(acting, action, loop)
            if actions.apply(acting, action) == 0 or player_id == self.view.player.id:
                acting.player.echoes.append((loop, told))

        world.later(loop, player_id, carry_out)

    def step(self, loops: int) -> None:
        """Advance, at most to where the recording ends."""
        world = self.room.game
        world.step(min(loops, self._loops - world.loop))
        if world.loop >= self._loops and not world.ended:
            world.finish(self._results)
