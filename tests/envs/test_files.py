"""A file is replaced whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from envs.files import replace_durably


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
