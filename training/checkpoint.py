"""Checkpoints: folders that are complete or absent, portable, and safe to open.

    checkpoints/000000012000/weights.safetensors    the model's parameters and buffers
                             training_state.pt      optimiser, schedule, random states, counters: tensors and plain data
                                                    (not in what `perceiver-star export` writes)
                             metadata.json          versions, step, game, layouts, agent config, file sizes
                             SHA256SUMS             checked when loading, and by `sha256sum --check SHA256SUMS`
    checkpoints/latest -> 000000012000

A checkpoint is written to a temporary folder beside its final place and renamed, so an interrupted save leaves the
older ones as they were. Opening one never executes anything from it: weights are safetensors, and the training state is
read by torch's restricted unpickler.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from envs.files import sync_directory, write_durably
from training.checkpoint_compatibility import check_compatible
from training.checkpoint_errors import (
    CheckpointError,
    CheckpointMismatchError,
    CheckpointNotFoundError,
    CheckpointWriteError,
    CorruptedCheckpointError,
    NewerCheckpointError,
    NotACheckpointError,
)
from training.checkpoint_paths import (
    METADATA_FILE,
    latest_checkpoint,
    move_into_place,
    point_latest_to,
    resolve_checkpoint,
    step_folders,
)
from training.files import to_json
from training.machine import installed_version

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "CheckpointMismatchError",
    "CheckpointNotFoundError",
    "CheckpointWriteError",
    "CorruptedCheckpointError",
    "NewerCheckpointError",
    "NotACheckpointError",
    "check_compatible",
    "latest_checkpoint",
    "load_checkpoint",
    "newest_intact",
    "resolve_checkpoint",
    "save_checkpoint",
]

FORMAT = "perceiver-star checkpoint"
FORMAT_VERSION = 1
WEIGHTS_FILE = "weights.safetensors"
STATE_FILE = "training_state.pt"
HASHES_FILE = "SHA256SUMS"
_TEMPORARY_PREFIX = ".saving-"
OWN_METADATA = ("format", "format_version", "software_version", "saved_at", "step", "files")
_PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """What was saved, on the CPU.

    Attributes:
        weights: the model's state dict.
        training_state: what `save_checkpoint` was given, or empty if it was not asked for.
        metadata: what `save_checkpoint` was given, with format, format_version, software_version, saved_at, step and
            files.
        path: the folder it was read from.
    """

    weights: dict[str, Tensor]
    training_state: dict[str, Any]
    metadata: dict[str, Any]
    path: Path

    @property
    def step(self) -> int:
        """The step it was saved at."""
        return int(self.metadata["step"])


def save_checkpoint(
    directory: Path,
    step: int,
    *,
    weights: Mapping[str, Tensor],
    training_state: Mapping[str, Any],
    metadata: Mapping[str, Any],
    keep: int | None,
) -> Path:
    """Write `directory/<step>/`, point `directory/latest` to it and return its path.

    Args:
        directory: the folder of all checkpoints of a run, such as `runs/a/checkpoints`; made if absent.
        step: environment steps so far; a checkpoint of the same step is replaced.
        weights: the model's state dict.
        training_state: nested dicts, lists and tuples of tensors, numbers, strings and None.
        metadata: what JSON can hold: game version, observation and action layout, agent config, policy_version.
        keep: how many checkpoints to keep, this one included; None keeps all. Later steps than this one are left alone.

    Raises:
        ValueError: if the training state holds other objects (naming the place), metadata uses a name of ours, step is
            negative or keep is below 1.
        CheckpointWriteError: if the disk is full or the directory not writable; the older checkpoints stay intact.
    """
    if step < 0 or (keep is not None and keep < 1):
        raise ValueError(f"expected step >= 0 and keep >= 1 or None, got step {step} and keep {keep}")
    if taken := [key for key in OWN_METADATA if key in metadata]:
        raise ValueError(f"metadata may not hold {', '.join(taken)}: save_checkpoint writes them itself; rename yours")
    for key, value in training_state.items():
        _check_plain(value, f"training_state[{key!r}]")
    files = encode_checkpoint(step, weights, training_state, metadata)
    directory = Path(directory)
    target = directory / f"{step:012d}"
    temporary = directory / f"{_TEMPORARY_PREFIX}{target.name}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left_over in directory.glob(f"{_TEMPORARY_PREFIX}*"):
            shutil.rmtree(left_over)
        temporary.mkdir()
        for name, data in files.items():
            write_durably(temporary / name, data)
        sync_directory(temporary)
        move_into_place(temporary, target)
        point_latest_to(directory, target.name)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _write_error(error, target) from error
    _remove_old(directory, step, keep)
    return target


def load_checkpoint(path: Path | str, *, with_training_state: bool = True) -> Checkpoint:
    """Return the checkpoint at `path`, which may be anything `resolve_checkpoint` accepts.

    Args:
        path: a run directory, its checkpoints folder, `latest` or the folder of a step.
        with_training_state: False reads the weights only, which is all that acting needs.

    Raises:
        CheckpointError: if there is none, or it is not one of ours, damaged, or written by a newer version.
    """
    path = resolve_checkpoint(path)
    metadata = _read_metadata(path)
    weights_data = _read_verified(path, WEIGHTS_FILE, metadata)
    try:
        weights = safetensors.torch.load(weights_data)
    except safetensors.SafetensorError as error:
        raise _corrupted(path, f"{WEIGHTS_FILE} is not a safetensors file ({error})") from error
    state: dict[str, Any] = {}
    if with_training_state:
        if STATE_FILE not in metadata["files"]:
            raise CheckpointMismatchError(
                f"{path} holds weights alone, without what going on with its training needs; begin a run with them "
                f"instead: --init {path}"
            )
        state = _unpickle_plain_data(path, _read_verified(path, STATE_FILE, metadata))
    return Checkpoint(weights=weights, training_state=state, metadata=metadata, path=path)


def newest_intact(directory: Path) -> Checkpoint:
    """Return the newest checkpoint in a run's folder of them that is not damaged; a warning names those that are.

    Raises:
        CheckpointError: if all are damaged, what is wrong with the newest; or it cannot be used.
    """
    candidates = [latest_checkpoint(directory) or resolve_checkpoint(directory)]
    folders = {step: folder.resolve() for step, folder in step_folders(directory).items()}
    candidates += [folders[step] for step in sorted(folders, reverse=True) if folders[step] != candidates[0]]
    damages = []
    for path in candidates:
        try:
            return load_checkpoint(path)
        except CorruptedCheckpointError as error:
            _logger.warning("%s", error)
            damages.append(error)
    raise damages[0]


def encode_checkpoint(
    step: int, weights: Mapping[str, Tensor], training_state: Mapping[str, Any] | None, metadata: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the files of a checkpoint by name; without training state, of one that cannot be resumed."""
    # Copied, because safetensors refuses tensors that share memory (tied weights).
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in weights.items()}
    files = {WEIGHTS_FILE: safetensors.torch.save(copies)}
    if training_state is not None:
        state = io.BytesIO()
        torch.save(dict(training_state), state)
        files[STATE_FILE] = state.getvalue()
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "software_version": installed_version("perceiver-star") or "unknown",
        "saved_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "step": step,
        **metadata,
        "files": {name: len(data) for name, data in files.items()},
    }
    files[METADATA_FILE] = to_json(described)
    hashes = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    return {**files, HASHES_FILE: "".join(hashes).encode()}


def _remove_old(directory: Path, step: int, keep: int | None) -> None:
    if keep is None:
        return
    folders = step_folders(directory)
    for old in sorted(other for other in folders if other <= step)[:-keep]:
        _remove(folders[old])


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:  # the new checkpoint is safe, so training goes on
        _logger.warning("could not remove the old checkpoint %s: %s", folder, error)


def _write_error(error: OSError, target: Path) -> CheckpointWriteError:
    try:
        last_good = latest_checkpoint(target.parent)
    except OSError:
        last_good = None
    kept = f"the last good checkpoint is {last_good}" if last_good else "there is no earlier one"
    return CheckpointWriteError(
        error.errno,
        f"could not write the checkpoint ({error.strerror or error}); {kept}. Free space or mend the permissions",
        str(target),
    )


def _read_metadata(path: Path) -> dict[str, Any]:
    try:
        metadata = json.loads((path / METADATA_FILE).read_bytes())
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(f"the checkpoint {path} was removed while it was being opened") from error
    except ValueError as error:
        raise _corrupted(path, f"{METADATA_FILE} is not JSON ({error})") from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise NotACheckpointError(
            f"{path} is not a checkpoint of perceiver-star: its {METADATA_FILE} was written by something else"
        )
    version = metadata.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise NewerCheckpointError(
            f"{path} has checkpoint format {version}, written by perceiver-star {metadata.get('software_version')}; "
            f"this one reads up to format {FORMAT_VERSION}. Upgrade with: pip install --upgrade perceiver-star"
        )
    types = {"format_version": int, "step": int, "files": dict}
    if wrong := [key for key, kind in types.items() if not isinstance(metadata.get(key), kind)]:
        raise _corrupted(path, f"{METADATA_FILE} gives no usable {', '.join(wrong)}")
    _read_verified(path, METADATA_FILE, metadata)
    return metadata


def _read_verified(path: Path, name: str, metadata: Mapping[str, Any]) -> bytes:
    """Return the content of a file whose size and hash are those noted when it was saved."""
    try:
        data, hashes = (path / name).read_bytes(), (path / HASHES_FILE).read_text(errors="replace")
    except FileNotFoundError as error:
        raise _corrupted(path, f"{Path(error.filename).name} is missing") from error
    size = metadata["files"].get(name, len(data))
    if len(data) != size:
        raise _corrupted(path, f"{name} has {len(data)} bytes where {size} were written")
    if f"{hashlib.sha256(data).hexdigest()}  {name}" not in hashes.splitlines():
        raise _corrupted(path, f"{name} does not have the hash noted in {HASHES_FILE}")
    return data


def _unpickle_plain_data(path: Path, data: bytes) -> dict[str, Any]:
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file makes the reader raise, it is refused
        reason = f"{STATE_FILE} is not a file of tensors and plain data; it was refused and nothing in it was run"
        raise _corrupted(path, reason) from error
    if not isinstance(state, dict):
        raise _corrupted(path, f"{STATE_FILE} holds a {type(state).__name__} where a dict was written")
    return state


def _corrupted(path: Path, reason: str) -> CorruptedCheckpointError:
    return CorruptedCheckpointError(f"the checkpoint {path} is damaged: {reason}. Use another step, or copy it again")


def _check_plain(value: Any, place: str) -> None:
    if type(value) in (dict, OrderedDict):
        for key, item in value.items():
            _check_plain(key, f"a key of {place}")
            _check_plain(item, f"{place}[{key!r}]")
    elif type(value) in (list, tuple, set, torch.Size):
        for index, item in enumerate(value):
            _check_plain(item, f"{place}[{index}]")
    elif not (isinstance(value, Tensor) or type(value) in _PLAIN_TYPES):
        raise ValueError(
            f"{place} is a {type(value).__module__}.{type(value).__qualname__}; only tensors, numbers, strings, "
            "None and dicts, lists, tuples and sets of them can be read back safely. Convert it first, arrays with "
            "torch.from_numpy"
        )
