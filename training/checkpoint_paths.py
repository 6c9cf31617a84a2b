"""Where checkpoints lie: step folders, the `latest` link, and the paths people type."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from envs.files import sync_directory, write_durably
from training.checkpoint_errors import CheckpointNotFoundError, NotACheckpointError

LATEST = "latest"
METADATA_FILE = "metadata.json"


def latest_checkpoint(directory: Path | str) -> Path | None:
    """Return the step folder that `directory/latest` names, else that of the highest step, else None.

    Args:
        directory: the folder of all checkpoints of a run, such as `runs/a/checkpoints`.
    """
    directory = Path(directory)
    pointer = directory / LATEST
    # A text file stands in for the link on file systems without links, and a copy may have followed the link.
    name = pointer.read_text(errors="replace").strip() if pointer.is_file() else LATEST
    if (name == LATEST or name.isdecimal()) and (directory / name / METADATA_FILE).is_file():
        return (directory / name).resolve()
    steps = step_folders(directory)
    return steps[max(steps)].resolve() if steps else None


def resolve_checkpoint(path: Path | str) -> Path:
    """Return the step folder meant by `runs/a`, `runs/a/checkpoints`, `runs/a/checkpoints/latest` or the folder itself.

    Raises:
        CheckpointNotFoundError: if there is no checkpoint yet or no such path.
        NotACheckpointError: if something else is there.
    """
    path = Path(path)
    if (path / METADATA_FILE).is_file():
        return path.resolve()
    folder = path.parent if path.name == LATEST and not path.is_dir() else path
    for directory in (folder / "checkpoints", folder):
        if found := latest_checkpoint(directory):
            return found
    if path.is_file():
        raise NotACheckpointError(
            f"{path} is a file, and a checkpoint is a folder; pass the run directory or a folder of its checkpoints"
        )
    if path.is_dir() and any(path.iterdir()) and not (path / "checkpoints").is_dir():
        raise NotACheckpointError(
            f"{path} is not a checkpoint: it holds neither {METADATA_FILE} nor checkpoints/; pass the run directory or "
            "a folder of its checkpoints"
        )
    steps = sorted(step_folders(path.parent))
    there = f"; the steps there are {', '.join(map(str, steps[-5:]))}" if steps else ""
    raise CheckpointNotFoundError(
        f"there is no checkpoint at {path}{there}; pass the run directory of a run that saved one"
    )


def step_folders(directory: Path) -> dict[int, Path]:
    """Return the complete checkpoints in a folder by step."""
    return {
        int(metadata.parent.name): metadata.parent
        for metadata in directory.glob(f"*/{METADATA_FILE}")
        if metadata.parent.name.isdecimal()
    }


def move_into_place(temporary: Path, target: Path) -> None:
    """Rename a finished folder to its place, replacing the one that is there."""
    if target.exists():  # a run resumed from an earlier checkpoint reaches the same step again
        replaced = temporary.with_name(f"{temporary.name}-replaced")
        target.rename(replaced)
        try:
            temporary.rename(target)
        except OSError:
            replaced.rename(target)
            raise
        shutil.rmtree(replaced)
    else:
        temporary.rename(target)
    sync_directory(target.parent)


def point_latest_to(directory: Path, name: str) -> None:
    """Make `directory/latest` name a step folder in one step, relative so that the run directory can be moved."""
    temporary = directory / f".{LATEST}.{os.getpid()}"
    try:
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(name)
        except OSError:
            write_durably(temporary, name.encode())
        os.replace(temporary, directory / LATEST)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(directory)
