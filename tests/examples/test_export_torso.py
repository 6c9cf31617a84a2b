from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

SCRIPT = Path(__file__).parents[2] / "examples" / "export_torso.py"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_file_gives_what_the_torso_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("export_torso", SCRIPT)
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    path = str(tmp_path / "torso.onnx")
    example.main(path)
    assert capsys.readouterr().out.count("largest difference") == 3

    torso = example.EntityTorso(example.EntityTorsoConfig(entity_channels=64))
    assert example.largest_difference(torso, path, 2, 8) > example.TOLERANCE, (
        "another torso's weights must be told apart"
    )
