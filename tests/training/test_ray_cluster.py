"""Where Ray's files go."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

ray_cluster = pytest.importorskip("training.ray_cluster")


def test_sockets_find_room_where_temporary_files_lie_deep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert ray_cluster._folder_for_sockets() == Path("/tmp")
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert ray_cluster._folder_for_sockets() == Path("/tmp")
    monkeypatch.setattr(tempfile, "tempdir", "/scratch")
    assert ray_cluster._folder_for_sockets() == Path("/scratch")
