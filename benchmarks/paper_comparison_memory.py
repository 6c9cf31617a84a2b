"""Peak memory of one training step of a variant, for a process of its own.

python benchmarks/paper_comparison_memory.py perceiver_32 comparison small
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from paper_comparison_lessons import Lessons
from paper_comparison_plan import TRAINED_MAPS, VARIANTS, Budget
from paper_comparison_results import PLAN_FILE, recording_of
from peak_memory import peak_mebibytes


def main() -> None:
    """Run a training step on a run's recording and print its peak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("map", choices=TRAINED_MAPS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    plan = json.loads((options.run / PLAN_FILE).read_text(encoding="utf-8"))
    lessons = Lessons(recording_of(options.run, options.map), options.map, Budget.from_dict(plan["budget"]))
    learner = lessons.learner(options.variant, seed=0)
    batch = lessons.typical_batch()
    learner.update(batch)
    print(peak_mebibytes(lambda: learner.update(batch)))


if __name__ == "__main__":
    main()
