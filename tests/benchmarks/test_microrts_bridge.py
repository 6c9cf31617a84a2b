from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmark_writes_speeds_ratio_and_parity(tmp_path: Path) -> None:
    output = tmp_path / "results" / "bridge.json"
    script = ROOT / "benchmarks" / "microrts_bridge.py"
    arguments = ["--output", str(output), "--seconds", "0.3", "--parity-steps", "200"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(script), *arguments], check=True, cwd=ROOT, env=environment)
    results = json.loads(output.read_text(encoding="utf-8"))
    assert results["steps_per_cpu_second"] > results["packaged_client_steps_per_cpu_second"] > 0
    assert results["ratio_to_packaged_client"] == pytest.approx(
        results["steps_per_cpu_second"] / results["packaged_client_steps_per_cpu_second"]
    )
    assert results["parity_game_steps"] >= 200
    assert results["parity_mismatches"] == 0
    assert results["machine"]["cores"] >= 1
    assert results["versions"]["gym-microrts"] == "0.6.0"
    assert set(results["raw"]) == {"bridge", "packaged_client"}
