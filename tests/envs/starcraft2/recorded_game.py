"""Where the recorded game of two Terran players is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.starcraft2_recorded_game import ARCHIVE, RecordedGame, read_game

ARCHIVE_VARIABLE = "PYSC2_EVOLVED_ARCHIVE"
_REPOSITORY = Path(__file__).resolve().parents[3]


def recorded_archive() -> Path:
    """Return the source package that holds the game; skip the test where it is in none of the usual places."""
    named = os.environ.get(ARCHIVE_VARIABLE)
    places = [Path(named)] if named else [_REPOSITORY.parent / ARCHIVE, _REPOSITORY.parent.parent / ARCHIVE]
    archive = next((place for place in places if place.is_file()), None)
    if archive is None:
        pytest.skip(
            f"needs the recorded game in {ARCHIVE}: pip download --no-deps --no-binary :all: pysc2_evolved==1.1.1, "
            f"then set {ARCHIVE_VARIABLE} to its path"
        )
    return archive


def recorded_game() -> RecordedGame:
    """Return the game; skip the test where it is not there."""
    return read_game(recorded_archive())
