"""The files of a recording: what is written is read, and what is not complete is not there."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from envs import recordings
from envs.folder_lock import LOCK_FILE
from envs.recording_writer import RecordingWriter, shard_name, write_shard
from envs.recordings import FORMAT, FORMAT_VERSION, PlayerGameRows, RecordingError, RecordingReader, concatenate

HEADER = {"max_steps": 100, "players": ["a", "b"]}


def game_rows(number: int, num_steps: int = 5) -> PlayerGameRows:
    generator = np.random.default_rng(number)
    entities, decisions = generator.integers(0, 6, num_steps), generator.integers(0, 3, num_steps)
    return PlayerGameRows(
        info={"game": number, "player": "a"},
        sample={
            "scalars": generator.integers(0, 9, (num_steps, 3)).astype(np.float32) / 10,
            "planes": np.full((num_steps, 1, 2, 2), number, np.uint8),
        },
        entity_counts=entities,
        entity={"entity_values": generator.random((entities.sum(), 2)).astype(np.float32)},
        decision_counts=decisions,
        decision={"action": generator.integers(0, 4, (decisions.sum(), 7)), "slot": np.arange(decisions.sum())},
        result={"elapsed_steps": np.arange(num_steps, dtype=np.int32)},
    )


def recording(directory: Path, *shards: list[PlayerGameRows]) -> RecordingWriter:
    writer = RecordingWriter(directory, HEADER)
    for index, games in enumerate(shards):
        writer.add(write_shard(directory, shard_name(index), games, {"illegal: move": index}))
    writer.close()
    return writer


def parts(rows: PlayerGameRows) -> dict[str, NDArray[Any]]:
    groups = {"sample": rows.sample, "entity": rows.entity, "decision": rows.decision, "result": rows.result}
    arrays = {f"{group}.{name}": array for group, named in groups.items() for name, array in named.items()}
    return {**arrays, "entity_counts": rows.entity_counts, "decision_counts": rows.decision_counts}


def assert_same(first: PlayerGameRows, second: PlayerGameRows) -> None:
    ours, theirs = parts(first), parts(second)
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        assert array.dtype == theirs[key].dtype
        np.testing.assert_array_equal(array, theirs[key], err_msg=key)


def test_player_games_come_back_as_they_were(tmp_path: Path) -> None:
    games = [game_rows(number, num_steps) for number, num_steps in enumerate((5, 1, 12))]
    recording(tmp_path, games[:2], games[2:])
    reader = RecordingReader(tmp_path)
    assert [game["num_steps"] for game in reader.player_games] == [5, 1, 12]
    for index, game in enumerate(games):
        assert_same(reader.read(index), game)
    reader.verify()
    counts = reader.manifest["counts"]
    assert (counts["games"], counts["steps"]) == (3, 18)
    assert counts["entities"] == sum(int(game.entity_counts.sum()) for game in games)
    assert counts["bytes"] == sum(path.stat().st_size for path in tmp_path.glob("shard-*"))
    assert reader.manifest["left_out"] == {"illegal: move": 1}


def test_a_game_read_in_parts_is_the_whole_game(tmp_path: Path) -> None:
    recording(tmp_path, [game_rows(0, 7), game_rows(1, 9)])
    reader = RecordingReader(tmp_path)
    whole = parts(reader.read(1))
    pieces = [parts(reader.read(1, 0, 4)), parts(reader.read(1, 4, 0)), parts(reader.read(1, 4))]
    for key, array in whole.items():
        np.testing.assert_array_equal(np.concatenate([piece[key] for piece in pieces]), array)
    for first, length in ((-1, 2), (5, 5), (10, None)):
        with pytest.raises(ValueError, match="expected steps within the 9 of player game 1"):
            reader.read(1, first, length)


def test_a_long_game_in_several_shards_is_one(tmp_path: Path) -> None:
    parts_of_game = [
        replace(game_rows(4 + part, 3), info={"game": 4, "side": 1, **({"first_step": 3 * part} if part else {})})
        for part in range(3)
    ]
    recording(tmp_path, [game_rows(0), parts_of_game[0]], [parts_of_game[1]], [parts_of_game[2], game_rows(1)])
    reader = RecordingReader(tmp_path)
    assert [game["num_steps"] for game in reader.player_games] == [5, 9, 5]
    assert reader.manifest["counts"]["player_games"] == 3
    assert_same(reader.read(1), concatenate(parts_of_game))
    for first, length in ((2, 5), (3, 3), (8, 1), (9, 0)):
        middle = parts(reader.read(1, first, length))["result.elapsed_steps"]
        np.testing.assert_array_equal(middle, np.tile(np.arange(3), 3)[first : first + length])
    assert_same(reader.read(2), game_rows(1))


def test_only_the_latest_shards_stay_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process has 1,024 open files or fewer, and recordings of replays have thousands of shards."""
    monkeypatch.setattr(recordings, "_MOST_OPEN_SHARDS", 2)
    recording(tmp_path, *([game_rows(number)] for number in range(4)))
    reader = RecordingReader(tmp_path)
    for index in (0, 1, 2, 3, 0):
        assert_same(reader.read(index), game_rows(index))
        opened = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
        ours = [Path(path).name for path in opened if path.startswith(str(tmp_path.resolve()))]
        assert shard_name(index) in ours
        assert len(ours) <= 2


def test_a_part_without_what_comes_before_is_damage(tmp_path: Path) -> None:
    recording(tmp_path, [game_rows(0)], [replace(game_rows(0), info={"game": 0, "first_step": 4})])
    with pytest.raises(RecordingError, match=r"shard-00001\.safetensors goes on with another game"):
        RecordingReader(tmp_path)


def test_more_facts_lie_beside_the_arrays(tmp_path: Path) -> None:
    recording(tmp_path, [game_rows(0), replace(game_rows(1), extra={"statistic": [1, 2]})], [game_rows(2)])
    reader = RecordingReader(tmp_path)
    assert [reader.extra(index) for index in range(3)] == [{}, {"statistic": [1, 2]}, {}]
    reader.verify()
    assert_same(reader.read(0), game_rows(0))


def test_an_existing_recording_is_only_resumed_and_only_with_the_same_header(tmp_path: Path) -> None:
    recording(tmp_path, [game_rows(0)])
    with pytest.raises(RecordingError, match="holds a recording already"):
        RecordingWriter(tmp_path, HEADER)
    with pytest.raises(RecordingError, match=r"\(max_steps\): max_steps was 100, now it is 50; give what it was"):
        RecordingWriter(tmp_path, {**HEADER, "max_steps": 50}, resume=True)
    writer = RecordingWriter(tmp_path, HEADER, resume=True)
    assert writer.shard_names == {shard_name(0)}
    writer.add(write_shard(tmp_path, shard_name(1), [game_rows(1)]))
    assert len(RecordingReader(tmp_path).player_games) == 2


def test_two_processes_do_not_write_to_one_recording(tmp_path: Path) -> None:
    """The second would remove what the first has not named in the manifest yet."""
    recording(tmp_path, [game_rows(0)])
    with (tmp_path / LOCK_FILE).open("rb") as other:  # a lock belongs to an opened file, not to a process
        fcntl.flock(other, fcntl.LOCK_EX)
        unnamed = write_shard(tmp_path, shard_name(1), [game_rows(1)])
        with pytest.raises(RecordingError, match="another process is writing to"):
            RecordingWriter(tmp_path, HEADER, resume=True)
    assert (tmp_path / unnamed.name).exists()
    writer = RecordingWriter(tmp_path, HEADER, resume=True)
    with (tmp_path / LOCK_FILE).open("rb") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        writer.close()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("is_there", [False, True])
def test_lost_shards_are_told_or_forgotten(tmp_path: Path, is_there: bool) -> None:
    recording(tmp_path, [game_rows(0)], [game_rows(1)])
    if is_there:
        os.truncate(tmp_path / shard_name(0), 100)
    else:
        (tmp_path / shard_name(0)).unlink()
    with pytest.raises(RecordingError, match=r"shard-00000\.safetensors is missing or cut off"):
        RecordingWriter(tmp_path, HEADER, resume=True)
    writer = RecordingWriter(tmp_path, HEADER, resume=True, can_repair=True)
    assert writer.shard_names == {shard_name(1)}
    assert [game["game"] for game in RecordingReader(tmp_path).player_games] == [1]


@pytest.mark.parametrize("name", ["thesis.tex", "shard-00000.safetensors"])
def test_folders_of_something_else_are_left_alone(tmp_path: Path, name: str) -> None:
    """Shards without a manifest, too: they may be of a recording that is being copied."""
    (tmp_path / name).write_text("text")
    with pytest.raises(RecordingError, match=f"other files, such as {re.escape(name)}"):
        RecordingWriter(tmp_path, HEADER)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("text")
    with pytest.raises(RecordingError, match="data is a file, and a recording is a folder"):
        RecordingWriter(tmp_path / "data", HEADER)


def test_what_a_killed_first_manifest_leaves_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / ".manifest.json.17").write_text("{")
    RecordingWriter(tmp_path, HEADER)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_FILE, "manifest.json"]


def test_a_full_disk_leaves_what_was_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording(tmp_path, [game_rows(0)])
    before = sorted(path.name for path in tmp_path.iterdir())

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_shard(tmp_path, shard_name(1), [game_rows(1)])
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert_same(RecordingReader(tmp_path).read(0), game_rows(0))


def test_shards_that_the_manifest_does_not_name_do_not_count(tmp_path: Path) -> None:
    recording(tmp_path, [game_rows(0)])
    write_shard(tmp_path, shard_name(1), [game_rows(1)])  # the process died before the manifest was written
    (tmp_path / ".shard-00002.safetensors.17").touch()
    assert len(RecordingReader(tmp_path).player_games) == 1
    RecordingWriter(tmp_path, HEADER, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_FILE, "manifest.json", shard_name(0)]


def test_the_order_in_which_shards_are_finished_does_not_matter(tmp_path: Path) -> None:
    for name, order in (("one", (0, 1)), ("two", (1, 0))):
        writer = RecordingWriter(tmp_path / name, HEADER)
        for index in order:
            writer.add(write_shard(tmp_path / name, shard_name(index), [game_rows(index)]))
    assert (tmp_path / "one/manifest.json").read_bytes() == (tmp_path / "two/manifest.json").read_bytes()


def test_shards_stand_by_number(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, HEADER)
    for part in range(2):
        rows = replace(game_rows(part, 3), info={"game": 0, **({"first_step": 3} if part else {})})
        writer.add(write_shard(tmp_path, shard_name(99_999 + part), [rows]))
    assert [game["num_steps"] for game in RecordingReader(tmp_path).player_games] == [6]


def test_damage_is_found(tmp_path: Path) -> None:
    recording(tmp_path, [game_rows(0)])
    file = tmp_path / shard_name(0)
    content = file.read_bytes()
    for place in (0, 20, -1):
        changed = bytearray(content)
        changed[place] ^= 1
        file.write_bytes(changed)
        for look in (RecordingReader.verify, lambda reader: reader.read(0), lambda reader: reader.extra(0)):
            with pytest.raises(RecordingError, match=r"shard-00000\.safetensors is not what was recorded"):
                look(RecordingReader(tmp_path))
    file.write_bytes(content[:-1])
    with pytest.raises(RecordingError, match="missing or cut off"):
        RecordingReader(tmp_path).read(0)


@pytest.mark.parametrize("lacking", ["header", "num_steps", "dtype", "sha256"])
def test_a_manifest_with_holes_is_damaged(tmp_path: Path, lacking: str) -> None:
    recording(tmp_path, [game_rows(0)])
    file = tmp_path / "manifest.json"
    file.write_text(file.read_text().replace(f'"{lacking}"', '"else"'))
    with pytest.raises(RecordingError, match=r"manifest\.json is damaged"):
        RecordingReader(tmp_path)


def manifest_json(**changes: Any) -> str:
    return json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, "header": {}, "shards": [], **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no recording"),
        ("{", "is damaged"),
        ("{}", "is damaged"),
        (manifest_json(format="other"), "expected perceiver-star recording"),
        (manifest_json(format_version=99), "of version 99"),
        (manifest_json(shards=[{"name": "x"}]), "is damaged"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RecordingError, match=message):
        RecordingReader(tmp_path)
