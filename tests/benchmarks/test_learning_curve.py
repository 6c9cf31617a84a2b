from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "learning_curve.py"


def write_run(folder: Path, entries: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    config = {"recipe": "quickstart", "environment": {"kind": "microrts", "map_path": "maps/a.xml"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "environment.json").write_text(json.dumps({"game": {"name": "microrts", "map": "maps/a.xml"}}))
    return folder


def draw(run: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(SCRIPT), str(run), "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def update(step: int, speed: float, **figures: float) -> dict[str, Any]:
    named = {f"charts/win_rate/{name}": value for name, value in figures.items()}
    return {"step": step, "charts/SPS": speed, **named}


def test_draws_each_opponent_and_the_matches_at_the_end(tmp_path: Path) -> None:
    names = ("win_rate", "win_rate_low", "win_rate_high", "win_rate_games")
    matches = {f"evaluation/{name}/CoacAI": value for name, value in zip(names, (0.5, 0.4, 0.6, 100.0), strict=True)}
    updates = [update(1200, 100), update(2400, 200, CoacAI=0.1), update(3600, 200, CoacAI=0.3, WorkerRush=0.0)]
    run = write_run(tmp_path / "run", [*updates, {"step": 3600, **matches}, {"hparams": {}, "results": {}}])
    finished = draw(run, tmp_path / "pictures" / "curve.png")
    assert finished.returncode == 0, finished.stderr
    # 1200 steps at 100 a second, then 2400 at 200 a second.
    assert "3 points up to step 3,600, 0.4 minutes" in finished.stdout
    assert (tmp_path / "pictures" / "curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_a_resumed_run_plays_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    read_metrics = importlib.import_module("learning_curve").read_metrics
    before = [{"step": 24, "a": 1.0}, {"step": 48, "a": 2.0, "b": 1.0}, {"step": 72, "a": 3.0}]
    after = [{"step": 48, "a": 5.0}, {"step": 71, "a": 6.0}, {"step": 71, "evaluation": 0.5}]
    entries = read_metrics(json.dumps(entry) for entry in [*before, *after])
    assert entries == [{"step": 24, "a": 1.0}, {"step": 48, "a": 5.0}, {"step": 71, "a": 6.0, "evaluation": 0.5}]


def test_the_title_says_what_was_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    title_of = importlib.import_module("learning_curve").title_of
    run = write_run(tmp_path / "run", [])
    assert title_of(run) == "quickstart on maps/a.xml"
    config = {"recipe": "starcraft2_tiny", "environment": {"kind": "starcraft2", "map_name": "Flat32"}}
    (run / "config.json").write_text(json.dumps(config))
    game = {"name": "starcraft2", "game": "stand-in game", "data_version": "STANDIN0"}
    (run / "environment.json").write_text(json.dumps({"game": game}))
    assert title_of(run) == "starcraft2_tiny on Flat32\nstand-in game STANDIN0, not StarCraft II"


def test_what_a_resumed_run_played_again_counts_once(tmp_path: Path) -> None:
    entries = [update(600, 10), update(1200, 10, CoacAI=0.0), update(1800, 10), update(1200, 10, CoacAI=1.0)]
    finished = draw(write_run(tmp_path / "run", entries), tmp_path / "curve.png")
    assert "2 points up to step 1,200, 2.0 minutes" in finished.stdout


def test_a_cut_off_line_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [{"step": 60, "charts/SPS": 1.0, "charts/episodic_return": 20.0}])
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 120, "charts/S')
    finished = draw(run, tmp_path / "curve.png")
    assert "1 points up to step 60, 1.0 minutes" in finished.stdout


@pytest.mark.parametrize(
    ("entries", "expected"), [([update(10, 1.0)], "no episode has ended"), (None, "metrics.jsonl: No such file")]
)
def test_says_what_is_missing(tmp_path: Path, entries: list[dict[str, Any]] | None, expected: str) -> None:
    run = tmp_path / "none" if entries is None else write_run(tmp_path / "run", entries)
    finished = draw(run, tmp_path / "curve.png")
    assert finished.returncode == 2
    assert expected in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "curve.png").exists()
