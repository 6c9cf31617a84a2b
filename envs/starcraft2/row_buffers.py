"""The arrays in which a batch's rows find their observations and results."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

INFO_NAMES = ("reward_terms", "elapsed_steps", "outcome", "dropped")
RESULT_NAMES = (*INFO_NAMES, "terminated", "truncated")


class RowBuffers:
    """Observations and results of a batch, overwritten by each step.

    Args:
        space: of one observation.
        num_rows: rows of the batch.
        num_terms: terms of the reward.

    Attributes:
        arrays: every array [num_rows, ...] by name: the observation's keys, and the results: reward_terms float32
            [num_rows, num_terms], elapsed_steps int32, outcome int8, dropped, terminated and truncated bool
            [num_rows].
    """

    def __init__(self, space: spaces.Dict, num_rows: int, num_terms: int) -> None:
        self._keys = tuple(space.spaces)
        shapes: dict[str, tuple[Any, Any]] = {name: (box.shape, box.dtype) for name, box in space.spaces.items()}
        shapes |= {
            "reward_terms": ((num_terms,), np.float32),
            "elapsed_steps": ((), np.int32),
            "outcome": ((), np.int8),
            "dropped": ((), np.bool_),
            "terminated": ((), np.bool_),
            "truncated": ((), np.bool_),
        }
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.zeros((num_rows, *shape), dtype) for name, (shape, dtype) in shapes.items()
        }

    def row(self, row: int) -> dict[str, NDArray[Any]]:
        """Return the arrays of one row, to be written into; results without an axis of their own are [1]."""
        return {name: array[row] if array.ndim > 1 else array[row : row + 1] for name, array in self.arrays.items()}

    def observations(self) -> dict[str, NDArray[Any]]:
        """Return the observations [num_rows, ...] by key."""
        return {key: self.arrays[key] for key in self._keys}

    def infos(self) -> dict[str, Any]:
        """Return the results that are not part of gymnasium's five."""
        return {name: self.arrays[name] for name in INFO_NAMES}

    def clear_results(self, rows: NDArray[np.bool_] | slice = slice(None)) -> None:
        """Set the results of rows to zero."""
        for name in RESULT_NAMES:
            self.arrays[name][rows] = 0
