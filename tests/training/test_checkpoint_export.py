"""Exported weights are all that playing needs, and nothing else."""

from pathlib import Path

import pytest
import torch

from training.checkpoint import CheckpointMismatchError, load_checkpoint, save_checkpoint
from training.checkpoint_export import ExportOptions, export_checkpoint
from training.cli import BAD_INPUT, main

METADATA = {"policy_version": 3, "config": {"recipe": "tiny", "init": "/home/me/runs/a", "teacher": None}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    weights, state = {"w": torch.arange(6.0)}, {"optimiser": torch.zeros(1000)}
    save_checkpoint(tmp_path / "run", 12, weights=weights, training_state=state, metadata=METADATA, keep=None)
    return tmp_path / "run"


def test_weights_and_facts_come_back_without_paths_and_training_state(run: Path, tmp_path: Path) -> None:
    size = export_checkpoint(ExportOptions(checkpoint=run, output=tmp_path / "out"))
    exported, original = (load_checkpoint(path, with_training_state=False) for path in (tmp_path / "out", run))
    assert torch.equal(exported.weights["w"], original.weights["w"])
    assert exported.step == 12
    assert exported.metadata["policy_version"] == 3
    assert exported.metadata["config"] == {"recipe": "tiny", "init": None, "teacher": None}
    assert size == sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 3000
    with pytest.raises(CheckpointMismatchError, match=r"holds weights alone.*--init"):
        load_checkpoint(tmp_path / "out")


def test_what_is_there_is_not_written_over(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    assert main(["export", "--checkpoint", str(run), "--output", str(tmp_path / "out")]) == BAD_INPUT
    assert "exists and is not empty" in capsys.readouterr().err
    assert main(["export", "--checkpoint", str(run), "--output", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "weights.safetensors").exists()
