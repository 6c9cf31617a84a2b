"""The description of the machine against what the running interpreter and git say."""

import json
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from training import machine
from training.files import to_json


@pytest.fixture(autouse=True)
def own_git_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's git settings, and a repository named by the environment, out of the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    finished = subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True)
    return finished.stdout.strip()


def test_description_is_what_the_interpreter_says_and_fits_json() -> None:
    description = json.loads(to_json(machine.describe_environment({"jar": "sha256"})))
    assert description["python"] == platform.python_version()
    assert description["packages"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert description["packages"]["numpy"] == np.__version__
    assert description["cpu_cores"] == os.cpu_count()
    assert 1 <= description["usable_cpu_cores"] <= description["cpu_cores"]
    assert description["memory_mib"] > 100
    assert description["cpu_model"]
    assert (description["cuda"] is not None) == torch.cuda.is_available()
    assert description["game"] == {"jar": "sha256"}


def test_a_missing_package_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DISTRIBUTIONS", ("no-such-distribution-of-anybody",))
    assert machine.describe_environment()["packages"] == {"no-such-distribution-of-anybody": None}


def test_git_commit_and_changes(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text("1")
    assert machine._git(file) is None  # no repository
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "empty")
    assert machine._git(file) is None, "the commit of a repository that does not track the file"
    git(tmp_path, "add", "file.py")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "other.py").write_text("")
    assert machine._git(file) == {"commit": commit, "modified": False}
    file.write_text("2")
    assert machine._git(file) == {"commit": commit, "modified": True}


def test_no_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._git(Path(machine.__file__)) is None
