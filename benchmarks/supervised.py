"""What the benchmarks on real data share: the training loop, its curves, and the command around them."""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import VERSIONED_PACKAGES, machine_info, versions, write_json
from torch import Tensor, nn

TINY_STEPS = 6
Point = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a model is trained: by AdamW, at a rate that rises over a tenth of the steps, then falls by a cosine."""

    steps: int
    """Updates."""
    batch_size: int
    """Examples in each."""
    learning_rate: float
    """The highest."""
    weight_decay: float = 0.01
    """Of AdamW, on all weights."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    evaluations: int = 8
    """Times the model is evaluated, the last one at the end."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A trained model and how it got there."""

    model: nn.Module
    """In evaluation mode."""
    curve: list[Point]
    """At each evaluation: step, processor seconds of training, mean training loss since the last one, the figures."""

    @property
    def last(self) -> Point:
        """The figures at the end."""
        return self.curve[-1]


def train(
    model: nn.Module,
    loss_of_batch: Callable[[nn.Module], Tensor],
    evaluate: Callable[[nn.Module], Mapping[str, float]],
    schedule: Schedule,
) -> Run:
    """Return the trained model and its curve.

    Args:
        model: what to train.
        loss_of_batch: draws a batch and returns the model's loss on it.
        evaluate: returns figures on held-out data; called without gradients, in evaluation mode.
        schedule: steps and rates.
    """
    optimiser, rates = _optimiser(model, schedule)
    interval = max(schedule.steps // schedule.evaluations, 1)
    curve: list[Point] = []
    losses: list[float] = []
    seconds = 0.0
    for step in range(1, schedule.steps + 1):
        started = time.process_time()
        model.train()
        loss = loss_of_batch(model)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), schedule.clip_norm)
        optimiser.step()
        rates.step()
        losses.append(loss.item())
        seconds += time.process_time() - started
        if step == schedule.steps or (step % interval == 0 and schedule.steps - step >= interval):
            curve.append(
                {"step": step, "cpu_seconds": seconds, "loss": statistics.mean(losses), **_on(model, evaluate)}
            )
            losses.clear()
    return Run(model=model.eval(), curve=curve)


def _optimiser(
    model: nn.Module, schedule: Schedule
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, betas=(0.9, 0.98)
    )
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(_share_of_rate, steps=schedule.steps))
    return optimiser, rates


def _share_of_rate(step: int, *, steps: int) -> float:
    rising = (step + 1) / max(steps // 10, 1)
    return min(rising, 0.5 + 0.5 * math.cos(math.pi * step / steps))


@torch.no_grad()
def _on(model: nn.Module, evaluate: Callable[[nn.Module], Mapping[str, float]]) -> Mapping[str, float]:
    return evaluate(model.eval())


def mean_of(runs: Sequence[Run], figure: str) -> float:
    """Return the mean over the runs of a figure at the end."""
    return statistics.mean(run.last[figure] for run in runs)


@dataclass(frozen=True)
class Options:
    """What every benchmark on real data is told."""

    output: Path
    """JSON file to write; the picture goes beside it."""
    seeds: int
    """Runs of each model, with seeds 1, 2, ..."""
    tiny: bool
    """A few steps on little data: seconds, to see that it runs."""
    schedule: Schedule
    """Of every run."""


def read_options(description: str | None, schedule: Schedule, *, seeds: int) -> Options:
    """Return the options of the command line, with these defaults; sets torch's threads."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--seeds", type=int, default=seeds, help="runs of each model, with seeds 1, 2, ...")
    parser.add_argument("--steps", type=int, default=schedule.steps, help="updates of each run")
    parser.add_argument("--tiny", action="store_true", help="one seed, a few steps, little data: takes seconds")
    parser.add_argument("--threads", type=int, help="of torch")
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    if given.tiny:
        small = replace(schedule, steps=TINY_STEPS, batch_size=min(schedule.batch_size, 8), evaluations=2)
        return Options(given.output, 1, True, small)
    return Options(given.output, given.seeds, False, replace(schedule, steps=given.steps))


def write_results(
    options: Options,
    results: Mapping[str, Any],
    runs: Mapping[str, Sequence[Run]],
    panels: Mapping[str, str],
    *,
    packages: Sequence[str] = (),
) -> None:
    """Write the JSON, with the curves of all runs, and a picture of them beside it where matplotlib is there.

    Args:
        options: where to write, and the schedule.
        results: the benchmark's own keys.
        runs: the runs of each model, one for each seed.
        panels: figures to draw, each with the label of its axis.
        packages: further packages whose versions matter.
    """
    payload = {
        **results,
        "curves": {name: [run.curve for run in of_model] for name, of_model in runs.items()},
        "schedule": asdict(options.schedule),
        "seeds": options.seeds,
        "threads": torch.get_num_threads(),
        "machine": machine_info(),
        "versions": versions((*VERSIONED_PACKAGES, *packages)),
    }
    write_json(options.output, payload)
    _draw(options.output.with_suffix(".png"), runs, panels)


def _draw(path: Path, runs: Mapping[str, Sequence[Run]], panels: Mapping[str, str]) -> None:
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, row = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 3.8), layout="constrained", squeeze=False)
    for axes, (name, label) in zip(row[0], panels.items(), strict=True):
        for index, (model, of_model) in enumerate(runs.items()):
            for seed, run in enumerate(of_model):
                points = [(point["step"], point[name]) for point in run.curve]
                axes.plot(*zip(*points, strict=True), color=f"C{index}", label=None if seed else model, linewidth=1.4)
        axes.set(xlabel="step", ylabel=label)
        axes.grid(alpha=0.3)
    row[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
