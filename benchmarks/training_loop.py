"""Runs the full training loop of a recipe for a while and says how fast it goes and who waits for whom.

python benchmarks/training_loop.py --output training_loop.json --recipe microrts_16x16
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import machine_info, versions, write_json

from training.config import TrainConfig, to_dict
from training.loop import Update
from training.recipes import RECIPES, get_recipe
from training.run import run_training

WARM_UP_SECONDS = 20.0


class Recorder:
    """Keeps the figures of every update; stops the run after `seconds` beyond the warm-up, on the loop's own clock."""

    def __init__(self, stop: threading.Event, *, warm_up_seconds: float, seconds: float) -> None:
        self.updates: list[dict[str, float]] = []
        self._stop, self._warm_up, self._end = stop, warm_up_seconds, warm_up_seconds + seconds
        self._before = (0.0, 0)

    def add(self, update: Update) -> None:
        """Take in one update."""
        progress, metrics = update.progress, update.metrics
        seconds, steps = progress.seconds - self._before[0], progress.game_steps - self._before[1]
        self._before = (progress.seconds, progress.game_steps)
        self.updates.append(
            {
                "warm_up": float(progress.seconds - seconds < self._warm_up),
                "seconds": seconds,
                "env_steps": float(steps),
                "observations": metrics["rollout/observations_per_second"] * seconds,
                "learner_waiting_share": metrics["rollout/learner_waiting_share"],
                "actor_waiting_share": metrics["rollout/actor_waiting_share"],
                "policy_lag": metrics["rollout/policy_lag"],
            }
        )
        if progress.seconds >= self._end:
            self._stop.set()


def summary(updates: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return the figures of all updates after the warm-up together.

    Raises:
        ValueError: if there is none.
    """
    measured = [update for update in updates if not update["warm_up"]]
    if not measured:
        raise ValueError("no update came after the warm-up; measure for longer with --minutes")
    seconds = sum(update["seconds"] for update in measured)
    learner = sum(update["learner_waiting_share"] * update["seconds"] for update in measured) / seconds
    actors = statistics.mean(update["actor_waiting_share"] for update in measured)
    limited_by = "learner" if actors > learner else "actors"
    return {
        "env_steps_per_second": sum(update["env_steps"] for update in measured) / seconds,
        "observations_per_second": sum(update["observations"] for update in measured) / seconds,
        "learner_waiting_share": learner,
        "actor_waiting_share": actors,
        "limited_by": limited_by,
        "limited_by_explained": (
            f"the learner waits for unrolls {learner:.0%} of the time, the actors for the learner {actors:.0%}: "
            f"the {limited_by} set{'s' if limited_by == 'learner' else ''} the pace"
        ),
        "policy_lag": statistics.mean(update["policy_lag"] for update in measured),
        "measured_seconds": seconds,
    }


def measure(config: TrainConfig, *, warm_up_seconds: float, seconds: float) -> list[dict[str, float]]:
    """Return the figures of each update of a run that is stopped after that time."""
    stop = threading.Event()
    recorder = Recorder(stop, warm_up_seconds=warm_up_seconds, seconds=seconds)
    with tempfile.TemporaryDirectory() as folder:
        run_training(config, Path(folder) / "run", report=recorder.add, stop=stop)
    return recorder.updates


def main() -> None:
    """Run the loop and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--recipe", default="microrts_16x16", choices=sorted(RECIPES), help="what to train")
    parser.add_argument("--opponents", nargs="*", help="whom to meet, in place of the recipe's, such as past_self")
    parser.add_argument("--minutes", type=float, default=1.5, help="how long to measure, after the warm-up")
    options = parser.parse_args()
    machine = machine_info()
    config = get_recipe(options.recipe)
    if config.actors.num_actors == 0:
        config = dataclasses.replace(config, actors=dataclasses.replace(config.actors, num_actors=1))
    if options.opponents:
        met = dataclasses.replace(config.environment, opponents=tuple(options.opponents))
        config = dataclasses.replace(config, environment=met)
    updates = measure(config, warm_up_seconds=WARM_UP_SECONDS, seconds=60 * options.minutes)
    results = summary(updates)
    details = {"updates": updates, "config": to_dict(config), "load_average_after": list(os.getloadavg())}
    write_json(options.output, {**results, **details, "machine": machine, "versions": versions()})
    print(
        f"{results['env_steps_per_second']:,.0f} env steps/s, {results['observations_per_second']:,.0f} "
        f"observations/s; {results['limited_by_explained']}"
    )


if __name__ == "__main__":
    main()
