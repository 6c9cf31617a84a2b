"""A file is replaced whole or not at all, and JSON says what was meant."""

import dataclasses
import enum
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from training.files import replace_durably, to_json


def test_replacing_leaves_the_old_content_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.json"
    replace_durably(file, b"old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        replace_durably(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_readers_of_the_old_file_keep_it(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    replace_durably(file, b"old")
    with file.open("rb") as reader:
        replace_durably(file, b"new")
        assert reader.read() == b"old"
    assert file.read_bytes() == b"new"


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
