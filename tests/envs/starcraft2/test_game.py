"""What is asked of the game, and in which order; against recorders instead of processes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.faults import CRASH, GARBAGE, GameFaultError
from envs.starcraft2.game import EpisodeSetup, Game, interface_options
from envs.starcraft2.game_maps import GameMap
from envs.starcraft2.names import parse_opponent

MAP = GameMap(name="Simple64", path="Melee/Simple64.SC2Map", players=2)


class RecordedProcess:
    """Answers every request with nothing and keeps it."""

    def __init__(self, log: list[tuple[int, str, tuple[Any, ...]]], number: int) -> None:
        self.log, self.number, self.killed, self.pid = log, number, False, number
        self.status_ended, self.failing = False, ""
        self.controller = self

    def request(self, name: str, ask: Callable[[Any], Any], *, timeout_seconds: float | None = None) -> Any:
        if name == self.failing:
            raise GameFaultError(CRASH, f"{name} fails")
        return ask(self)

    def __getattr__(self, name: str) -> Any:
        def answer(*arguments: Any) -> Any:
            self.log.append((self.number, name, arguments))
            if name == "ping":
                return sc_pb.ResponsePing(game_version="4.10.0.75689", data_version="B89B", base_build=75689)
            return sc_pb.ResponseObservation() if name == "observe" else SimpleNamespace(name=name)

        return answer

    def kill(self) -> None:
        self.killed = True

    close = kill


def recorded_game(num_players: int) -> tuple[Game, list[RecordedProcess], list[tuple[int, str, tuple[Any, ...]]]]:
    log: list[tuple[int, str, tuple[Any, ...]]] = []
    processes: list[RecordedProcess] = []

    def start() -> Any:
        processes.append(RecordedProcess(log, len(processes)))
        return processes[-1]

    game = Game(start, num_players)
    log.clear()
    return game, processes, log


def setup(*races: str, opponent: str | None = None) -> EpisodeSetup:
    return EpisodeSetup(
        game_map=MAP,
        map_data=b"the map",
        races=races,
        opponent=parse_opponent(opponent) if opponent else None,
        opponent_race="zerg" if opponent else None,
        seed=77,
        options=interface_options(),
    )


def test_a_game_against_the_built_in_ai_is_created_and_joined() -> None:
    game, _, log = recorded_game(1)
    game.begin(setup("protoss", opponent="very_hard:air"))
    assert [name for _, name, _ in log] == ["create_game", "join_game", "game_info"]
    create, join = log[0][2][0], log[1][2][0]
    assert (create.local_map.map_path, create.local_map.map_data) == (MAP.path, b"the map")
    assert (create.random_seed, create.realtime, create.disable_fog) == (77, False, False)
    participant, computer = create.player_setup
    assert participant.type == sc_pb.Participant
    expected = (sc_pb.Computer, sc_pb.VeryHard, sc_pb.Air, 2)
    assert (computer.type, computer.difficulty, computer.ai_build, computer.race) == expected
    assert (join.race, join.options) == (3, interface_options())
    assert not join.HasField("server_ports")
    log.clear()
    game.begin(setup("protoss", opponent="easy"))
    assert [name for _, name, _ in log] == ["create_game", "join_game", "game_info"]  # without leaving first


def test_a_game_of_two_players_is_joined_by_both_under_their_own_names() -> None:
    game, _, log = recorded_game(2)
    game.begin(setup("terran", "zerg"))
    assert [(number, name) for number, name, _ in log[:3]] == [(0, "save_map"), (1, "save_map"), (0, "create_game")]
    assert log[0][2] == (MAP.path, b"the map")
    create = log[2][2][0]
    assert not create.local_map.HasField("map_data")
    assert [player.type for player in create.player_setup] == [sc_pb.Participant] * 2
    joins = {number: arguments[0] for number, name, arguments in log if name == "join_game"}
    assert joins[0].player_name != joins[1].player_name
    assert (joins[0].race, joins[1].race) == (1, 2)
    assert joins[0].server_ports == joins[1].server_ports
    assert joins[0].client_ports == joins[1].client_ports
    ports = [joins[0].server_ports, *joins[0].client_ports]
    assert len(ports) == 2
    assert len({port for pair in ports for port in (pair.game_port, pair.base_port)}) == 4
    log.clear()
    game.begin(setup("terran", "zerg"))
    assert sorted(number for number, name, _ in log if name == "leave") == [0, 1]
    game.close()


def test_the_interface_has_raw_units_and_a_minimap_but_no_screen() -> None:
    options = interface_options()
    assert (options.raw, options.score, options.HasField("render")) == (True, True, False)
    layer = options.feature_layer
    assert (layer.minimap_resolution.x, layer.minimap_resolution.y) == (128, 128)
    assert (layer.resolution.x, layer.resolution.y) == (1, 1)


def test_orders_are_sent_only_where_there_are_any_and_before_the_end() -> None:
    game, processes, log = recorded_game(2)
    order = sc_pb.Action()
    game.act(1, [order, order])
    game.act(0, [])
    game.step(8)
    assert sorted((number, name) for number, name, _ in log) == [(0, "step"), (1, "actions"), (1, "step")]
    assert len(log[0][2][0].actions) == 2
    log.clear()
    processes[1].status_ended = True
    assert game.has_ended
    game.act(0, [order])
    game.step(8)
    assert log == []
    game.close()


@pytest.mark.parametrize("failing", [0, 1])
def test_a_fault_of_one_process_ends_both(failing: int) -> None:
    game, processes, _ = recorded_game(2)
    processes[failing].failing = "step"
    with pytest.raises(GameFaultError, match="step fails"):
        game.step(1)
    assert all(process.killed for process in processes)
    game.close()


def test_an_observation_without_raw_data_is_garbage() -> None:
    game, processes, _ = recorded_game(1)
    with pytest.raises(GameFaultError, match="without raw data") as caught:
        game.observe()
    assert caught.value.kind == GARBAGE
    assert processes[0].killed


def test_a_second_process_that_does_not_start_leaves_no_first_one() -> None:
    processes = [RecordedProcess([], 0)]

    def start(left: list[RecordedProcess] = [*processes]) -> Any:  # noqa: B006  # consumed
        if not left:
            raise GameFaultError(CRASH, "no second one")
        return left.pop()

    with pytest.raises(GameFaultError, match="no second one"):
        Game(start, 2)
    assert processes[0].killed
