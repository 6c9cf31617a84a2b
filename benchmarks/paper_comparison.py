"""Repeats the comparison of the Perceiver IO paper's StarCraft II experiment on µRTS: torsos, latents, ablations.

python benchmarks/paper_comparison.py --output comparison

Records games of the game's AIs, clones the winners' behaviour with each variant from each seed, plays the AIs, and
measures what each variant costs. Everything that is finished stays in the folder: the same command goes on where it was
interrupted. `paper_comparison_report.py` writes the page, also of a part.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
from pathlib import Path

from common import machine_info, versions
from paper_comparison_cells import FAILED, CellJob
from paper_comparison_costs import measure_costs
from paper_comparison_lessons import record_map
from paper_comparison_plan import (
    CHOSEN_BY_OPTION,
    MAPS,
    PERCEIVER,
    TINY,
    TRAINED_MAPS,
    TRANSFORMER,
    VARIANTS,
    Budget,
    plan_cells,
)
from paper_comparison_results import open_run

from training.run import resolve_device
from training.workers import run_jobs

_LONGEST_CELL_SECONDS = 6 * 3600.0


def main() -> int:
    """Record, train, evaluate and measure what is missing.

    Returns 1 if trainings failed, which the next call tries again, and 2 for another run's folder or a missing device.
    """
    options = _options()
    budget = TINY if options.tiny else Budget()
    changes = {name: getattr(options, name) for name in CHOSEN_BY_OPTION if getattr(options, name)}
    budget = dataclasses.replace(budget, **changes)
    try:
        device = str(resolve_device(options.device))
        open_run(
            options.output, budget, options.maps, options.seeds, {"machine": machine_info(), "versions": versions()}
        )
    except ValueError as error:
        print(f"paper_comparison: {error}", file=sys.stderr)
        return 2
    deadline = time.time() + 60 * options.max_minutes
    for name in options.maps:
        record_map(options.output, name, budget)
    cells = plan_cells(options.maps, options.variants, options.seeds)
    jobs = [
        CellJob(directory=options.output, cell=cell, budget=budget, deadline=deadline, device=device) for cell in cells
    ]
    failures = 0
    done = run_jobs(None, jobs, num_workers=options.workers, job_timeout_seconds=_LONGEST_CELL_SECONDS)
    for number, (index, told) in enumerate(done, 1):
        print(f"{number}/{len(cells)} {cells[index].path}: {told}", flush=True)
        failures += told.startswith(FAILED)
    for name in MAPS:  # last, when no training disturbs the clock
        record_map(options.output, name, budget)
        measure_costs(options.output, name, budget)
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path, help="folder of the run")
    parser.add_argument("--tiny", action="store_true", help="minutes in all, to see that everything works")
    parser.add_argument("--maps", nargs="+", default=list(TRAINED_MAPS), choices=TRAINED_MAPS)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument(
        "--pair", dest="variants", action="store_const", const=[PERCEIVER, TRANSFORMER], help="only the paper's two"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--games", type=int, help=f"against each AI; {Budget().games} by default")
    parser.add_argument("--passes", type=int, help=f"over the recording; {Budget().passes} by default")
    parser.add_argument("--recorded-games", type=int, help=f"of each pair of AIs; {Budget().recorded_games} by default")
    parser.add_argument("--max-minutes", type=float, default=math.inf, help="begin no training after so many minutes")
    parser.add_argument("--device", default="cpu", help="cuda, cuda:1, ...: learns, while the processor plays")
    parser.add_argument("--workers", type=int, help="trainings side by side, a thread each; all cores by default")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
