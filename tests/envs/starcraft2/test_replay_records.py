from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from envs.starcraft2.replay_records import ReplayRecord, save_replay

RECORD: dict[str, Any] = {
    "label": "trained-greedy",
    "map_name": "Simple64",
    "races": ("terran", "zerg"),
    "opponent": "very_hard:macro",
    "result": "win",
    "game_loops": 12034,
    "seed": 7,
    "version": {"game": "starcraft2", "game_version": "4.10.0.75689"},
}


def test_the_name_tells_what_the_replay_shows(tmp_path: Path) -> None:
    path = save_replay(tmp_path / "replays", b"data", ReplayRecord(**RECORD))
    expected = r"trained-greedy_Simple64_terran-vs-zerg_very_hard-macro_win_12034loops_\d{8}T\d{6}Z.SC2Replay"
    assert re.fullmatch(expected, path.name)
    assert path.read_bytes() == b"data"
    stored = json.loads(path.with_suffix(".json").read_text())
    assert stored == {**RECORD, "races": ["terran", "zerg"]}


def test_replays_of_the_same_second_do_not_replace_each_other(tmp_path: Path) -> None:
    paths = {save_replay(tmp_path, bytes([number]), ReplayRecord(**RECORD)) for number in range(5)}
    assert len(paths) == 5
    assert {path.read_bytes()[0] for path in paths} == set(range(5))


def test_odd_names_stay_in_the_directory_and_the_stand_in_is_marked(tmp_path: Path) -> None:
    record = ReplayRecord(**{**RECORD, "label": "", "map_name": "../odd map", "version": {"game": "stand-in game"}})
    path = save_replay(tmp_path, b"", record)
    assert path.parent == tmp_path
    assert path.name.startswith("stand-in_..-odd-map_")


def test_half_a_replay_is_not_left_behind(tmp_path: Path) -> None:
    record = ReplayRecord(**{**RECORD, "version": {"game": object()}})  # no JSON
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_replay(tmp_path, b"data", record)
    assert not list(tmp_path.iterdir())
