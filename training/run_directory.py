"""A run directory: made and checked before anything starts, and all there is to know of a run afterwards."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.files import replace_durably, write_durably
from envs.folder_lock import occupy
from training.checkpoint_paths import METADATA_FILE, step_folders
from training.files import to_json

CONFIG_VERSION_KEY = "config_version"
MINIMUM_FREE_BYTES = 256 * 2**20
_PROBE_BYTES = 2**20


class RunDirectoryError(ValueError):
    """A run directory that training may not start in."""


@dataclass(frozen=True)
class RunDirectory:
    """The places of a run.

    Attributes:
        path: the directory itself; TensorBoard's event files lie directly in it.
    """

    path: Path

    @property
    def config_file(self) -> Path:
        """The resolved config."""
        return self.path / "config.json"

    @property
    def environment_file(self) -> Path:
        """Versions, machine, game build and git commit."""
        return self.path / "environment.json"

    @property
    def metrics_file(self) -> Path:
        """What was logged, as JSON lines."""
        return self.path / "metrics.jsonl"

    @property
    def evaluation_file(self) -> Path:
        """Win rates."""
        return self.path / "evaluation.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of all checkpoints."""
        return self.path / "checkpoints"

    @property
    def games(self) -> Path:
        """The folder of recorded games."""
        return self.path / "games"

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the resolved config, replacing that of an earlier start.

        Args:
            config: plain data with its version under `config_version`.

        Raises:
            ValueError: if it has no version.
            OSError: if it cannot be written; the file names the place.
        """
        if CONFIG_VERSION_KEY not in config:
            raise ValueError(f"a config is written with its version: expected the key {CONFIG_VERSION_KEY!r}, got none")
        replace_durably(self.config_file, to_json(dict(config)))

    def read_config(self) -> dict[str, Any]:
        """Return what `write_config` wrote.

        Raises:
            RunDirectoryError: if there is none, or it is not a config.
        """
        try:
            config = json.loads(self.config_file.read_bytes())
        except FileNotFoundError as error:
            raise RunDirectoryError(
                f"there is no {self.config_file}; pass a directory that a run was started in"
            ) from error
        except ValueError as error:
            raise RunDirectoryError(
                f"{self.config_file} is not JSON ({error}); restore it or start a new run"
            ) from error
        if not isinstance(config, dict) or CONFIG_VERSION_KEY not in config:
            raise RunDirectoryError(f"{self.config_file} is not the config of a run: it has no {CONFIG_VERSION_KEY}")
        return config

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Write what the run is started with; those of earlier starts are kept under `earlier_starts`.

        Args:
            environment: what `training.machine.describe_environment` returns.

        Raises:
            OSError: if it cannot be written; the file names the place.
        """
        earlier: list[Any] = []
        if self.environment_file.is_file():
            try:
                last = json.loads(self.environment_file.read_bytes())
                earlier = [*last.pop("earlier_starts", []), last]
            except (ValueError, AttributeError, TypeError):  # damaged by hand: nothing that a run depends on
                earlier = []
        replace_durably(self.environment_file, to_json({**environment, "earlier_starts": earlier}))


def prepare_run_directory(
    path: Path | str,
    *,
    resume: bool = False,
    minimum_free_bytes: int = MINIMUM_FREE_BYTES,
) -> RunDirectory:
    """Return a run directory that can be written to, making it if it is absent.

    Args:
        path: the directory, such as `runs/a`.
        resume: the run goes on from what is there, if it is a run's.
        minimum_free_bytes: refuse a disk with less space, before it fills up in the middle of training.

    Raises:
        RunDirectoryError: if it is not empty and the run does not resume, it holds something else than a run, or
            another process has a run in it.
        OSError: if it cannot be made or written to, or the disk is full; the error names the path.
    """
    run = RunDirectory(Path(path))
    if run.path.is_dir():
        _check_content(run, resume=resume)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        _check_space(run.path, minimum_free_bytes)
        for folder in (run.checkpoints, run.games):
            folder.mkdir(exist_ok=True)
            _check_writable(folder)
        occupy(run.path)
    except BlockingIOError as error:
        raise RunDirectoryError(
            f"another process has a run in {run.path.resolve()}: wait until it has ended, or give another --run-dir"
        ) from error
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot use the run directory ({error.strerror or error}); nothing was started. Make it writable and free "
            "some space, or give another directory with --run-dir",
            str(run.path),
        ) from error
    return run


def _check_content(run: RunDirectory, *, resume: bool) -> None:
    """Check that a directory is empty; or, to resume, holds a run or what a start leaves that was killed."""
    if not resume and any(run.path.iterdir()):
        raise RunDirectoryError(
            f"{run.path} is not empty: a new run would mix its files with those there. Go on with the run in it with "
            "--resume auto, or give another directory with --run-dir"
        )
    if run.config_file.is_file():
        return
    if (run.path / METADATA_FILE).is_file():
        raise RunDirectoryError(
            f"{run.path} is a checkpoint: give the run directory that it lies in to go on with its run, or --init "
            f"{run.path} and another --run-dir to begin with its weights"
        )
    if step_folders(run.path):
        raise RunDirectoryError(
            f"{run.path} has the checkpoints of a run: give its directory, {run.path.resolve().parent}"
        )
    ours = (run.checkpoints.name, run.games.name)
    others = sorted(file.name for file in run.path.iterdir() if file.name not in ours and not file.name.startswith("."))
    if others:
        raise RunDirectoryError(
            f"{run.path} holds no run to go on with, but other files, such as {others[0]}: give another --run-dir"
        )


def _check_space(path: Path, minimum_free_bytes: int) -> None:
    free = shutil.disk_usage(path).free
    if free < minimum_free_bytes:
        mebibytes = 2**20
        raise OSError(
            errno.ENOSPC,
            f"{free // mebibytes} MiB of disk space are left, at least {minimum_free_bytes // mebibytes} are needed",
        )


def _check_writable(folder: Path) -> None:
    """Write a file and remove it: permissions and quotas show themselves only then."""
    probe = folder / f".writable.{os.getpid()}"
    try:
        write_durably(probe, bytes(_PROBE_BYTES))
    finally:
        probe.unlink(missing_ok=True)
