from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_file_gives_what_the_torso_gives(
    load_example: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = load_example("export_torso")
    path = str(tmp_path / "torso.onnx")
    example.main(path)
    assert capsys.readouterr().out.count("largest difference") == 3
    torso = example.EntityTorso(example.EntityTorsoConfig(entity_channels=64))
    assert example.largest_difference(torso, path, 2, 8) > example.TOLERANCE  # other weights are told apart
