"""Results of an evaluation that are kept as they come, so that one that was interrupted goes on."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from envs.files import replace_durably
from training.config import ConfigError
from training.episode_evaluation import EpisodeBatch
from training.evaluation import MatchBatch
from training.files import to_json

logger = logging.getLogger(__name__)

Array = NDArray[Any]

_FORMAT = 2
"""Of the results; those of another one are not gone on with."""


class KeptResults:
    """Results of batches, a line each in a file beside the output, until all are there.

    Args:
        output: where the evaluation's results go.
        identities: what tells each player from others of its name.
        batches: what is played.
        existing: what happens to what is there. `refuse`: neither an output nor kept results may be. `resume`: goes on
            with the kept results of the same evaluation. `replace`: goes on with those that are of the same batches and
            weights; others, and an output, make room.

    Raises:
        ConfigError: if something is there that `existing` does not allow.
        OSError: if the file cannot be read or written.
    """

    def __init__(
        self,
        output: Path,
        identities: Mapping[str, str],
        batches: Sequence[MatchBatch] | Sequence[EpisodeBatch],
        *,
        existing: Literal["refuse", "resume", "replace"],
    ) -> None:
        if output.exists() and existing != "replace":
            raise ConfigError(f"{output} has the results of an evaluation: choose another --output, or remove it")
        self.path = output.with_name(f"{output.name}.unfinished")
        self._batches = [_line_of(batch, identities) for batch in batches]
        self.results: dict[int, Array] = {}
        lines = _complete_lines(self.path)
        if lines and existing == "refuse":
            raise ConfigError(
                f"{self.path} keeps results of an evaluation that was interrupted: --resume goes on with it; otherwise "
                "remove the file or choose another --output"
            )
        for line in lines:
            results = line.pop("results")
            if line not in self._batches:
                if existing == "replace":
                    continue
                raise ConfigError(
                    f"{self.path} is of an evaluation with another agent or other options: give the same as then, or "
                    "remove the file"
                )
            self.results[self._batches.index(line)] = np.asarray(results)
        if len(self.results) < len(lines):
            logger.warning("%s: results of other settings or weights are dropped", self.path)
        if self.path.exists():  # without what was being written when it stopped
            replace_durably(self.path, b"".join(self._line(index) for index in self.results))

    def add(self, index: int, results: Array) -> None:
        """Keep what the batch with this index gave; nothing where some of its games failed, to play them again."""
        if len(results) < self._batches[index]["batch"]["num_games"]:
            return
        self.results[index] = results
        with self.path.open("ab") as file:
            file.write(self._line(index))
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Remove the file: the output has it all."""
        self.path.unlink(missing_ok=True)

    def _line(self, index: int) -> bytes:
        return json.dumps({**self._batches[index], "results": self.results[index].tolist()}).encode() + b"\n"


def _line_of(batch: MatchBatch | EpisodeBatch, identities: Mapping[str, str]) -> dict[str, Any]:
    player = batch.contestant if isinstance(batch, MatchBatch) else batch.player
    line: dict[str, Any] = json.loads(to_json({"format": _FORMAT, "batch": batch, "player": identities[player]}))
    return line


def _complete_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    try:
        kept = [dict(json.loads(line)) for line in lines]
        if all("results" in each for each in kept):
            return kept
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"{path} is damaged: remove it, and the evaluation begins anew")
