"""Writes recordings: shards that are complete or absent, and the manifest that names them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from envs.files import replace_durably
from envs.folder_lock import LOCK_FILE, leave, occupy
from envs.mapped_arrays import to_bytes
from envs.recording_arrays import encode
from envs.recordings import (
    COUNTS,
    EXTRA,
    FORMAT,
    FORMAT_VERSION,
    GROUPS,
    MANIFEST_FILE,
    PlayerGameRows,
    RecordingError,
    Shard,
    concatenate,
    is_whole,
    read_manifest,
)

Array = NDArray[Any]

_SHARD = re.compile(r"shard-\d+\.safetensors")
_UNFINISHED = re.compile(r"\.(shard-\d+\.safetensors|manifest\.json)\.\d+")


def write_shard(
    directory: Path, name: str, games: Sequence[PlayerGameRows], left_out: Mapping[str, int] | None = None
) -> Shard:
    """Write a shard's file, whole or not at all, and return what goes into the manifest.

    Raises:
        ValueError: if an array is of a type that is not stored, such as text.
        OSError: if the disk is full or not writable.
    """
    arrays, kinds = {}, {}
    for key, array in _joined(games).items():
        kinds[key] = {"dtype": array.dtype.str, "shape": list(array.shape[1:])}
        arrays.update({f"{key}.{part}": stored for part, stored in encode(array).items()})
    extra = {EXTRA: json.dumps([game.extra for game in games])} if any(game.extra for game in games) else None
    content = to_bytes(arrays, extra)
    directory.mkdir(parents=True, exist_ok=True)
    replace_durably(directory / name, content)
    counts = {
        "steps": sum(len(game) for game in games),
        "entities": sum(int(game.entity_counts.sum()) for game in games),
        "decisions": sum(int(game.decision_counts.sum()) for game in games),
    }
    player_games = [{**game.info, "num_steps": len(game)} for game in games]
    return Shard(
        name=name,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        kinds=kinds,
        player_games=player_games,
        counts=counts,
        left_out=left_out or {},
    )


def _joined(games: Sequence[PlayerGameRows]) -> dict[str, Array]:
    """Return the arrays of all games, one game after the other, by group and name."""
    if not games:
        return {}
    together = concatenate(games)
    named = {f"{group}.{name}": array for group in GROUPS for name, array in getattr(together, group).items()}
    return {**{name: getattr(together, name) for name in COUNTS}, **named}


class RecordingWriter:
    """A recording that grows shard by shard; what it has is complete at any time.

    Args:
        directory: made if missing.
        header: facts of the whole recording, for JSON.
        resume: go on with the recording in the directory; its header must be equal.
        can_repair: the caller makes shards that are missing or cut off again, by their names: they are forgotten.

    Raises:
        RecordingError: if there is a recording already, or, to resume, one with another header or without all of its
            shards; or if another process writes there.
    """

    def __init__(
        self, directory: Path, header: Mapping[str, Any], *, resume: bool = False, can_repair: bool = False
    ) -> None:
        self.directory = directory
        self.header: dict[str, Any] = json.loads(json.dumps(header))
        self._shards: dict[str, Shard] = {}
        if directory.exists() and not directory.is_dir():
            raise RecordingError(f"{directory} is a file, and a recording is a folder: choose another place")
        directory.mkdir(parents=True, exist_ok=True)
        manifest = directory / MANIFEST_FILE
        # Shards come after the first manifest: those without one are of a recording that has lost it.
        if not manifest.exists() and (stray := sorted(filter(_is_foreign, os.listdir(directory)))):
            raise RecordingError(f"{directory} holds other files, such as {stray[0]}: choose another folder")
        try:
            newly = occupy(directory)
        except BlockingIOError as error:
            raise RecordingError(
                f"another process is writing to {directory}: wait until it has ended, or choose another folder"
            ) from error
        try:
            if manifest.exists():
                if not resume:
                    raise RecordingError(f"{directory} holds a recording already: resume it, or choose another folder")
                self._go_on(can_repair)
            self.remove_unfinished()
            self._write_manifest()
        except BaseException:
            if newly:
                leave(directory)
            raise

    def _go_on(self, can_repair: bool) -> None:
        manifest = read_manifest(self.directory)
        stored = manifest["header"]
        different = sorted(key for key in {*stored, *self.header} if stored.get(key) != self.header.get(key))
        if different:
            shown = different[0]
            raise RecordingError(
                f"{self.directory} was recorded with other settings ({', '.join(different)}): {shown} was "
                f"{_shortened(stored.get(shown))}, now it is {_shortened(self.header.get(shown))}; give what it was, "
                "or another folder"
            )
        whole = {shard.name: shard for shard in manifest["shards"] if is_whole(self.directory, shard)}
        lost = [shard.name for shard in manifest["shards"] if shard.name not in whole]
        if lost and not can_repair:
            raise RecordingError(
                f"{self.directory / lost[0]} is missing or cut off: copy it anew, or begin again in another folder"
            )
        self._shards = whole

    def close(self) -> None:
        """Remove what is no part of the recording, and let other processes write to it."""
        self.remove_unfinished()
        leave(self.directory)

    @property
    def shard_names(self) -> frozenset[str]:
        """The shards that are complete."""
        return frozenset(self._shards)

    @property
    def shards(self) -> list[Shard]:
        """The shards that are complete, by number."""
        return [self._shards[name] for name in sorted(self._shards, key=lambda name: (len(name), name))]

    def add(self, *shards: Shard) -> None:
        """Take shards that `write_shard` has written into the recording, all of them or none."""
        self._shards.update({shard.name: shard for shard in shards})
        self._write_manifest()

    def remove_unfinished(self) -> None:
        """Remove files that are no part of the recording, which an interruption may leave."""
        for path in self.directory.iterdir():
            is_shard = _SHARD.fullmatch(path.name) and path.name not in self._shards
            if is_shard or _UNFINISHED.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _write_manifest(self) -> None:
        counts, left_out = Counter[str](), Counter[str]()
        for shard in self.shards:
            counts.update(shard.counts)
            counts["player_games"] += sum(not game.get("first_step") for game in shard.player_games)
            counts["bytes"] += shard.size
            left_out.update(shard.left_out)
        counts["games"] = len({game["game"] for shard in self.shards for game in shard.player_games})
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "header": self.header,
            "counts": dict(sorted(counts.items())),
            "left_out": dict(sorted(left_out.items())),
            "shards": [vars(shard) for shard in self.shards],
        }
        replace_durably(self.directory / MANIFEST_FILE, (json.dumps(manifest, indent=1) + "\n").encode())


def _is_foreign(name: str) -> bool:
    return name != LOCK_FILE and not _UNFINISHED.fullmatch(name)


def shard_name(index: int) -> str:
    """Return the name of the file of a recording's shard."""
    return f"shard-{index:05d}.safetensors"


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
