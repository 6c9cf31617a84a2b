"""Trains the recipe `starcraft2_tiny` against the weakest AI of the stand-in game, and measures what it learnt.

python benchmarks/starcraft2_learning.py --output starcraft2_learning.json

Nothing here is a result of StarCraft II: the stand-in is a toy game behind the same interface. Writes the JSON, the run
directory beside it, and (with matplotlib) the curve as a picture.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import machine_info, versions, write_json
from learning_curve import TRAINING, minutes_of, read_metrics, series_of

ROOT = Path(__file__).parents[1]
RECIPE, OPPONENT = "starcraft2_tiny", "very_easy"


def train(run_path: Path, game_path: Path, options: list[str]) -> None:
    """Install the stand-in and run the recipe on it, evaluation included."""
    subprocess.run(
        [sys.executable, "-m", "tests.starcraft2_standin.install", str(game_path)], check=True, cwd=ROOT, timeout=60
    )
    command = [sys.executable, "-m", "training", "train", "--recipe", RECIPE, "--run-dir", str(run_path), *options]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "SC2PATH": str(game_path)})


def summary(run_path: Path) -> dict[str, Any]:
    """Return the figures of a finished run: the curve, and the matches before and after the training."""
    entries = read_metrics((run_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    minutes = dict(zip((entry["step"] for entry in entries), minutes_of(entries), strict=True))
    steps, rates = series_of(entries, f"{TRAINING}{OPPONENT}")
    matches = json.loads((run_path / "evaluation.json").read_text(encoding="utf-8"))
    return {
        "game": sorted({match["map"] for match in matches}),
        "win_rate_trained": [match["win_rate"] for match in matches if match["agent"] == "trained"],
        "win_rate_untrained": [match["win_rate"] for match in matches if match["agent"] == "untrained"],
        "matches": matches,
        "curve": [
            {"game_loops": step, "minutes": minutes[step], "win_rate_of_last_100": rate}
            for step, rate in zip(steps, rates, strict=True)
        ],
        "game_restarts": max((entry.get("env/restarts", 0.0) for entry in entries), default=0.0),
    }


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--minutes", type=float, help="of training; the recipe's own by default")
    options, rest = parser.parse_known_args()
    run_path = options.output.with_suffix("")
    given = [] if options.minutes is None else ["--max-minutes", str(options.minutes)]
    with tempfile.TemporaryDirectory() as folder:
        train(run_path, Path(folder) / "StarCraftII", [*given, *rest])
    results = {**summary(run_path), "machine": machine_info(), "versions": versions()}
    write_json(options.output, results)
    subprocess.run(
        [sys.executable, "benchmarks/learning_curve.py", str(run_path), "--output", str(run_path.with_suffix(".png"))],
        check=False,
        cwd=ROOT,
    )
    print(f"win rate {results['win_rate_untrained']} before, {results['win_rate_trained']} after: {results['game']}")


if __name__ == "__main__":
    main()
