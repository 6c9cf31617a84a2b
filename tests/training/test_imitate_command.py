"""`perceiver-star imitate`: from a recording to win rates, stopped in between."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.training.test_cli import STOPPING, Command, commands, run
from training.checkpoint import load_checkpoint

__all__ = ["commands"]
MAP = "maps/8x8/basesWorkers8x8A.xml"
pytestmark = pytest.mark.timeout(300)


@pytest.mark.slow
def test_a_signal_stops_with_a_checkpoint_and_the_run_goes_on_to_its_win_rates(
    tmp_path: Path,
    commands: list[Command],
) -> None:
    data, path = str(tmp_path / "data"), tmp_path / "bc"
    players = ("CoacAI", "RandomBiasedAI")
    recorded = ("--map", MAP, "--games", "4", "--max-steps", "200", "--workers", "1", "--output", data)
    assert run("record", "--players", *players, *recorded) == 0
    endless = ("--passes", "100000", "--patience", "100000", "--total-steps", "100000000")
    commands.append(Command("imitate", "--data", data, "--recipe", "tiny", "--run-dir", str(path), *endless))
    commands[0].read_until("on held-out games")
    os.killpg(commands[0].process.pid, signal.SIGINT)
    code, errors = commands[0].finish()
    told = f"to go on: perceiver-star imitate --run-dir {path} --resume auto\n"
    assert (code, errors) == (130, f"{STOPPING}perceiver-star: interrupted; {told}")
    stopped_at = load_checkpoint(path).step
    assert stopped_at > 0

    shortly = ("--total-steps", str(stopped_at + 50), "--evaluation.games", "2", "--evaluation.max-steps", "60")
    assert run("imitate", "--run-dir", str(path), "--resume", "auto", *shortly) == 0
    assert load_checkpoint(path).step >= stopped_at + 50
    assert [row["agent"] for row in json.loads((path / "evaluation.json").read_text())] == ["trained", "trained"]
    assert run("evaluate", "--checkpoint", str(path), "--opponents", "RandomBiasedAI", "--games", "2", "--max-steps",
               "60", "--modes", "greedy", "--workers", "1") == 0  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "tiny"], "--data"),
        (["--data", "/nowhere", "--recipe", "tiny"], "/nowhere holds no recording"),
        (["--data", "/nowhere", "--recipe", "tini"], "did you mean tiny"),
        (["--data", "/nowhere", "--recipe", "tiny", "--passes", "0"], "passes must be at least 1, got 0"),
        (["--recipe", "tiny", "--resume", "auto"], "add --run-dir"),
    ],
)
def test_bad_input_is_answered_with_what_would_do(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("imitate", *arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
