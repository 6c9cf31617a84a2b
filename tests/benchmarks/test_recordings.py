from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmark_writes_sizes_and_speeds(tmp_path: Path) -> None:
    output = tmp_path / "recordings.json"
    arguments = ["--output", str(output), "--games", "1", "--seconds", "0.5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "recordings.py"), *arguments], check=True, cwd=ROOT, env=environment
    )
    results = json.loads(output.read_text(encoding="utf-8"))
    assert results["games"] == 6
    sizes, speeds = results["bytes_per_step"], results["read_steps_per_second"]
    assert set(sizes) == set(speeds) == {"recording", "npy_copies", "npz_compressed"}
    assert sizes["recording"] < min(1000, sizes["npy_copies"])
    assert all(speed > 0 for speed in speeds.values())
    assert results["recorded_game_steps_per_cpu_second"] > 0
    assert results["played_game_steps_per_cpu_second"] > 0
