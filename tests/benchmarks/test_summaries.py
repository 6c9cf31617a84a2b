"""The benchmarks' own arithmetic, and a run of a few updates through each."""

from __future__ import annotations

import dataclasses
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from training.config import TrainConfig
from training.loop import Progress, Update
from training.recipes import get_recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """Import a benchmark as its own command does, with its folder first on the path."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for module in ("common", name):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return __import__(name)


def update(seconds: float, frames: int, episodes: int, mean_return: float) -> Update:
    metrics = {
        "charts/episodic_return": mean_return,
        "rollout/policy_lag": 1.0,
        "rollout/learner_waiting_share": 0.25,
        "rollout/actor_waiting_share": 0.5,
        "rollout/observations_per_second": 100.0,
    }
    return Update(Progress(game_steps=frames, seconds=seconds, episodes=episodes), metrics)


def short(config: TrainConfig) -> TrainConfig:
    actors = dataclasses.replace(config.actors, num_actors=1, games_per_actor=4, unroll_length=8, queue_size=1)
    return dataclasses.replace(config, actors=actors, total_steps=200, unrolls_per_update=1)


def test_cartpole_is_solved_by_a_hundred_episodes_of_475_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    cartpole, stop = load(monkeypatch, "cartpole"), threading.Event()
    curve = cartpole.Curve(stop)
    curve.add(update(1.0, 5000, 99, 500.0))
    curve.add(update(2.0, 10_000, 100, 474.9))
    assert not stop.is_set()
    assert cartpole.figures(curve)["solved_after_seconds"] is None
    curve.add(update(4.0, 24_000, 150, 475.0))
    assert stop.is_set()
    figures = cartpole.figures(curve)
    assert (figures["solved_after_seconds"], figures["solved_after_frames"]) == (4.0, 24_000)
    assert figures["frames_per_second"] == 6000.0


@pytest.mark.parametrize(
    ("seconds", "median", "solved"),
    [((9.0, 3.0, 5.0), 5.0, 3), ((9.0, None, 5.0), 9.0, 2), ((None, None, 5.0), None, 1)],
)
def test_unsolved_runs_count_as_the_latest(
    monkeypatch: pytest.MonkeyPatch, seconds: tuple[float | None, ...], median: float | None, solved: int
) -> None:
    runs: list[dict[str, Any]] = [
        {"frames_per_second": 1.0, "solved_after_seconds": value, "solved_after_frames": value} for value in seconds
    ]
    summary = load(monkeypatch, "cartpole").summary(runs)
    assert (summary["solved_after_seconds"], summary["seeds_solved"]) == (median, solved)
    assert summary["solved_after_seconds_each"] == list(seconds)


def test_training_loop_leaves_the_warm_up_out_and_stops_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    training_loop, stop = load(monkeypatch, "training_loop"), threading.Event()
    recorder = training_loop.Recorder(stop, warm_up_seconds=2.0, seconds=3.0)
    for seconds, steps in ((2.0, 10), (4.0, 1010)):
        recorder.add(update(seconds, steps, 0, 0.0))
        assert not stop.is_set()
    recorder.add(update(5.0, 2510, 0, 0.0))
    assert stop.is_set()
    summary = training_loop.summary(recorder.updates)
    assert summary["env_steps_per_second"] == pytest.approx(2500 / 3)
    assert summary["observations_per_second"] == pytest.approx(100.0)
    assert (summary["learner_waiting_share"], summary["actor_waiting_share"]) == (0.25, 0.5)
    assert summary["limited_by"] == "learner"
    with pytest.raises(ValueError, match="measure for longer"):
        training_loop.summary(recorder.updates[:1])


def test_both_run_through_the_actors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = short(get_recipe("gymnasium"))
    run = load(monkeypatch, "cartpole").train(config, tmp_path / "run")
    assert run["curve"][-1]["frames"] >= 200
    assert run["solved_after_seconds"] is None
    updates = load(monkeypatch, "training_loop").measure(config, warm_up_seconds=0.0, seconds=0.0)
    assert len(updates) == 1
    assert updates[0]["env_steps"] > 0
