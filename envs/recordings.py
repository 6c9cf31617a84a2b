"""Recordings: games as arrays on disk, for imitation. Only real entities and real decisions, read by memory map.

    manifest.json                what was recorded; of each shard its size and hash, and its games
    shard-00000.safetensors      the arrays of some games

A shard is complete or absent: it is written under another name and renamed, and exists once the manifest names it.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.files import file_sha256
from envs.mapped_arrays import map_arrays
from envs.recording_arrays import ArrayKind, decode

Array = NDArray[Any]

FORMAT = "perceiver-star recording"
FORMAT_VERSION = 3
MANIFEST_FILE = "manifest.json"
EXTRA = "extra"
GROUPS = ("sample", "entity", "decision", "result")
COUNTS = ("entity_counts", "decision_counts")
_MOST_OPEN_SHARDS = 128  # of an open file each, where some systems give a process 256


class RecordingError(ValueError):
    """A folder that holds no recording, or a damaged one, or one that is not to be written to."""


@dataclass(frozen=True, kw_only=True)
class PlayerGameRows:
    """Steps of decision of one player in one game, with R entities and X decisions in all.

    Attributes:
        info: facts for the manifest: who played, how it ended. Where a long game is stored in parts, "first_step" tells
            how many steps are in the parts before.
        sample: arrays [n, ...] of what is seen at each step.
        entity_counts: [n] how many entities each step has.
        entity: arrays [R, ...], step after step.
        decision_counts: [n] how many decisions each step has.
        decision: arrays [X, ...], step after step.
        result: arrays [n, ...] of what came of each step.
        extra: more facts, for JSON, that are stored beside the arrays.
    """

    info: Mapping[str, Any]
    sample: dict[str, Array]
    entity_counts: Array
    entity: dict[str, Array]
    decision_counts: Array
    decision: dict[str, Array]
    result: dict[str, Array]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.entity_counts)


def concatenate(parts: Sequence[PlayerGameRows]) -> PlayerGameRows:
    """Return the steps of all parts, one after the other, with the facts of the first.

    Raises:
        ValueError: if there is no part.
    """
    if not parts:
        raise ValueError("expected at least one part of a player game, got none")
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        entity_counts=np.concatenate([part.entity_counts for part in parts]),
        decision_counts=np.concatenate([part.decision_counts for part in parts]),
        sample=_joined([part.sample for part in parts]),
        entity=_joined([part.entity for part in parts]),
        decision=_joined([part.decision for part in parts]),
        result=_joined([part.result for part in parts]),
    )


def _joined(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What the manifest holds of a shard.

    Attributes:
        name: of its file.
        size: of the file in bytes.
        sha256: of the file's content.
        kinds: type and shape of the rows of each array.
        player_games: the facts of each, with "num_steps".
        counts: steps, entities and decisions.
        left_out: what was not recorded, by reason.
    """

    name: str
    size: int
    sha256: str
    kinds: Mapping[str, Mapping[str, Any]]
    player_games: Sequence[Mapping[str, Any]]
    counts: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest of a recording, its shards as `Shard`.

    Raises:
        RecordingError: if there is none, or it is damaged or of another version.
    """
    path = directory / MANIFEST_FILE
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or manifest["format_version"] != FORMAT_VERSION:
            raise RecordingError(
                f"{path} is a {manifest['format']} of version {manifest['format_version']}, expected {FORMAT} of "
                f"version {FORMAT_VERSION}: use the software that wrote it"
            )
        manifest["shards"] = [_shard(entry) for entry in manifest["shards"]]
        manifest |= {key: dict(manifest[key]) for key in ("header", "counts", "left_out")}
    except FileNotFoundError as error:
        raise RecordingError(f"{directory} holds no recording: there is no {MANIFEST_FILE}") from error
    except RecordingError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    return manifest


def _shard(entry: Mapping[str, Any]) -> Shard:
    games = [{**game, "num_steps": int(game["num_steps"])} for game in entry["player_games"]]
    kinds = {
        key: {"dtype": np.dtype(kind["dtype"]).str, "shape": [int(size) for size in kind["shape"]]}
        for key, kind in entry["kinds"].items()
    }
    return Shard(**{**entry, "player_games": games, "kinds": kinds})


def is_whole(directory: Path, shard: Shard) -> bool:
    """Return whether the file of a shard is there with all its bytes; what they are is another matter."""
    path = directory / shard.name
    return path.is_file() and path.stat().st_size == shard.size


class RecordingReader:
    """A recording's player games, read by memory map: shards are opened when they are needed, and the latest stay open.

    A shard that is opened for the first time is compared with its hash.

    Attributes:
        manifest: of `read_manifest`.
        player_games: the facts of each player game, in the order of the shards.

    Raises:
        RecordingError: if there is no recording.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest = read_manifest(directory)
        self._shards: list[Shard] = self.manifest["shards"]
        self._opened = functools.lru_cache(_MOST_OPEN_SHARDS)(self._open)
        self._intact: set[int] = set()
        self.player_games: list[dict[str, Any]] = []
        self._parts: list[list[_Part]] = []
        for index, shard in enumerate(self._shards):
            for place, game in enumerate(shard.player_games):
                self._take(_Part(index, place, int(game.get("first_step", 0)), int(game["num_steps"])), game)

    def _take(self, part: _Part, game: Mapping[str, Any]) -> None:
        if not part.first:
            self.player_games.append(dict(game))
            self._parts.append([part])
            return
        before = self.player_games[-1] if self.player_games else {}
        if before.get("num_steps") != part.first or any(before.get(key) != game.get(key) for key in ("game", "side")):
            name = self._shards[part.shard].name
            raise RecordingError(f"{self.directory} is damaged: {name} goes on with another game")
        before["num_steps"] += part.length
        self._parts[-1].append(part)

    def _open(self, index: int) -> _OpenShard:
        if index not in self._intact:
            self._check(index)
        shard = self._shards[index]
        return _OpenShard(self.directory / shard.name, shard)

    def _check(self, index: int) -> None:
        shard = self._shards[index]
        path = self.directory / shard.name
        if not is_whole(self.directory, shard):
            raise RecordingError(f"{path} is missing or cut off: copy it anew, or record with --resume")
        if file_sha256(path) != shard.sha256:
            raise RecordingError(f"{path} is not what was recorded: copy it anew, or record again")
        self._intact.add(index)

    def read(
        self, index: int, first: int = 0, length: int | None = None, *, groups: Collection[str] = GROUPS
    ) -> PlayerGameRows:
        """Return steps of a player game, `length` of them or all that are left, with the arrays of some groups or all.

        Raises:
            ValueError: if the game has no such steps.
            RecordingError: if the shard is damaged.
        """
        num_steps = int(self.player_games[index]["num_steps"])
        length = num_steps - first if length is None else length
        if first < 0 or length < 0 or first + length > num_steps:
            raise ValueError(f"expected steps within the {num_steps} of player game {index}, got {first} + {length}")
        parts = self._parts[index]
        rows: list[PlayerGameRows] = []
        for part in parts:
            start, stop = max(first, part.first), min(first + length, part.first + part.length)
            if start < stop:
                rows.append(self._opened(part.shard).read(part.place, start - part.first, stop - start, groups))
        whole = concatenate(rows or [self._opened(parts[0].shard).read(parts[0].place, 0, 0, groups)])
        return replace(whole, info=self.player_games[index])

    def extra(self, index: int) -> Mapping[str, Any]:
        """Return more facts of a player game, where the recording holds some.

        Raises:
            RecordingError: if the shard is damaged.
        """
        part = self._parts[index][0]
        return self._opened(part.shard).extra(part.place)

    def verify(self) -> None:
        """Compare every shard with its hash.

        Raises:
            RecordingError: for the first that is missing or differs.
        """
        for index in range(len(self._shards)):
            self._check(index)


class _Part(NamedTuple):
    """Steps of a player game that lie in one shard, given by its index."""

    shard: int
    place: int
    first: int
    length: int


class _OpenShard:
    def __init__(self, path: Path, shard: Shard) -> None:
        self.shard = shard
        arrays, self._texts = map_arrays(path)
        self._parts: dict[str, dict[str, Array]] = {key: {} for key in shard.kinds}
        for name, array in arrays.items():
            key, part = name.rsplit(".", 1)
            self._parts[key][part] = array
        self._first_step = list(itertools.accumulate((game["num_steps"] for game in shard.player_games), initial=0))

    @functools.cached_property
    def _kinds(self) -> dict[str, ArrayKind]:
        return {key: ArrayKind(np.dtype(kind["dtype"]), tuple(kind["shape"])) for key, kind in self.shard.kinds.items()}

    @functools.cached_property
    def _offsets(self) -> dict[str, Array]:
        """Where each step's entities and decisions begin."""
        counts = {name.removesuffix("_counts"): self._decoded(name, slice(0, self._first_step[-1])) for name in COUNTS}
        return {name: np.concatenate([[0], np.cumsum(count)]) for name, count in counts.items()}

    def extra(self, place: int) -> Mapping[str, Any]:
        if EXTRA not in self._texts:
            return {}
        entries: list[dict[str, Any]] = json.loads(self._texts[EXTRA])
        return entries[place]

    def _decoded(self, key: str, rows: slice) -> Array:
        return decode(self._parts[key], self._kinds[key], rows)

    def read(self, place: int, first: int, length: int, groups: Collection[str]) -> PlayerGameRows:
        start = self._first_step[place] + first
        steps = slice(start, start + length)
        rows = {"sample": steps, "result": steps}
        for name, offsets in self._offsets.items():
            rows[name] = slice(int(offsets[steps.start]), int(offsets[steps.stop]))
        arrays: dict[str, dict[str, Array]] = {group: {} for group in GROUPS}
        for key in self._kinds:
            group, _, name = key.partition(".")
            if name and group in groups:
                arrays[group][name] = self._decoded(key, rows[group])
        return PlayerGameRows(
            info=self.shard.player_games[place],
            entity_counts=self._decoded("entity_counts", steps),
            decision_counts=self._decoded("decision_counts", steps),
            **arrays,
        )
