"""One client's requests: which is allowed when, and its answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from s2clientprotocol import sc2api_pb2 as sc_pb

from . import data_answer, queries, relay, replays
from .observation import View
from .room import Room
from .version import BASE_BUILD, GAME_VERSION, data_version
from .wire import field

if TYPE_CHECKING:
    from .server import Application

LOGGER = logging.getLogger(__name__)
LAUNCHED, INIT_GAME, IN_GAME, IN_REPLAY, ENDED = (
    sc_pb.launched,
    sc_pb.init_game,
    sc_pb.in_game,
    sc_pb.in_replay,
    sc_pb.ended,
)
ALLOWED = {
    "create_game": (LAUNCHED, INIT_GAME, IN_GAME, IN_REPLAY, ENDED),
    "join_game": (LAUNCHED, INIT_GAME),
    "restart_game": (IN_GAME, ENDED),
    "start_replay": (LAUNCHED, IN_GAME, IN_REPLAY, ENDED),
    "leave_game": (IN_GAME, ENDED),
    "game_info": (IN_GAME, IN_REPLAY, ENDED),
    "observation": (IN_GAME, IN_REPLAY, ENDED),
    "step": (IN_GAME, IN_REPLAY),
    "action": (IN_GAME,),
    "obs_action": (IN_REPLAY,),
    "data": (IN_GAME, IN_REPLAY, ENDED),
    "query": (IN_GAME, IN_REPLAY, ENDED),
    "save_replay": (IN_GAME, ENDED, IN_REPLAY),
    "debug": (IN_GAME,),
    "map_command": (IN_GAME,),
}
"""In which status a request is allowed; those not named always are."""
OBSERVATION_FIELD = 10
HOST_SEAT, GUEST_SEAT = 1, 2
OWN_REQUESTS = ("ping", "available_maps", "save_map", "quit", "create_game", "join_game", "replay_info", "start_replay")
"""What a guest of another process's game answers itself; the rest goes to the host."""


class NotAllowedError(Exception):
    """A request that has to be answered with an error text."""


class Session:
    """The state of a client; it outlives a dropped connection.

    Args:
        application: the process's shared state.
    """

    def __init__(self, application: Application):
        self.application = application
        self.status = LAUNCHED
        self.room: Room | None = None
        self.seat = HOST_SEAT
        self.view: View | None = None
        self.host: relay.Guest | None = None
        self.replay: replays.Playback | None = None

    def handle(self, raw: bytes) -> bytes:
        """Return the serialized Response to a serialized Request."""
        request = sc_pb.Request()
        try:
            request.ParseFromString(raw)
        except Exception as error:  # noqa: BLE001  # whatever protobuf says, the client is told
            return self._finish(sc_pb.Response(error=[f"Could not parse the request: {error}"]), request, b"")
        kind = request.WhichOneof("request")
        response, body = sc_pb.Response(), b""
        if kind is None:
            response.error.append("Missing request")
        elif self.host is not None and kind not in OWN_REQUESTS:
            return self._forward(raw, kind)
        elif self.status not in ALLOWED.get(kind, (self.status,)):
            ended = self.status == ENDED and kind in ("step", "action")
            status = sc_pb.Status.Name(self.status)
            response.error.append("Game has already ended" if ended else f"{kind} is not allowed in status {status}")
        else:
            body = self._answer(kind, request, response)
        return self._finish(response, request, body)

    def _answer(self, kind: str, request: sc_pb.Request, response: sc_pb.Response) -> bytes:
        handler: Callable[[Any, Any], bytes | None] | None = getattr(self, f"_do_{kind}", None)
        if handler is None:
            response.error.append(f"{kind} is not supported by the stand-in")
            return b""
        answer = getattr(response, kind)
        try:
            body = handler(getattr(request, kind), answer)
        except (NotAllowedError, TimeoutError) as error:
            response.error.append(str(error))
            return b""
        except Exception as error:
            LOGGER.exception("%s failed", kind)
            response.error.append(f"The stand-in failed at {kind}: {type(error).__name__}: {error}")
            return b""
        if body is None:
            answer.SetInParent()
        return body or b""

    def _finish(self, response: sc_pb.Response, request: sc_pb.Request, body: bytes) -> bytes:
        if request.HasField("id"):
            response.id = request.id
        response.status = self.status
        return body + response.SerializeToString()

    def _forward(self, raw: bytes, kind: str) -> bytes:
        """Let the host process answer, and take over the status that it reports."""
        if self.host is None:
            raise RuntimeError("no host to forward to")
        answer = self.host.ask(raw)
        self.status = relay.status_of(answer)
        if kind == "leave_game":
            self.host.close()
            self.host = None
        return answer

    @property
    def current(self) -> tuple[Room, View]:
        """The game that is on, and the player's view of it."""
        if self.room is None or self.view is None:
            raise NotAllowedError("No game is running")
        return self.room, self.view

    def _do_ping(self, request: Any, answer: sc_pb.ResponsePing) -> None:
        answer.game_version = self.application.faults.version or GAME_VERSION
        answer.data_version = data_version()
        answer.data_build = answer.base_build = BASE_BUILD

    def _do_available_maps(self, request: Any, answer: sc_pb.ResponseAvailableMaps) -> None:
        answer.local_map_paths.extend(self.application.installed_maps())
        answer.battlenet_map_names.extend(self.application.battle_net_maps())

    def _do_save_map(self, request: sc_pb.RequestSaveMap, answer: Any) -> None:
        self.application.saved_maps.add(request.map_path)

    def _do_create_game(self, request: sc_pb.RequestCreateGame, answer: sc_pb.ResponseCreateGame) -> None:
        path = request.local_map.map_path or request.battlenet_map_name
        if not path and not request.local_map.map_data:
            answer.error = sc_pb.ResponseCreateGame.MissingMap
        elif not self.application.has_map(request, path):
            answer.error, answer.error_details = sc_pb.ResponseCreateGame.InvalidMapPath, path
        elif not request.player_setup:
            answer.error = sc_pb.ResponseCreateGame.MissingPlayerSetup
        if answer.HasField("error"):
            return
        create = sc_pb.RequestCreateGame()
        create.CopyFrom(request)
        create.local_map.ClearField("map_data")
        seed = request.random_seed if request.HasField("random_seed") else time.time_ns() % (1 << 31)
        self._leave_host()
        self.room, self.view, self.replay = Room(create, path, seed), None, None
        self.seat, self.status = HOST_SEAT, INIT_GAME

    def _leave_host(self) -> None:
        if self.host is not None:
            self.host.close()
            self.host = None

    def _do_join_game(self, request: sc_pb.RequestJoinGame, answer: sc_pb.ResponseJoinGame) -> None:
        if self.status == INIT_GAME and self.room is not None:
            if self.room.participants > 1:
                self.application.listen_for_guests(self.room, request.server_ports.game_port)
            self.enter(self.room, request, HOST_SEAT)
            answer.player_id = self.view.player.id if self.view is not None else 0
        elif not request.HasField("server_ports"):
            raise NotAllowedError("No game to join")
        else:
            self.host = relay.Guest(request.host_ip or "127.0.0.1", request.server_ports.game_port)
            told = sc_pb.Response.FromString(self.host.ask(sc_pb.Request(join_game=request).SerializeToString()))
            answer.CopyFrom(told.join_game)
            self.status = told.status

    def enter(self, room: Room, request: sc_pb.RequestJoinGame, seat: int) -> None:
        """Take a seat in a game; blocks until it starts."""
        self.room, self.seat, self.view = room, seat, room.join(request, seat)
        self.status = IN_GAME

    def _do_restart_game(self, request: Any, answer: sc_pb.ResponseRestartGame) -> None:
        room, _ = self.current
        if room.participants > 1:
            answer.error = sc_pb.ResponseRestartGame.LaunchError
            return
        room.seed += 1
        room.log.clear()
        room.start()
        self.view, self.status = room.views[self.seat], IN_GAME

    def _do_leave_game(self, request: Any, answer: Any) -> None:
        room, _ = self.current
        room.leave(self.seat)
        self.status = LAUNCHED

    def _do_game_info(self, request: Any, answer: sc_pb.ResponseGameInfo) -> None:
        room, view = self.current
        answer.CopyFrom(view.game_info(room.path))

    def _do_data(self, request: sc_pb.RequestData, answer: Any) -> bytes:
        return field(13, data_answer.build(request))

    def _do_observation(self, request: sc_pb.RequestObservation, answer: Any) -> bytes:
        room, view = self.current
        if room.create.realtime and request.game_loop:
            room.wait_for_loop(request.game_loop)
        with room.condition:
            body = view.observation(request.disable_fog)
            if view.world.ended:
                self.status = ENDED
        return field(OBSERVATION_FIELD, body)

    def _do_step(self, request: sc_pb.RequestStep, answer: sc_pb.ResponseStep) -> None:
        room, view = self.current
        if self.replay is not None:
            self.replay.step(request.count or 1)
        elif room.create.realtime:
            raise NotAllowedError("step is not allowed in a realtime game")
        else:
            room.step(self.seat, request.count or 1)
        answer.simulation_loop = view.world.loop
        if view.world.ended:
            self.status = ENDED

    def _do_action(self, request: sc_pb.RequestAction, answer: sc_pb.ResponseAction) -> None:
        room, _ = self.current
        answer.result.extend(room.act(self.seat, action) for action in request.actions)

    def _do_obs_action(self, request: sc_pb.RequestObserverAction, answer: Any) -> None:
        _, view = self.current
        for action in request.actions:
            if action.HasField("camera_move"):
                place = action.camera_move.world_pos
                view.player.camera = view.world.terrain.clamp(place.x + view.offset[0], place.y + view.offset[1])

    def _do_query(self, request: Any, answer: Any) -> None:
        room, view = self.current
        with room.condition:
            queries.answer(view, request, answer)

    def _do_debug(self, request: sc_pb.RequestDebug, answer: Any) -> None:
        room, view = self.current
        with room.condition:
            room.debugged(view, request)

    def _do_save_replay(self, request: Any, answer: sc_pb.ResponseSaveReplay) -> None:
        room, _ = self.current
        if self.replay is not None:
            raise NotAllowedError("Not recording a replay")
        with room.condition:
            answer.data = replays.write(room)

    def _do_replay_info(self, request: sc_pb.RequestReplayInfo, answer: sc_pb.ResponseReplayInfo) -> None:
        replays.describe(request, answer)

    def _do_start_replay(self, request: sc_pb.RequestStartReplay, answer: sc_pb.ResponseStartReplay) -> None:
        playback = replays.start(request, answer)
        if playback is not None:
            self._leave_host()
            self.replay, self.room, self.view = playback, playback.room, playback.view
            self.status = IN_REPLAY
