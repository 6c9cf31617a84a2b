"""Tables are printed whole."""

from __future__ import annotations

import pytest

from training.console import print_matches
from training.evaluation import MatchResult
from training.statistics import WinRate


def test_a_narrow_terminal_cuts_no_figure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    results = [
        MatchResult(
            contestant="agent",
            opponent="RandomBiasedAI",
            place="maps/8x8/basesWorkers8x8A.xml",
            side=side,
            mode=mode,
            result=WinRate(games=100, wins=100, draws=0, losses=0),
            different_games=1,
        )
        for mode in ("sampled", "greedy")
        for side in (0, 1)
    ]
    print_matches(results)
    shown = " ".join(capsys.readouterr().out.split())
    for mode in ("sampled", "greedy"):
        assert f"RandomBiasedAI {mode} 200 (2 different) 200 0 0 100 % 98-100 100 % 100 %" in shown
    assert "…" not in shown
