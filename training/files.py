"""The places that results go to, and JSON for configs and metadata."""

from __future__ import annotations

import dataclasses
import enum
import errno
import json
import os
from pathlib import Path, PurePath
from typing import Any


def prepare_output(path: Path) -> None:
    """Make the folder of a file that is to be written after long work, and see that it can be written.

    Raises:
        OSError: if it can't; the error names the place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file in it", str(path))
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(errno.EACCES, "cannot be written to; choose another place", str(path.parent))


def to_json(value: Any) -> bytes:
    """Return readable JSON; dataclasses, paths, enums and arrays are written as plain data.

    Raises:
        TypeError: if something in `value` has no plain form, naming its type.
    """
    return (json.dumps(value, indent=2, default=_plain) + "\n").encode()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, torch tensors
        return value.tolist()
    if type(value).__module__ == "torch":  # dtypes and devices
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON, got {value!r}; convert it to plain data first")
