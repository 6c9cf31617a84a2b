"""`perceiver-star export`: a checkpoint's weights alone, to keep or to give away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from envs.files import sync_directory, write_durably
from training.checkpoint import OWN_METADATA, encode_checkpoint, load_checkpoint
from training.run_directory import RunDirectoryError


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Write the weights of a checkpoint to a folder, without what only going on with its training needs."""

    checkpoint: Path
    """A run, or one of its checkpoints."""
    output: Path
    """A new folder."""


def export_checkpoint(options: ExportOptions) -> int:
    """Write the folder and return its size in bytes.

    It is evaluated, watched and begun with (`--init`, `--teacher`) like any checkpoint. Paths of runs that this one
    began with are left out.

    Raises:
        CheckpointError: if there is no such checkpoint, or it is damaged.
        RunDirectoryError: if there is something at the output.
    """
    checkpoint = load_checkpoint(options.checkpoint, with_training_state=False)
    if options.output.exists() and (not options.output.is_dir() or any(options.output.iterdir())):
        raise RunDirectoryError(f"{options.output} exists and is not empty; choose another --output")
    metadata = {name: value for name, value in checkpoint.metadata.items() if name not in OWN_METADATA}
    metadata["config"] = {**metadata["config"], "init": None, "teacher": None}
    options.output.mkdir(parents=True, exist_ok=True)
    files = encode_checkpoint(checkpoint.step, checkpoint.weights, None, metadata)
    for name, data in files.items():
        write_durably(options.output / name, data)
    sync_directory(options.output)
    return sum(map(len, files.values()))
