"""What is installed with which extra, and that the torso works with nothing but torch and numpy."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("perceiver_io", "agent", "envs", "training")


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no TOML reader")
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return content


def name_and_oldest(requirement: str) -> tuple[str, tuple[int, ...]]:
    match = re.fullmatch(r"([\w.-]+)>=([\d.]+)(,<[\d.]+)?", requirement.partition(";")[0])
    assert match, requirement
    return canonical(match.group(1)), numbers(match.group(2))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_base_install_needs_torch_and_numpy_only(pyproject: dict[str, Any]) -> None:
    assert {name_and_oldest(line)[0] for line in pyproject["project"]["dependencies"]} == {"torch", "numpy"}


def test_installed_metadata_says_the_same(pyproject: dict[str, Any]) -> None:
    try:
        requirements = importlib.metadata.requires("perceiver-star") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("perceiver-star is not installed, only its source is here")
    base = {re.split(r"[<>=~! ]", line)[0] for line in requirements if "extra ==" not in line}
    assert base == {"torch", "numpy"}


def test_constraints_pin_everything_that_is_asked_for(pyproject: dict[str, Any]) -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonical(name): numbers(version) for name, version in (line.split("==") for line in lines)}
    asked = [*pyproject["project"]["dependencies"]]
    for extra in pyproject["project"]["optional-dependencies"].values():
        asked += [line for line in extra if "python_version <" not in line]  # which the pinned versions are not for
    for name, oldest in map(name_and_oldest, asked):
        assert pins[name] >= oldest, name


def test_all_packages_are_shipped_with_types(pyproject: dict[str, Any]) -> None:
    assert pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()] == []


def requirements_of(*names: str) -> set[str]:
    """Return the distributions that come along with some distributions, without their extras."""
    known: set[str] = set()
    ahead = {canonical(name) for name in names}
    while ahead:
        name = ahead.pop()
        known.add(name)
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        parts = (re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line)
        ahead |= {canonical(part) for part in parts} - known
    return known


def installed_beside(*names: str) -> list[str]:
    """Return the modules that are installed with other distributions than these and what comes along with them."""
    base = requirements_of(*names)
    return sorted(
        name
        for name, owners in importlib.metadata.packages_distributions().items()
        # enum34, which pysc2-evolved asks for, installs a module that Python has itself.
        if not base & {canonical(owner) for owner in owners} and name not in sys.stdlib_module_names
        if name not in PACKAGES
    )


def run_without(modules: list[str], code: str) -> str:
    """Return what code prints where some modules cannot be imported."""
    hidden = f"import sys; sys.modules.update(dict.fromkeys({modules}))\n"
    finished = subprocess.run(
        [sys.executable, "-c", hidden + code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_torso_runs_where_only_torch_and_numpy_are_installed() -> None:
    others = installed_beside("torch", "numpy")
    assert {"gymnasium", "jaxtyping"} <= set(others)
    code = """
import torch
from perceiver_io import EntityTorso, PerceiverIO, PerceiverIOConfig
print([name for name in sys.modules if name.split(".")[0] in ("agent", "envs", "training")])
"""
    assert run_without(others, code) == "[]"


@pytest.mark.parametrize(
    ("extra", "modules"),
    [
        ("microrts", "envs.microrts, envs.recording_writer"),
        ("starcraft2", "envs.starcraft2.vector_env, envs.starcraft2.replays"),
    ],
)
def test_games_run_where_only_their_extra_is_installed(pyproject: dict[str, Any], extra: str, modules: str) -> None:
    asked = [name_and_oldest(line)[0] for line in pyproject["project"]["optional-dependencies"][extra]]
    others = installed_beside("torch", "numpy", *asked)
    assert "tyro" in others
    run_without(others, f"import {modules}")
