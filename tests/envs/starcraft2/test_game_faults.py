"""Games that hang, die, answer nonsense or change their version are survived, counted, and leave nothing behind."""

from __future__ import annotations

import copy
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from envs.errors import GameCrashedError, GameVersionError
from envs.spaces import ACTION_MASK
from envs.starcraft2.game import Game, View
from envs.starcraft2.process_settings import ProcessSettings
from tests.envs.starcraft2.stand_in_games import is_alive, no_ops, play_until_finished, vector_env, wait_for_end

Plan = Callable[..., None]
IMPATIENT = ProcessSettings(request_timeout_seconds=1.5)


@pytest.mark.parametrize("kind", ["hang", "crash", "garbage"])
@pytest.mark.parametrize("request_name", ["step", "observation"])
def test_an_episode_whose_game_fails_is_dropped_and_the_next_begins(
    plan_faults: Plan, kind: str, request_name: str
) -> None:
    plan_faults({"kind": kind, "at_request": 3, "request": request_name})
    with vector_env([None, "very_easy"], process=IMPATIENT, max_game_loops=160) as env:
        env.reset()
        failing = env.process_ids
        plan_faults()
        observation, _, terminated, truncated, infos = env.step(no_ops(env))
        while not infos["dropped"].any():
            observation, _, terminated, truncated, infos = env.step(no_ops(env))
        assert truncated.all()
        assert infos["dropped"].all()
        assert not terminated.any()
        assert not infos["outcome"].any()
        assert not infos["reward_terms"].any()
        assert not observation[ACTION_MASK].any()
        assert not wait_for_end(failing)
        assert sum(env.faults.values()) == 2
        assert set(env.faults) <= {kind, "crash"}  # a player's game may end because the other's did
        assert env.restarts == 0
        env.reset()
        assert env.restarts == 2
        infos = play_until_finished(env)
        assert not infos["dropped"].any()
        processes = env.process_ids
    assert not wait_for_end(processes)


def test_the_other_games_go_on(plan_faults: Plan) -> None:
    with vector_env(["very_easy", "very_easy"]) as env:
        env.reset()
        dead = env.process_ids[0]
        _kill(dead)
        _, _, _, truncated, infos = env.step(no_ops(env))
        assert truncated.tolist() == [True, False]
        assert infos["dropped"].tolist() == [True, False]
        assert infos["elapsed_steps"].tolist() == [0, 16]
        assert env.faults == {"crash": 1}
        env.reset(options={"reset_mask": np.array([True, False])})
        _, _, _, truncated, _ = env.step(no_ops(env))
        assert not truncated.any()
        assert not is_alive(dead)


@pytest.mark.parametrize("request_name", ["create_game", "join_game", "data"])
def test_a_game_that_fails_while_it_loads_is_started_anew(
    plan_faults: Plan, monkeypatch: pytest.MonkeyPatch, request_name: str
) -> None:
    with vector_env(["very_easy"]) as env:
        env.reset()
        _kill(env.process_ids[0])
        env.step(no_ops(env))
        plan_faults({"kind": "garbage", "at_request": 1, "request": request_name})
        [match] = env._matches
        drop = match._drop_game

        def drop_and_mend(kind: str, error: Exception) -> None:
            plan_faults()
            drop(kind, error)

        monkeypatch.setattr(match, "_drop_game", drop_and_mend)
        env.reset()
        assert env.faults == {"crash": 1, "garbage": 1}
        assert env.restarts == 2
        assert not env.step(no_ops(env))[4]["dropped"].any()


def test_a_game_that_always_fails_is_an_error(plan_faults: Plan) -> None:
    plan_faults({"kind": "crash", "at_request": 1, "request": "create_game"})
    with vector_env(["very_easy"]) as env:
        with pytest.raises(
            GameCrashedError, match=r"failed 3 times in a row, last: the game is gone during 'create_ga"
        ):
            env.reset()
        assert env.faults == {"crash": 3}
        assert not env.process_ids
        plan_faults()
        env.reset()
        assert env.restarts == 3


@pytest.mark.parametrize("when", ["reset", "step"])
def test_a_game_that_shows_what_cannot_be_encoded_is_dropped(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    observe = Game.observe

    def observe_nonsense(game: Game) -> list[View]:
        monkeypatch.setattr(Game, "observe", observe)
        views = []
        for view in observe(game):
            message = copy.deepcopy(view.message)
            message.observation.feature_layer_data.minimap_renders.height_map.size.x = 64
            views.append(view._replace(message=message, answer=None))
        return views

    with vector_env(["very_easy"]) as env:
        if when == "step":
            env.reset()
        monkeypatch.setattr(Game, "observe", observe_nonsense)
        if when == "step":
            assert env.step(no_ops(env))[4]["dropped"].all()
        env.reset()
        assert (env.faults, env.restarts) == ({"garbage": 1}, 1)
        assert env.step(no_ops(env))[4]["elapsed_steps"] == 16


def test_a_slow_game_is_waited_for(plan_faults: Plan) -> None:
    plan_faults({"kind": "slow", "seconds": 0.5, "at_request": 2, "request": "step"})
    with vector_env(["very_easy"], process=IMPATIENT) as env:
        env.reset()
        for _ in range(3):
            _, _, _, truncated, _ = env.step(no_ops(env))
            assert not truncated.any()
        assert env.faults == {}


def test_a_game_whose_version_changes_is_refused(plan_faults: Plan) -> None:
    with vector_env(["very_easy"]) as env:
        env.reset()
        plan_faults(version="9.9.9.1")
        _kill(env.process_ids[0])
        env.step(no_ops(env))
        with pytest.raises(GameVersionError, match=r"game_version is 9.9.9.1, expected 4.10.0.75689-STANDIN"):
            env.reset()
        assert env.faults == {"crash": 1, "version": 3}
        plan_faults()
        env.reset()
        assert env.version["game_version"] == "4.10.0.75689-STANDIN"


def test_processes_are_renewed_after_some_episodes(stand_in: Path) -> None:
    with vector_env(["very_easy"], process=ProcessSettings(episodes_per_process=2), max_game_loops=32) as env:
        seen = []
        for _ in range(6):
            env.reset()
            seen.append(env.process_ids[0])
            play_until_finished(env)
        assert [seen[0] == seen[1], seen[2] == seen[3], seen[4] == seen[5]] == [True] * 3
        assert len(set(seen)) == 3
        assert (env.planned_restarts, env.restarts, env.faults) == (2, 0, {})
        assert not wait_for_end(seen[:4])
        env.reset()
        play_until_finished(env)
        env.reset()
        _kill(env.process_ids[0])
        env.step(no_ops(env))
        env.reset()
        assert (env.planned_restarts, env.restarts) == (3, 1), "the last one is gone, whatever the plan was"


def test_a_replay_that_cannot_be_saved_costs_no_episode(plan_faults: Plan, tmp_path: Path) -> None:
    plan_faults({"kind": "crash", "at_request": 1, "request": "save_replay"})
    with vector_env(["very_easy"], replay_directory=tmp_path, max_game_loops=32) as env:
        env.reset()
        infos = play_until_finished(env)
        assert (infos["dropped"].any(), env.faults) == (False, {"crash": 1})
        plan_faults()
        env.reset()
        play_until_finished(env)
        assert env.restarts == 1
    assert len(list(tmp_path.glob("*.SC2Replay"))) == 1


@contextmanager
def interrupted_when(is_time: Callable[[], bool]) -> Iterator[None]:
    """Expect that Ctrl-C, pressed as soon as it is time, ends what is done here within seconds."""
    main_thread = threading.main_thread().ident
    assert main_thread is not None

    def press() -> None:
        while not is_time():
            time.sleep(0.02)
        signal.pthread_kill(main_thread, signal.SIGINT)

    # What starts the tests may have told them to ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)


def test_an_interruption_does_not_wait_for_a_game_that_hangs(plan_faults: Plan) -> None:
    plan_faults({"kind": "hang", "at_request": 1, "request": "step"})
    with vector_env(["very_easy"]) as env:
        env.reset()
        processes = env.process_ids
        begin = time.monotonic()
        with interrupted_when(lambda: time.monotonic() > begin + 0.5):
            env.step(no_ops(env))
        assert not wait_for_end(processes)


# It may strike while ports are looked for, between a socket and its end.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("answers", [False, True])
def test_an_interruption_does_not_wait_for_games_that_start(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    folder, started = tmp_path / "game", tmp_path / "started"
    shutil.copytree(stand_in, folder)
    (program,) = folder.glob("Versions/*/SC2_x64")
    working = program.read_text()
    script = f"""#!/bin/sh
echo $$ >>"{started}"
exec "{sys.executable}" -c 'import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("-port") + 1]))) if {answers} else None
time.sleep(600)' "$@"
"""
    program.write_text(script)
    monkeypatch.setenv("SC2PATH", str(folder))
    with vector_env(["easy", "easy", None]) as env:
        begin = time.monotonic()
        with interrupted_when(lambda: started.exists() and len(started.read_text().split()) == 3):
            env.reset()
        assert not wait_for_end(map(int, started.read_text().split()))
        program.write_text(working)
        env.reset()
        assert len(env.process_ids) == 4
    assert time.monotonic() - begin < 60, "the time for a game's start is twice that"
    assert len(started.read_text().split()) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a process that is killed")
def test_a_killed_actor_takes_its_games_with_it(stand_in: Path) -> None:
    script = (
        "from tests.envs.starcraft2.stand_in_games import make_env; import time\n"
        "env = make_env(['easy', None]); env.reset()\n"
        "print(*env.process_ids, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path.cwd(), text=True) as actor:
        assert actor.stdout is not None
        games = [int(word) for word in actor.stdout.readline().split()]
        assert len(games) == 3
        actor.send_signal(signal.SIGKILL)
    assert not wait_for_end(games)


def test_python_may_exit_without_closing(stand_in: Path) -> None:
    script = (
        "from tests.envs.starcraft2.stand_in_games import make_env\n"
        "env = make_env(['easy', None]); env.reset()\n"
        "print(*env.process_ids, flush=True); keep = [env, env._matches]; raise ValueError('over')"
    )
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path.cwd(), timeout=60, check=False)
    assert result.stderr.splitlines()[-1] == "ValueError: over"
    assert result.stderr.count("Traceback") == 1
    assert not wait_for_end([int(word) for word in result.stdout.split()])


def test_many_episodes_do_not_grow_memory(stand_in: Path) -> None:
    with vector_env(["very_easy", None], max_game_loops=48) as env:
        sizes = []
        for episode in range(90):
            env.reset()
            play_until_finished(env, delay=16)
            if episode in (30, 89):
                sizes.append(_resident_mib())
        assert sizes[1] - sizes[0] < 8, sizes
        assert env.faults == {}


def test_restarts_leave_no_threads_and_no_open_files(stand_in: Path) -> None:
    with vector_env([None]) as env:
        held = []
        for _ in range(5):
            env.reset()
            held.append((threading.active_count(), psutil.Process().num_fds()))
            _kill(env.process_ids[1])
            env.step(no_ops(env))
        assert env.restarts == 4
        assert held[1] == held[-1], held


def _kill(process_id: int) -> None:

    os.kill(process_id, signal.SIGKILL)
    while is_alive(process_id):
        time.sleep(0.01)


def _resident_mib() -> float:
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
