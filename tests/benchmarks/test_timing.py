"""Timing functions side by side."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_times_are_those_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each function moves the clock by what it is to take; a short one runs several times to be measured once."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    timing = importlib.import_module("timing")
    now = 0.0
    calls = {"short": 0, "long": 0}

    def function(name: str, seconds: float) -> None:
        nonlocal now
        now += seconds
        calls[name] += 1

    functions = {"short": lambda: function("short", 0.001), "long": lambda: function("long", 3.0)}
    times = timing.interleaved(functions, seconds=0.0, least_rounds=4, clock=lambda: now)
    assert timing.medians(times) == pytest.approx({"short": 0.001, "long": 3.0})
    assert calls == {"short": 2 + 4 * 5, "long": 2 + 4}
    assert timing.ratio(times, "long", "short") == pytest.approx(3000.0)
