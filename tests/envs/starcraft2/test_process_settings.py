from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envs.errors import GameVersionError
from envs.starcraft2.observation import layout_sha256
from envs.starcraft2.process_settings import ProcessSettings, game_version
from tests.starcraft2_standin.version import BASE_BUILD, GAME_VERSION, data_version


def test_the_games_version_is_asked_of_the_game(stand_in: Path) -> None:
    assert game_version() == {
        "game": "stand-in game",
        "game_version": GAME_VERSION,
        "data_version": data_version(),
        "base_build": BASE_BUILD,
        "data_build": BASE_BUILD,
        "layout_sha256": layout_sha256(),
    }
    with pytest.raises(GameVersionError):
        game_version(ProcessSettings(expected_version={"base_build": 1}))


def test_a_release_names_build_and_data(stand_in: Path, tmp_path: Path) -> None:
    start: Any = ProcessSettings(release="4.10.0", request_timeout_seconds=7).starter(stand_in)
    assert start.keywords["build"] == 75689
    assert start.keywords["data_version"] == "B89B5D6FA7CBF6452E721311BFBC6CB2"
    assert start.keywords["request_timeout_seconds"] == 7
    process = start()
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    process.close()
    assert command[command.index(b"-dataVersion") + 1] == b"B89B5D6FA7CBF6452E721311BFBC6CB2"


@pytest.mark.parametrize("name", ["episodes_per_process", "request_timeout_seconds", "start_timeout_seconds"])
def test_ranges_are_checked(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be positive, got 0"):
        ProcessSettings(**{name: 0})
