"""One game and those who play it: players join, step together, leave."""

from __future__ import annotations

import threading
import time
from pathlib import PurePosixPath

from s2clientprotocol import error_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import actions, debug_commands
from .observation import View
from .unit import Player
from .world import World

LOOPS_PER_SECOND = 22.4
JOIN_TIMEOUT_SECONDS = 60.0
SINGLE_PLAYER_LAG, MULTI_PLAYER_LAG = 0, 1
"""Loops between the loop at which an action is sent and the one at which it is carried out."""
CENTER_CAMERA_LOOP = 1


class Room:
    """A game from create_game on; shared by the sessions of its one or two players.

    Args:
        create: the request, map data left out.
        path: the map's path.
        seed: of everything random.
    """

    def __init__(self, create: sc_pb.RequestCreateGame, path: str, seed: int):
        self.create, self.path, self.seed = create, path, seed
        self.condition = threading.Condition()
        self.joined: dict[int, sc_pb.RequestJoinGame] = {}
        self.views: dict[int, View] = {}
        self.log: list[tuple[int, int, bytes]] = []
        self.world: World | None = None
        self._targets: dict[int, int] = {}
        self._left: set[int] = set()
        self.participants = sum(setup.type == sc_pb.Participant for setup in create.player_setup)
        self.observed = any(setup.type == sc_pb.Observer for setup in create.player_setup)

    @property
    def map_name(self) -> str:
        """The map's name without folder and ending."""
        return PurePosixPath(self.path).name.removesuffix(".SC2Map")

    @property
    def game(self) -> World:
        """The running game.

        Raises:
            RuntimeError: before everybody has joined.
        """
        if self.world is None:
            raise RuntimeError("the game has not started")
        return self.world

    @property
    def lag(self) -> int:
        """Loops until an action is carried out; one more over a network."""
        return MULTI_PLAYER_LAG if self.participants > 1 else SINGLE_PLAYER_LAG

    def join(self, request: sc_pb.RequestJoinGame, player_id: int) -> View:
        """Seat a player and return its view once everybody is there.

        Raises:
            TimeoutError: if the others do not come.
        """
        with self.condition:
            self.joined[player_id] = request
            if len(self.joined) >= max(1, self.participants):
                self.start()
                self.condition.notify_all()
            elif not self.condition.wait_for(lambda: self.world is not None, JOIN_TIMEOUT_SECONDS):
                raise TimeoutError("the other player did not join")
            return self.views[player_id]

    def start(self) -> None:
        """Start the game with those who have joined."""
        players, next_id = [], 1
        waiting = iter(sorted(self.joined.items()))
        for setup in self.create.player_setup:
            if setup.type == sc_pb.Participant:
                _, request = next(waiting)
                players.append(Player(next_id, request.race, request.race, True, request.player_name))
            elif setup.type == sc_pb.Computer:
                name = setup.player_name or sc_pb.Difficulty.Name(setup.difficulty)
                kind = (setup.difficulty, setup.ai_build)
                players.append(Player(next_id, setup.race, setup.race, False, name, *kind))
            else:
                continue
            next_id += 1
        self.world = world = World(self.map_name, players, self.seed)
        humans = [player for player in players if player.human]
        for (player_id, request), player in zip(sorted(self.joined.items()), humans, strict=False):
            self.views[player_id] = View(world, player, request.options, self.create.disable_fog)
        if not humans:
            request = next(iter(self.joined.values()))
            watched = world.players[request.observed_player_id or 1]
            self.views[next(iter(self.joined))] = View(world, watched, request.options, True)
        for view in self.views.values():
            world.later(CENTER_CAMERA_LOOP, 0, lambda view=view: self._center_camera(view))
        if self.create.realtime:
            threading.Thread(target=self._run_realtime, args=(world,), daemon=True).start()

    def _center_camera(self, view: View) -> None:
        """Tell of the camera's first move, which the game makes by itself."""
        action = sc_pb.Action()
        centre = action.action_raw.camera_move.center_world_space
        centre.x, centre.y = view.player.camera[0] - view.offset[0], view.player.camera[1] - view.offset[1]
        view.player.echoes.append((view.world.loop, actions.echo(view, action, view.world.loop)))

    def act(self, player_id: int, action: sc_pb.Action) -> int:
        """Take an action and return its first ActionResult; it is carried out `lag` loops later."""
        with self.condition:
            view = self.views[player_id]
            if not action.ListFields():
                return error_pb2.Success
            result = actions.apply(view, action, try_only=True)
            if result == error_pb2.Success:
                loop = self.game.loop + self.lag
                self.log.append((loop, view.player.id, b"a" + action.SerializeToString()))
                self.schedule(view, loop, action)
            return result

    def schedule(self, view: View, loop: int, action: sc_pb.Action) -> None:
        """Carry out an action at a loop, and tell of it after."""

        def carry_out() -> None:
            told = actions.echo(view, action, loop)
            result = actions.apply(view, action)
            if result == error_pb2.Success:
                view.player.echoes.append((loop, told))
            elif action.action_raw.HasField("unit_command"):
                order = action.action_raw.unit_command
                tag = order.unit_tags[0] if order.unit_tags else 0
                view.player.errors.append((tag, order.ability_id, result))

        view.world.later(loop, view.player.id, carry_out)

    def debugged(self, view: View, request: sc_pb.RequestDebug) -> None:
        """Carry out debug commands at the next tick, so that a replay can repeat them."""
        for command in request.debug:
            self.log.append((self.game.loop, view.player.id, b"d" + command.SerializeToString()))
            self.game.later(self.game.loop, view.player.id, lambda command=command: debug_commands.apply(view, command))

    def step(self, player_id: int, loops: int) -> None:
        """Advance together: to the earliest loop that all players have asked for, until this player's is reached."""
        with self.condition:
            world = self.game
            target = self._targets[player_id] = world.loop + loops
            while world.loop < target and not world.ended:
                waiting_for = [p for p in self.joined if p not in self._left]
                reached = min(self._targets.get(p, 0) for p in waiting_for)
                if reached > world.loop:
                    world.step(reached - world.loop)
                    self.condition.notify_all()
                else:
                    self.condition.wait()

    def wait_for_loop(self, loop: int) -> None:
        """Block until a realtime game has come to a loop."""
        with self.condition:
            self.condition.wait_for(lambda: self.game.loop >= loop or self.game.ended)

    def leave(self, player_id: int) -> None:
        """Take a player out; in a game of two the other one wins."""
        with self.condition:
            self._left.add(player_id)
            world = self.world
            if world is not None and not world.ended:
                if self.participants > 1:
                    mine = self.views[player_id].player.id
                    world.finish({p: sc_pb.Defeat if p == mine else sc_pb.Victory for p in world.players})
                else:
                    world.ended = True
            self.condition.notify_all()

    def _run_realtime(self, world: World) -> None:
        started = time.monotonic()
        while not world.ended and world is self.world:
            loops = int((time.monotonic() - started) * LOOPS_PER_SECOND) - world.loop
            if loops > 0:
                with self.condition:
                    world.step(loops)
                    self.condition.notify_all()
            time.sleep(0.01)
