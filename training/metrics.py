"""Where figures of a run go: TensorBoard, a file of JSON lines, or both."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch.utils.tensorboard import SummaryWriter

from training.files import to_json


class MetricLogger(Protocol):
    """Takes the figures of a run; closed once, at its end."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note figures that were measured at an environment step."""
        ...

    def hparams(self, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Note what the run was and how well it did, once at its end."""
        ...

    def close(self) -> None:
        """Write what is still held back."""
        ...


class TensorBoardLogger:
    """Write TensorBoard event files.

    Args:
        directory: where the event files go; `tensorboard --logdir` finds them in any folder above it.
        resumed_at: step that a resumed run goes on from; TensorBoard then hides what was logged after it before.
    """

    def __init__(self, directory: Path | str, *, resumed_at: int | None = None) -> None:
        _wait_for_a_second_without_events(Path(directory))
        purge_step = None if resumed_at is None else resumed_at + 1
        self._writer = SummaryWriter(str(directory), purge_step=purge_step)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write one point for each figure."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, float(value), step)

    def hparams(self, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Fill the run's line in TensorBoard's table of hyperparameters; nested names are joined by dots."""
        results = {name: float(value) for name, value in metrics.items()}
        # The run's own folder: by default every call makes a run of its own.
        self._writer.add_hparams(_flatten(config), results, run_name=".")

    def close(self) -> None:
        """Write what is still held back and close the files."""
        self._writer.close()


class JsonLinesLogger:
    """Append one JSON object for each call to a file; nan and the infinities become null.

    A resumed run goes on in the same file from the step of its checkpoint: where `step` falls, earlier lines with
    the same or a greater one do not count.

    Args:
        path: the file, such as `runs/a/metrics.jsonl`.

    Raises:
        OSError: if it cannot be written, here or when logging; the error names the file.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        with self._path.open("a+b") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # cut off when the run before was killed
                    file.write(b"\n")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a line with `step` and each figure."""
        self._append({"step": step, **{name: _finite_or_none(value) for name, value in metrics.items()}})

    def hparams(self, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Append a line with `hparams` and `results`."""
        results = {name: _finite_or_none(value) for name, value in metrics.items()}
        self._append({"hparams": _flatten(config), "results": results})

    def close(self) -> None:
        """Do nothing: every line is in the file once it is logged."""

    def _append(self, entry: Mapping[str, Any]) -> None:
        try:
            with self._path.open("ab") as file:
                file.write(json.dumps(entry).encode() + b"\n")
        except OSError as error:
            raise OSError(error.errno, f"could not write metrics ({error.strerror})", str(self._path)) from error


class CompositeLogger:
    """Pass everything on to several loggers."""

    def __init__(self, loggers: Sequence[MetricLogger]) -> None:
        self._loggers = tuple(loggers)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note figures everywhere."""
        for logger in self._loggers:
            logger.log(step, metrics)

    def hparams(self, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Note hyperparameters and results everywhere."""
        for logger in self._loggers:
            logger.hparams(config, metrics)

    def close(self) -> None:
        """Close all of them."""
        for logger in self._loggers:
            logger.close()


def _wait_for_a_second_without_events(directory: Path) -> None:
    """Wait, a second at most: files are read by name, and the names of one second do not tell which came first."""
    now = time.time()
    if any(directory.glob(f"events.out.tfevents.{int(now)}.*")):
        time.sleep(1.0 - now % 1.0)


def _finite_or_none(value: float) -> float | None:
    # JSON has no nan: Python would write one that other readers refuse.
    return float(value) if math.isfinite(value) else None


def _flatten(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Return nested settings by dotted name; what TensorBoard cannot hold becomes text."""
    return dict(_leaves(json.loads(to_json(dict(config))), ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, bool | int | float | str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else key)
    elif isinstance(value, (bool, int, float, str)):
        yield name, value
    else:
        yield name, json.dumps(value)
