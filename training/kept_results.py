"""Results of an evaluation that are kept as they come, so that one that was interrupted goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.files import replace_durably
from training.config import ConfigError
from training.episode_evaluation import EpisodeBatch
from training.evaluation import MatchBatch
from training.files import to_json

Array = NDArray[Any]


class KeptResults:
    """Results of batches, a line each in a file beside the output, until all are there.

    Args:
        output: where the evaluation's results go.
        identities: what tells each player from others of its name.
        batches: what is played.
        resume: go on with what was kept.
        replace: an output that is there, and what was kept of another evaluation, make room.

    Raises:
        ConfigError: if something was kept and `resume` is not set, or without `replace`, it is of another evaluation or
            the output is there.
        OSError: if the file cannot be read or written.
    """

    def __init__(
        self,
        output: Path,
        identities: Mapping[str, str],
        batches: Sequence[MatchBatch] | Sequence[EpisodeBatch],
        *,
        resume: bool,
        replace: bool = False,
    ) -> None:
        if output.exists() and not replace:
            raise ConfigError(f"{output} has the results of an evaluation: choose another --output, or remove it")
        self.path = output.with_name(f"{output.name}.unfinished")
        self._batches = [json.loads(to_json({"batch": batch, "players": dict(identities)})) for batch in batches]
        self.results: dict[int, Array] = {}
        lines = _complete_lines(self.path)
        if lines and not resume:
            raise ConfigError(
                f"{self.path} keeps results of an evaluation that was interrupted: --resume goes on with it; otherwise "
                "remove the file or choose another --output"
            )
        for line in lines:
            results = line.pop("results")
            if line not in self._batches:
                if replace:
                    continue
                raise ConfigError(
                    f"{self.path} is of an evaluation with another agent or other options: give the same as then, or "
                    "remove the file"
                )
            self.results[self._batches.index(line)] = np.asarray(results)
        if lines:  # without what was being written when it stopped
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
