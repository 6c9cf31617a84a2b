"""Recorded StarCraft II data beside the repository, which tests use where it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[3]
_PLACES = (_REPOSITORY.parent / "shared" / "data" / "sc2", _REPOSITORY.parent.parent / "shared" / "data" / "sc2")


def shared_file(name: str) -> Path:
    """Return a file or folder of the recorded data; skip the test where it is not there."""
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    pytest.skip(f"needs the recorded StarCraft II data ../shared/data/sc2/{name}")
