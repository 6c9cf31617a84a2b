from __future__ import annotations

import importlib.metadata

import pytest

from training.doctor import Finding
from training.doctor_report import report

REQUIREMENTS = [
    "torch>=2.6",
    "numpy>=1.26",
    'gymnasium>=1.1; extra == "microrts"',
    'jpype1>=1.5; extra == "microrts"',
    'gymnasium>=1.1; extra == "train"',
    'ray>=2.40; extra == "train"',
    'mpyq>=0.2; extra == "starcraft2"',
    'ruff>=0.9; extra == "dev"',
]
TORSO = "torso (perceiver_io)"
OTHERS = ["gymnasium", "jpype1", "ray", "Java", "µRTS", "StarCraft II", "pysc2"]


@pytest.mark.parametrize(
    ("missing", "usable", "complete"),
    [
        ([], f"{TORSO}, training, µRTS, StarCraft II", True),
        (["StarCraft II", "pysc2"], f"{TORSO}, training, µRTS", True),
        (OTHERS, TORSO, True),
        (["jpype1", "Java", "µRTS", "StarCraft II", "pysc2"], f"{TORSO}, training", True),
        (["ray", "StarCraft II"], f"{TORSO}, µRTS", True),
        (["Java"], f"{TORSO}, training, StarCraft II", False),
        (["gymnasium"], f"{TORSO}, StarCraft II", False),
        (["torch", "Java"], "nothing", False),
        (["Python"], "nothing", False),
    ],
)
def test_it_tells_what_can_be_used_and_what_is_only_optional(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], usable: str, complete: bool
) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: REQUIREMENTS)
    findings = [
        Finding(name=name, status="missing", detail="not there", remedy="get it")
        if name in missing
        else Finding(name=name, status="ok", detail="there")
        for name in ("Python", "torch", "numpy", "gymnasium", "jpype1", "ray", "Java", "µRTS", "StarCraft II", "pysc2")
    ]
    lines, is_complete = report(findings)
    assert lines[-1].split(maxsplit=1) == ["usable", usable]
    assert is_complete == complete
    assert len(lines) == len(findings) + len(missing) + 1
    assert any(line.startswith("missing") for line in lines) == (not complete)


def test_a_source_folder_is_not_said_to_be_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", unknown)
    finding = Finding(name="perceiver-star", status="missing", detail="runs from its source folder", remedy="pip")
    assert report([finding])[1] is False
