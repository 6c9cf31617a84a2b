from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.envs.starcraft2.recorded_game import recorded_archive

ROOT = Path(__file__).parents[2]
PYTHON_VARIABLE = "PYSC2_CONVERTER_PYTHON"


@pytest.mark.slow
def test_units_agree_with_those_of_alphastars_converter(tmp_path: Path) -> None:
    python = os.environ.get(PYTHON_VARIABLE)
    if python is None:
        pytest.skip(
            f"needs {PYTHON_VARIABLE}, a Python 3.10 with official pysc2 4.0 (see benchmarks/starcraft2_converter.py)"
        )
    output = tmp_path / "converter.json"
    script = ROOT / "benchmarks" / "starcraft2_converter.py"
    arguments = ["--archive", str(recorded_archive()), "--output", str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([python, str(script), *arguments], check=True, cwd=ROOT, env=environment, timeout=150)
    results = json.loads(output.read_text(encoding="utf-8"))
    assert results["observations"] == 30
    assert results["units"] > 6000
    assert results["units_left_out"] == 0
    assert set(results["differences"]) <= set(results["reasons"])
    assert {"x", "health", "order_id_3", "minimap_creep", "player"} <= set(results["compared"])
    assert not any(column["not_one_to_one"] for column in results["remapped"].values())
