from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmark_writes_costs_of_steps(tmp_path: Path) -> None:
    output = tmp_path / "results" / "client.json"
    script = ROOT / "benchmarks" / "starcraft2_client.py"
    arguments = ["--output", str(output), "--units", "40", "--rounds", "3", "--steps-per-round", "3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SC2PATH": str(tmp_path / "nowhere")}
    subprocess.run([sys.executable, str(script), *arguments], check=True, cwd=ROOT, env=environment, timeout=150)
    results = json.loads(output.read_text(encoding="utf-8"))
    names = {"env_step", "pysc2_normal_step", "pysc2_passthrough_step", "encode", "encode_in_python"}
    assert set(results["raw"]) == names
    assert all(len(times) == 3 for times in results["raw"].values())
    assert all(results[f"{name}_cpu_ms"] > 0 for name in names)
    sums = [a + b for a, b in zip(results["raw"]["pysc2_passthrough_step"], results["raw"]["encode"], strict=True)]
    assert results["observed_step_cpu_ms"] == pytest.approx(sorted(sums)[1])
    assert (results["units"], results["recorded"]) == (40, False)
    assert results["machine"]["cores"] >= 1
