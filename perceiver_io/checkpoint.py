"""Weights and their configuration in a directory: config.json with model.safetensors or pytorch_model.bin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FORMAT = "perceiver_io"
FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
SAFETENSORS_FILE = "model.safetensors"
PICKLE_FILE = "pytorch_model.bin"


def read_config(directory: str | Path) -> dict[str, Any]:
    """Return what config.json holds.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no object.
    """
    path = Path(directory) / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found; expected a directory with {CONFIG_FILE} and {SAFETENSORS_FILE}")
    config = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected an object, got {type(config).__name__}")
    return config


def read_tensors(directory: str | Path) -> dict[str, Tensor]:
    """Return the tensors of model.safetensors, or of pytorch_model.bin where that is missing, by name.

    Raises:
        FileNotFoundError: if there is neither.
        ImportError: if safetensors is needed and missing.
        ValueError: if the file holds anything but tensors.
    """
    safetensors_path, pickle_path = Path(directory) / SAFETENSORS_FILE, Path(directory) / PICKLE_FILE
    if safetensors_path.is_file():
        tensors: Any = _safetensors().load_file(safetensors_path)
    elif pickle_path.is_file():
        tensors = torch.load(pickle_path, map_location="cpu", weights_only=True)
    else:
        raise FileNotFoundError(f"{directory}: expected {SAFETENSORS_FILE} or {PICKLE_FILE}, found neither")
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise ValueError(f"{pickle_path}: expected tensors by name (a state dict), got something else")
    return dict(tensors)


def write(directory: str | Path, *, task: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write config.json and model.safetensors, making the directory where needed.

    Raises:
        ImportError: if safetensors is missing.
    """
    safetensors = _safetensors()
    document = {"format": FORMAT, "version": FORMAT_VERSION, "task": task, "config": dict(config)}
    text = json.dumps(document, indent=2, default=lambda number: number.item()) + "\n"  # sizes may be NumPy's
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / SAFETENSORS_FILE
    )
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


@torch.no_grad()
def fill(slots: Mapping[str, Tensor], tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Copy each tensor into the slot of its name; nothing is copied unless all fit.

    Raises:
        ValueError: naming every tensor that is missing, unknown or of another shape.
    """
    problems = [f"  missing: {name} {list(slots[name].shape)}" for name in sorted(slots.keys() - tensors.keys())]
    problems += [f"  unknown: {name} {list(tensors[name].shape)}" for name in sorted(tensors.keys() - slots.keys())]
    problems += [
        f"  misshaped: {name}: expected {list(slots[name].shape)}, got {list(tensors[name].shape)}"
        for name in sorted(slots.keys() & tensors.keys())
        if slots[name].shape != tensors[name].shape
    ]
    if problems:
        raise ValueError(f"{source}: the tensors don't fit the configuration\n" + "\n".join(problems))
    for name, slot in slots.items():
        slot.copy_(tensors[name])


def _safetensors() -> Any:
    try:
        from safetensors import torch as safetensors_torch
    except ImportError as error:
        raise ImportError(f"{SAFETENSORS_FILE} needs safetensors: pip install safetensors") from error
    return safetensors_torch
