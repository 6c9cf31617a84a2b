"""JSON says what was meant."""

import dataclasses
import enum
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from training.files import to_json


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Inner:
    path: Path
    sizes: tuple[int, ...]


def test_json_of_what_configs_hold() -> None:
    value = {
        "inner": Inner(Path("a/b"), (1, 2)),
        "colour": Colour.RED,
        "array": np.eye(2, dtype=np.float32),
        "scalar": np.int64(3),
        "tensor": torch.ones(2),
        "dtype": torch.bfloat16,
        "device": torch.device("cpu"),
    }
    assert json.loads(to_json(value)) == {
        "inner": {"path": "a/b", "sizes": [1, 2]},
        "colour": "red",
        "array": [[1.0, 0.0], [0.0, 1.0]],
        "scalar": 3,
        "tensor": [1.0, 1.0],
        "dtype": "torch.bfloat16",
        "device": "cpu",
    }
    with pytest.raises(TypeError, match="cannot write set as JSON"):
        to_json({"x": {1, 2}})
