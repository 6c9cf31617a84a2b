"""`perceiver-star record`: which games are played, and what an interruption leaves."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from envs.folder_lock import LOCK_FILE
from envs.recordings import MANIFEST_FILE
from training import cli
from training.config import ConfigError
from training.demonstrations import Demonstrations
from training.record_command import RecordOptions, open_recording, plan_games, record
from training.recording_job import RecordingJob

MAP = "maps/8x8/basesWorkers8x8A.xml"


def options(output: Path, **changes: object) -> RecordOptions:
    chosen = RecordOptions(
        players=("WorkerRush", "RandomBiasedAI", "CoacAI"),
        output=output,
        map_path=MAP,
        games=2,
        max_steps=300,
        games_per_shard=2,
        workers=1,
    )
    return replace(chosen, **changes)  # type: ignore[arg-type]


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_all_pairs_play_on_both_sides() -> None:
    games = plan_games(options(Path(), games=4, mirror=True))
    sides = Counter(players for _, players, _ in games)
    names = ("WorkerRush", "RandomBiasedAI", "CoacAI")
    expected = {pair: 4 if pair[0] == pair[1] else 2 for pair in itertools.product(names, names)}
    assert sides == expected
    assert [number for number, _, _ in games] == list(range(24))
    assert len({seed for _, _, seed in games}) == 24
    assert games == plan_games(options(Path(), games=4, mirror=True))
    assert {seed for _, _, seed in games}.isdisjoint(
        seed for _, _, seed in plan_games(options(Path(), games=4, mirror=True, seed=1))
    )


def test_opponents_play_the_players_and_not_each_other() -> None:
    games = plan_games(options(Path(), players=("CoacAI",), opponents=("WorkerRush", "PassiveAI", "CoacAI")))
    pairs = {frozenset(players) for _, players, _ in games}
    assert pairs == {frozenset(("CoacAI", "WorkerRush")), frozenset(("CoacAI", "PassiveAI"))}
    assert len(games) == 4


def test_recordings_do_not_depend_on_processes_or_interruptions(tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert record(options(whole, workers=2)) is not None
    stop = threading.Event()

    def stop_after_a_shard(games: int, all_games: int) -> None:
        assert all_games == 6
        if games >= 2:
            stop.set()

    assert record(options(stopped), stop_after_a_shard, stop) is None
    part = Demonstrations(stopped)
    part.verify()
    assert {game.game for game in part.player_games} == {0, 1}
    manifest = record(options(stopped, resume=True))
    assert manifest is not None
    assert contents(stopped) == contents(whole)
    assert manifest["counts"]["games"] == 6
    _, jobs = open_recording(options(stopped, resume=True))
    assert jobs == []
    (stopped / "shard-00001.safetensors").unlink()
    assert record(options(stopped, resume=True)) == manifest
    assert contents(stopped) == contents(whole)


def test_a_game_that_fails_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from envs.errors import GameCrashedError
    from envs.microrts.recorder import AiGame, AiGameRecorder

    play = AiGameRecorder.record

    def fail_once(self: AiGameRecorder, seed: int) -> AiGame:
        if seed == 1:
            raise GameCrashedError("an AI failed")
        return play(self, seed)

    monkeypatch.setattr(AiGameRecorder, "record", fail_once)
    pair = ("WorkerRush", "PassiveAI")
    job = RecordingJob(
        directory=tmp_path,
        shard="shard-00000.safetensors",
        map_path=MAP,
        max_steps=50,
        random_orders=0.0,
        games=((0, pair, 0), (1, pair, 1), (2, pair, 2)),
    )
    shard = job.run(None)
    assert shard.left_out == {"game failed: WorkerRush against PassiveAI": 1}
    assert {game["game"] for game in shard.player_games} == {0, 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"players": ("CoacAI", "CoacAI")}, "expected two players, --opponents or --mirror"),
        ({"games": 0}, "games of at least 1"),
        ({"players": ("CoacAI", "WorkrRush")}, "did you mean WorkerRush"),
        ({"players": ("CoacAI", "self_play")}, "self_play is met in training only"),
        ({"map_path": "maps/8x8/basesWorker8x8A.xml"}, "did you mean maps/8x8/basesWorkers8x8A.xml"),
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
        ({"random_orders": 1.5}, "random_orders must lie between 0 and 1, got 1.5"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        record(options(tmp_path / "data", **changes))
    assert not (tmp_path / "data").exists()


def test_processes_that_play_load_no_torch() -> None:
    code = "import sys, training.recording_job; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_ctrl_c_leaves_complete_shards_and_no_process(tmp_path: Path) -> None:
    arguments = ["--players", "WorkerRush", "CoacAI", "--games", "400", "--map", MAP, "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "record", *arguments, "--games-per-shard", "2", "--output", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "shard-00001.safetensors").is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert f"add --resume: {tmp_path} keeps what is complete" in errors
    assert children
    assert not psutil.wait_procs(children, timeout=10)[1]
    demonstrations = Demonstrations(tmp_path)
    demonstrations.verify()
    assert len(demonstrations.player_games) >= 4
    shards = {game["name"] for game in json.loads((tmp_path / MANIFEST_FILE).read_text())["shards"]}
    assert {path.name for path in tmp_path.iterdir()} == {LOCK_FILE, MANIFEST_FILE, *shards}


def test_the_command_tells_what_it_has_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["record", "--players", "WorkerRush", "LightRush", "--games", "1", "--map", MAP, "--workers", "1"]
    assert cli.main([*arguments, "--output", str(tmp_path / "data")]) == 0
    manifest = json.loads((tmp_path / "data" / MANIFEST_FILE).read_text())
    assert f"1 games, 2 player games, {manifest['counts']['steps']} steps" in capsys.readouterr().out
    assert cli.main([*arguments, "--output", str(tmp_path / "data")]) == 2
    assert "holds a recording already" in capsys.readouterr().err
    assert cli.main([*arguments, "--output", str(tmp_path / "data"), "--resume", "--seed", "3"]) == 2
    assert "(seed): seed was 0, now it is 3; give what it was" in capsys.readouterr().err
