from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a process that is killed")
def test_nothing_outlives_a_benchmark_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--output", str(tmp_path / "faults.json"), "--episodes", "100000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment) as benchmark:
        try:
            family, deadline = psutil.Process(benchmark.pid), time.monotonic() + 60
            while sum("launch.py" in " ".join(each.cmdline()) for each in children(family)) < 2:
                assert time.monotonic() < deadline, "no game starts"
                time.sleep(0.1)
            left = children(family)
        finally:
            benchmark.kill()
    _, alive = psutil.wait_procs(left, timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return all descendants whose command line can be read."""
    found = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.cmdline()
            found.append(child)
    return found
