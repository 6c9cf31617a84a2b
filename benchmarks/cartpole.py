"""Trains on CartPole-v1 through the Ray actors and the learner of the recipe `gymnasium`, and times it.

python benchmarks/cartpole.py --output cartpole.json --seeds 3
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import machine_info, versions, write_json

from training.config import TrainConfig, to_dict
from training.loop import EPISODE_WINDOW, Update
from training.recipes import get_recipe
from training.run import run_training

SOLVED_RETURN = 475.0


class Curve:
    """The training curve of one run; stops the run once CartPole is solved."""

    def __init__(self, stop: threading.Event) -> None:
        self.points: list[dict[str, float]] = []
        self.solved: dict[str, float] | None = None
        self._stop = stop
        self._first_episodes = 0

    def add(self, update: Update) -> None:
        """Take in one update."""
        point = {
            "seconds": update.progress.seconds,
            "frames": float(update.progress.game_steps),
            "episodes": float(update.progress.episodes),
            "mean_return": update.metrics.get("charts/episodic_return", 0.0),
            "policy_lag": update.metrics["rollout/policy_lag"],
            "learner_waiting_share": update.metrics["rollout/learner_waiting_share"],
            "actor_waiting_share": update.metrics.get("rollout/actor_waiting_share", 0.0),
        }
        self.points.append(point)
        if point["episodes"] >= EPISODE_WINDOW and point["mean_return"] >= SOLVED_RETURN:
            self.solved = point
            self._stop.set()


def train(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """Return how one run went.

    Seconds are those of the main loop: waiting for experience, learning and publishing weights. Starting Ray and
    writing the checkpoint are in `total_seconds`.
    """
    stop = threading.Event()
    curve = Curve(stop)
    wall, processor = time.perf_counter(), time.process_time()
    run_training(config, folder, report=curve.add, stop=stop)
    return {
        "seed": config.seed,
        **figures(curve),
        "total_seconds": time.perf_counter() - wall,
        "learner_cpu_seconds": time.process_time() - processor,
        "load_average": list(os.getloadavg()),
        "curve": curve.points,
    }


def figures(curve: Curve) -> dict[str, Any]:
    """Return speed and time to the solution of one curve; None where it was not solved."""
    last, solved = curve.points[-1], curve.solved
    return {
        "frames_per_second": last["frames"] / last["seconds"],
        "solved_after_seconds": None if solved is None else solved["seconds"],
        "solved_after_frames": None if solved is None else int(solved["frames"]),
        "policy_lag": statistics.mean(point["policy_lag"] for point in curve.points),
    }


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure over the runs; a run that did not solve it counts as later than all others."""
    result: dict[str, Any] = {
        "frames_per_second": statistics.median(run["frames_per_second"] for run in runs),
        "seeds_solved": sum(run["solved_after_seconds"] is not None for run in runs),
    }
    for name in ("solved_after_seconds", "solved_after_frames"):
        values = [float("inf") if run[name] is None else run[name] for run in runs]
        median = statistics.median_high(values)
        result[name] = None if median == float("inf") else median
        result[f"{name}_each"] = [run[name] for run in runs]
    return result


def main() -> None:
    """Train once for each seed and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--seeds", type=int, default=3, help="number of runs, with seeds 1, 2, ...")
    options = parser.parse_args()
    machine = machine_info()
    config = get_recipe("gymnasium")
    runs = []
    for seed in range(1, options.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(train(dataclasses.replace(config, seed=seed), Path(folder) / "run"))
        solved = runs[-1]["solved_after_seconds"]
        outcome = "not solved" if solved is None else f"solved after {solved:.1f} s"
        print(f"seed {seed}: {outcome}, {runs[-1]['frames_per_second']:,.0f} frames/s")
    write_json(
        options.output,
        {**summary(runs), "runs": runs, "config": to_dict(config), "machine": machine, "versions": versions()},
    )


if __name__ == "__main__":
    main()
