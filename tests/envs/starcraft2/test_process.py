from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from envs.errors import GameCrashedError, GameNotFoundError
from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.faults import CRASH, GARBAGE, HANG, START, GameFaultError
from envs.starcraft2.process import GameProcess, _exit_status, free_ports
from tests.envs.starcraft2.stand_in_games import is_alive, wait_for_end

Plan = Callable[..., None]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the games' temporary folders be made in this one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def ping(process: GameProcess, timeout_seconds: float | None = None) -> object:
    return process.request("ping", lambda controller: controller.ping(), timeout_seconds=timeout_seconds)


def program(tmp_path: Path, script: str) -> Path:
    """Return a folder with a game whose program is a shell script."""
    path = tmp_path / "game" / "Versions" / "Base75689" / "SC2_x64"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return tmp_path / "game"


def one_player_game(folder: Path) -> object:
    create = sc_pb.RequestCreateGame()
    create.local_map.map_path = "Melee/Flat32.SC2Map"
    create.local_map.map_data = (folder / "Maps/Melee/Flat32.SC2Map").read_bytes()
    create.player_setup.add(type=sc_pb.Participant)
    create.player_setup.add(type=sc_pb.Computer, race=1, difficulty=1)
    return create


def test_a_game_starts_in_a_group_of_its_own_and_quits(stand_in: Path, temporary: Path) -> None:
    process = GameProcess(stand_in)
    assert process.is_running
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    assert os.getsid(process.pid) == process.pid
    addresses = {connection.laddr.ip for connection in psutil.Process(process.pid).net_connections("inet")}
    assert addresses == {"127.0.0.1"}
    ping(process)
    assert [path.name.startswith("perceiver-star-sc2-") for path in temporary.iterdir()] == [True]
    process.close()
    assert not is_alive(process.pid)
    assert not list(temporary.iterdir())
    process.close()
    process.kill()


def test_killing_ends_the_whole_group(temporary: Path, stand_in: Path, tmp_path: Path) -> None:
    real = stand_in / "Versions/Base75689/SC2_x64"
    folder = program(tmp_path, f'sleep 600 &\necho $! >"{tmp_path}/child"\n"{real}" "$@"')
    process = GameProcess(folder)
    child = int((tmp_path / "child").read_text())
    ping(process)
    assert is_alive(child)
    process.kill()
    assert not wait_for_end([process.pid, child])
    with pytest.raises(GameFaultError, match="the game is gone during 'ping'"):
        ping(process)


def test_a_process_that_nothing_refers_to_is_killed(stand_in: Path) -> None:
    process = GameProcess(stand_in)
    pid = process.pid
    process.controller.drop()
    del process
    gc.collect()
    assert not is_alive(pid)


def test_a_thread_that_ends_takes_no_game_with_it(stand_in: Path) -> None:
    processes: list[GameProcess] = []
    thread = threading.Thread(target=lambda: processes.append(GameProcess(stand_in)))
    thread.start()
    thread.join()
    ping(processes[0])
    assert processes[0].is_running
    processes[0].close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a process that is killed")
def test_a_killed_parent_takes_the_game_with_it(stand_in: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from envs.starcraft2.process import GameProcess\n"
        "games = [GameProcess(Path(sys.argv[1])) for _ in range(2)]\n"
        "print(*[game.pid for game in games], flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(stand_in)], stdout=subprocess.PIPE, cwd=Path.cwd(), text=True
    ) as parent:
        assert parent.stdout is not None
        games = [int(word) for word in parent.stdout.readline().split()]
        assert len(games) == 2
        assert all(map(is_alive, games))
        parent.send_signal(signal.SIGKILL)
    assert not wait_for_end(games)


@pytest.mark.parametrize("ending", ["sys.exit(0)", "raise RuntimeError", "os.kill(os.getpid(), signal.SIGINT)"])
def test_an_orderly_exit_takes_the_game_with_it(stand_in: Path, ending: str) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from envs.starcraft2.process import GameProcess\n"
        f"game = GameProcess(Path(sys.argv[1])); print(game.pid, flush=True); {ending}"
    )
    command = [sys.executable, "-c", script, str(stand_in)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path.cwd(), timeout=30, check=False)
    assert not wait_for_end([int(result.stdout)])


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ({"kind": "hang"}, HANG, "did not answer 'ping' in time"),
        ({"kind": "crash"}, CRASH, "the game is gone during 'ping'"),
        ({"kind": "garbage"}, GARBAGE, "answered 'ping' with something unusable"),
        ({"kind": "slow", "seconds": 30}, HANG, "did not answer 'ping' in time"),
    ],
)
def test_faults_are_told_apart(
    stand_in: Path, temporary: Path, plan_faults: Plan, fault: dict[str, object], kind: str, message: str
) -> None:
    plan_faults({"at_request": 2, "request": "ping", **fault})
    process = GameProcess(stand_in)
    with pytest.raises(GameFaultError, match=message) as caught:
        ping(process, 0.5)
    assert caught.value.kind == kind
    assert pickle.loads(pickle.dumps(caught.value)).kind == kind
    process.kill()
    assert not is_alive(process.pid)
    assert not list(temporary.iterdir())


def test_a_stub_of_an_observation_without_a_result_is_garbage(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = sc_pb.ResponseObservation(observation=sc_pb.Observation(game_loop=2**32 - 1))
    process = GameProcess(stand_in)
    process.request("create_game", lambda controller: controller.create_game(one_player_game(stand_in)))
    process.request(
        "join_game",
        lambda controller: controller.join_game(
            sc_pb.RequestJoinGame(race=1, options=sc_pb.InterfaceOptions(raw=True))
        ),
    )
    monkeypatch.setattr(process.controller._client, "send", lambda **_: stub)
    with pytest.raises(GameFaultError, match="Expect a player result") as caught:
        process.request("observation", lambda controller: controller.observe())
    assert caught.value.kind == GARBAGE
    process.kill()


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="only where ends are looked at without taking them")
def test_an_end_that_another_thread_has_just_taken_is_an_end() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitpid(process.pid, 0)  # as Popen.wait does a moment before it sets returncode
        assert process.returncode is None
        assert _exit_status(process) is not None


def test_a_slow_answer_is_waited_for(stand_in: Path, plan_faults: Plan) -> None:
    plan_faults({"kind": "slow", "seconds": 0.7, "at_request": 2, "request": "ping"})
    process = GameProcess(stand_in)
    ping(process, 10)
    assert process.is_running
    process.close()


def test_a_program_that_ends_at_once_says_why(tmp_path: Path, temporary: Path) -> None:
    with pytest.raises(GameFaultError, match="status or signal 3, saying: no such library") as caught:
        GameProcess(program(tmp_path, "echo no such library >&2; exit 3"))
    assert caught.value.kind == START
    assert [path.name for path in temporary.iterdir()] == ["game"]


def test_a_program_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    folder = program(tmp_path, f'echo $$ >"{tmp_path}/pid"; exec sleep 600')
    with pytest.raises(GameFaultError, match="does not listen on port") as caught:
        GameProcess(folder, start_timeout_seconds=2.0)
    assert caught.value.kind == HANG
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    (tmp_path / "Versions").mkdir()
    with pytest.raises(GameNotFoundError):
        GameProcess(tmp_path)


def test_a_program_that_may_not_be_executed_is_reported(tmp_path: Path) -> None:
    folder = program(tmp_path, "")
    (folder / "Versions/Base75689/SC2_x64").chmod(0o644)
    with pytest.raises(GameCrashedError, match="Permission denied"):
        GameProcess(folder)


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as each:
            each.bind(("127.0.0.1", port))
