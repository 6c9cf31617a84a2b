"""Replays on disk, named after what they show, each with a record of the game's version beside it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

SUFFIX = ".SC2Replay"


@dataclass(frozen=True, kw_only=True)
class ReplayRecord:
    """What a replay shows.

    Attributes:
        map_name: the map.
        label: who plays as player 1; "" leaves it out.
        races: of player 1 and, where there is one, of player 2 or the opponent.
        opponent: the AI's name, "self_play" or "none".
        result: of player 1: "win", "loss", "tie" or "unfinished".
        game_loops: length.
        seed: of the game.
        version: facts of the game's version.
    """

    map_name: str
    label: str = ""
    races: tuple[str, ...]
    opponent: str
    result: str
    game_loops: int
    seed: int
    version: Mapping[str, Any]

    def file_stem(self, when: datetime) -> str:
        """Return the replay's file name without its ending."""
        words = [
            *([self.label] if self.label else []),
            self.map_name,
            "-vs-".join(self.races),
            self.opponent,
            self.result,
            f"{self.game_loops}loops",
            when.strftime("%Y%m%dT%H%M%SZ"),
        ]
        if self.version.get("game") != "starcraft2":
            words.insert(0, "stand-in")
        return "_".join(re.sub(r"[^\w.-]+", "-", word) for word in words)


def save_replay(directory: Path, replay: bytes, record: ReplayRecord) -> Path:
    """Write a replay and, beside it, its record as JSON; return the replay's path.

    The name tells who plays, map, races, opponent, result, length and time (UTC); a number is added where that exists.

    Raises:
        OSError: if the folder is not writable or the disk is full; nothing is left behind then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    stem = record.file_stem(datetime.now(timezone.utc))
    for number in range(10_000):
        path = directory / f"{stem}{f'_{number}' if number else ''}{SUFFIX}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            continue
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(replay)
            path.with_suffix(".json").write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
        except BaseException:
            for part in (path, path.with_suffix(".json")):
                part.unlink(missing_ok=True)
            raise
        return path
    raise FileExistsError(f"there are already 10,000 replays named {stem} in {directory}")
