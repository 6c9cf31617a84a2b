"""Named arrays in one file, of which a memory map shows each: safetensors, that any tool of that format reads.

An array is a view of the map, so that only what is indexed is read from disk, at one open file for all arrays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

Array = NDArray[Any]

_LENGTH_BYTES = 8  # of the header's length, at the beginning
_METADATA = "__metadata__"
_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    **{f"{letter}{8 * size}": np.dtype(f"<{kind}{size}") for letter, kind in ("Ii", "Uu") for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}


def to_bytes(arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the content of a file of arrays, with texts beside them.

    Raises:
        ValueError: if an array holds anything but truth values, whole numbers and floating-point numbers.
    """
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in _DTYPES.values():
            raise ValueError(
                f"{name} is of type {array.dtype}, expected one of {', '.join(map(str, _DTYPES.values()))}"
            )
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return save(contiguous, dict(metadata) if metadata else None)


def map_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Return read-only views of a file's arrays, by name, and the texts beside them.

    The file must be what `to_bytes` gave: compare it with its hash before.
    """
    mapped = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
    first = _LENGTH_BYTES + int.from_bytes(mapped[:_LENGTH_BYTES].tobytes(), "little")
    header: dict[str, Any] = json.loads(mapped[_LENGTH_BYTES:first].tobytes())
    metadata = header.pop(_METADATA, {})
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = mapped[first + begin : first + end].view(_DTYPES[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"])
    return arrays, metadata
