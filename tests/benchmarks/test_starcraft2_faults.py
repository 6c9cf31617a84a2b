from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "starcraft2_faults.py"


def run(code_or_script: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(SCRIPT.parent)])}
    return subprocess.run(
        [sys.executable, *code_or_script], check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    ).stdout


def test_processes_that_did_not_end_in_an_orderly_way_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "processes.txt"
    log.write_text("start 1\nstart 2\nend 1 0\nstart 3\nend 3 137\nstart 4\n")
    code = "import sys, json, starcraft2_faults; from pathlib import Path\n"
    code += "print(json.dumps(starcraft2_faults.count_processes(Path(sys.argv[1]))))"
    assert json.loads(run(["-c", code, str(log)])) == {"started": 4, "failed": 3}


@pytest.mark.slow
def test_a_short_run_holds_every_check(tmp_path: Path) -> None:
    output = tmp_path / "faults.json"
    printed = run([str(SCRIPT), "--output", str(output), "--episodes", "8"])
    assert printed.startswith("stand-in game: ")
    results = json.loads(output.read_text(encoding="utf-8"))
    assert results["passed"]
    assert all(results["checks"].values())
    assert results["episodes"] >= 8
    assert results["processes_by_their_log"]["started"] >= 8
