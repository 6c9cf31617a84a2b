"""One StarCraft II session: a process for each controlled player, playing one episode after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.faults import GARBAGE, GameFaultError
from envs.starcraft2.game_maps import GameMap
from envs.starcraft2.names import BUILDS, DIFFICULTIES, RACES, BuiltInOpponent
from envs.starcraft2.process import GameProcess, free_ports
from envs.starcraft2.version import GameVersion

MINIMAP_SIZE = 128
_CAMERA_WIDTH = 24
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, kw_only=True)
class EpisodeSetup:
    """Who plays what.

    Attributes:
        game_map: the map.
        map_data: contents of its file.
        races: race of each controlled player.
        opponent: the built-in AI that plays against one controlled player, or None.
        opponent_race: its race; None where there is no opponent.
        seed: of the game's random choices.
        options: the interface that is asked for, an InterfaceOptions.
    """

    game_map: GameMap
    map_data: bytes
    races: tuple[str, ...]
    opponent: BuiltInOpponent | None
    opponent_race: str | None
    seed: int
    options: Any


class View(NamedTuple):
    """What a player sees.

    Attributes:
        message: a ResponseObservation.
        answer: the Response in which it came, as bytes.
    """

    message: Any
    answer: bytes


def interface_options() -> Any:
    """Return the InterfaceOptions of raw units, scores and a minimap of 128 x 128 pixels; screens are left out."""
    options = sc_pb.InterfaceOptions(
        raw=True, score=True, show_cloaked=True, show_burrowed_shadows=True, show_placeholders=True
    )
    options.feature_layer.width = _CAMERA_WIDTH
    # The smallest screen: the game knows no way to leave it out.
    options.feature_layer.resolution.x = options.feature_layer.resolution.y = 1
    options.feature_layer.minimap_resolution.x = options.feature_layer.minimap_resolution.y = MINIMAP_SIZE
    return options


class Game:
    """The processes of one game.

    Every method that asks the game something raises GameFaultError where it hangs, is gone or answers nonsense; all
    its processes are killed by then.

    Args:
        start_process: starts one process and connects to it.
        num_players: controlled players, 1 or 2; two have a process each.
        load_timeout_seconds: how long creating and joining an episode may take.

    Attributes:
        version: what the game says of itself.
    """

    def __init__(
        self, start_process: Callable[[], GameProcess], num_players: int, *, load_timeout_seconds: float = 120.0
    ) -> None:
        self._load_timeout_seconds = load_timeout_seconds
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="starcraft2-player-1") if num_players > 1 else None
        self._processes: list[GameProcess] = []
        self._in_episode = False
        try:
            for _ in range(num_players):
                self._processes.append(start_process())
            pings = self._ask_all("ping", lambda _, controller: controller.ping())
        except BaseException:
            self.kill()
            raise
        self.version = GameVersion.of_ping(pings[0])

    @property
    def process_ids(self) -> list[int]:
        """Ids of the processes."""
        return [process.pid for process in self._processes]

    def begin(self, setup: EpisodeSetup) -> list[Any]:
        """Begin an episode, ending one that goes on, and return each player's ResponseGameInfo."""
        limit = self._load_timeout_seconds
        two_players = len(self._processes) > 1
        if two_players:
            if self._in_episode:
                self._ask_all("leave_game", lambda _, controller: controller.leave())
            # Not at once: on Windows the processes write to the same file (s2client-proto issue 102).
            for process in self._processes:
                process.request("save_map", lambda controller: controller.save_map(setup.game_map.path, setup.map_data))
        create = _create_request(setup, with_data=not two_players)
        self._ask(0, "create_game", lambda controller: controller.create_game(create), limit)
        self._in_episode = True
        # New ones for each episode: at the old ones the last game may still be saying goodbye.
        ports = free_ports(2 * len(setup.races)) if two_players else []
        joins = [_join_request(setup, player, ports) for player in range(len(setup.races))]
        self._ask_all("join_game", lambda player, controller: controller.join_game(joins[player]), limit)
        return self._ask_all("game_info", lambda _, controller: controller.game_info())

    def data(self) -> Any:
        """Return the ResponseData of the episode: the game's facts about units and upgrades."""
        return self._ask(0, "data", lambda controller: controller.data_raw(), self._load_timeout_seconds)

    def observe(self) -> list[View]:
        """Return what each player sees."""
        views = self._ask_all(
            "observation",
            lambda player, controller: View(controller.observe(), self._processes[player].last_answer),
        )
        for view in views:
            if not view.message.observation.HasField("raw_data"):
                self.kill()
                raise GameFaultError(GARBAGE, "the game answered 'observation' without raw data")
        return views

    def act(self, player: int, actions: Sequence[Any]) -> None:
        """Give a player's orders, sc_pb.Action each; none where there are none or the episode has ended."""
        if actions and not self.has_ended:
            request = sc_pb.RequestAction(actions=actions)
            self._ask(player, "action", lambda controller: controller.actions(request))

    def step(self, game_loops: int) -> None:
        """Let the game go on by this many loops, less where it ends."""
        if not self.has_ended:
            self._ask_all("step", lambda _, controller: controller.step(game_loops))

    @property
    def has_ended(self) -> bool:
        """Whether the last answer of a process said that the episode is over."""
        return any(process.controller.status_ended for process in self._processes)

    def save_replay(self) -> bytes:
        """Return the replay of the episode so far."""
        return bytes(
            self._ask(0, "save_replay", lambda controller: controller.save_replay(), self._load_timeout_seconds)
        )

    def kill(self) -> None:
        """End all processes at once."""
        for process in self._processes:
            process.kill()

    def close(self) -> None:
        """Ask all processes to quit, end those that do not, and let go of the thread."""
        for process in self._processes:
            process.close()
        if self._helper is not None:
            self._helper.shutdown()

    def _ask(
        self, player: int, name: str, ask: Callable[[Any], _Answer], timeout_seconds: float | None = None
    ) -> _Answer:
        try:
            return self._processes[player].request(name, ask, timeout_seconds=timeout_seconds)
        except GameFaultError:
            # Whoever waits for the other process gets an end of its connection.
            self.kill()
            raise

    def _ask_all(
        self, name: str, ask: Callable[[int, Any], _Answer], timeout_seconds: float | None = None
    ) -> list[_Answer]:
        """Return the answers of all processes, asked at the same time: each may wait for what the other is asked."""
        faults: list[GameFaultError] = []

        def ask_one(player: int) -> _Answer | None:
            try:
                return self._ask(player, name, lambda controller: ask(player, controller), timeout_seconds)
            except GameFaultError as fault:
                faults.append(fault)
                return None

        later = [self._helper.submit(ask_one, 1)] if self._helper is not None and len(self._processes) > 1 else []
        answers = [ask_one(0)]
        wait(later)
        answers += [future.result() for future in later]
        if faults:
            raise faults[0]
        return answers  # type: ignore[return-value]  # None only beside a fault


def _create_request(setup: EpisodeSetup, *, with_data: bool) -> Any:
    create = sc_pb.RequestCreateGame(disable_fog=False, realtime=False, random_seed=setup.seed)
    create.local_map.map_path = setup.game_map.path
    if with_data:
        create.local_map.map_data = setup.map_data
    for _ in setup.races:
        create.player_setup.add(type=sc_pb.Participant)
    if setup.opponent is not None and setup.opponent_race is not None:
        create.player_setup.add(
            type=sc_pb.Computer,
            race=RACES[setup.opponent_race],
            difficulty=DIFFICULTIES[setup.opponent.difficulty],
            ai_build=BUILDS[setup.opponent.build],
        )
    return create


def _join_request(setup: EpisodeSetup, player: int, ports: Sequence[int]) -> Any:
    # The game confuses players of the same name.
    name = f"PerceiverStar {player + 1}"
    join = sc_pb.RequestJoinGame(options=setup.options, race=RACES[setup.races[player]], player_name=name)
    if ports:
        join.shared_port = 0
        join.server_ports.game_port, join.server_ports.base_port = ports[:2]
        for game_port, base_port in zip(ports[2::2], ports[3::2], strict=True):
            join.client_ports.add(game_port=game_port, base_port=base_port)
    return join
