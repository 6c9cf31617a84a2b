"""Recorded StarCraft II data, which tests use where it is there: DATA_VARIABLE names its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA_VARIABLE = "STARCRAFT2_DATA"

_REPOSITORY = Path(__file__).resolve().parents[3]
_PLACES = (_REPOSITORY.parent / "shared" / "data" / "sc2", _REPOSITORY.parent.parent / "shared" / "data" / "sc2")


def shared_file(name: str) -> Path:
    """Return a file or folder of the recorded data; skip the test where it is not there."""
    named = os.environ.get(DATA_VARIABLE)
    for place in (Path(named),) if named else _PLACES:
        if (place / name).exists():
            return place / name
    pytest.skip(f"needs recorded StarCraft II data: let {DATA_VARIABLE} name a folder with {name}")
