"""Faults on demand, so that clients can be tested against a game that hangs, dies or talks nonsense.

The plan is JSON: in the variable STARCRAFT2_STANDIN_FAULTS, or in the file `faults.json` of the installation:

    {"seed": 7, "version": "9.9.9", "faults": [
        {"kind": "hang", "probability": 0.001},
        {"kind": "crash", "at_request": 120, "request": "step"},
        {"kind": "slow", "probability": 0.01, "seconds": 2.5},
        {"kind": "garbage", "at_request": 300}]}

`at_request` counts the requests of the process from 1 (of that kind only, where `request` is given). The seed is mixed
with the process's id unless the plan says `"same_everywhere": true`. `version` replaces the game version.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "STARCRAFT2_STANDIN_FAULTS"
FILE_NAME = "faults.json"
KINDS = ("hang", "freeze", "crash", "slow", "garbage")
"""A hung game still ends on SIGTERM; a frozen one only on SIGKILL (or with its parent)."""


@dataclass(frozen=True)
class Fault:
    """One line of a plan."""

    kind: str
    probability: float = 0.0
    at_request: int = 0
    request: str = ""
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"got fault kind {self.kind!r}; expected one of {', '.join(KINDS)}")


@dataclass
class Faults:
    """A plan and how far it has come."""

    faults: list[Fault] = field(default_factory=list)
    version: str = ""
    generator: random.Random = field(default_factory=random.Random)
    _counts: dict[str, int] = field(default_factory=dict)

    def draw(self, request: str) -> Fault | None:
        """Return the fault to commit at a request of this kind, or None."""
        self._counts[""] = self._counts.get("", 0) + 1
        self._counts[request] = self._counts.get(request, 0) + 1
        for fault in self.faults:
            if fault.request not in ("", request):
                continue
            hit = bool(fault.at_request) and self._counts[fault.request] == fault.at_request
            if hit or (fault.probability and self.generator.random() < fault.probability):
                return fault
        return None


def load(installation: Path | None) -> Faults:
    """Return the plan of the environment, else of the installation, else none.

    Raises:
        ValueError: if a plan is not as described above.
    """
    text = os.environ.get(VARIABLE, "")
    path = installation / FILE_NAME if installation is not None else None
    if not text and path is not None and path.is_file():
        text = path.read_text(encoding="utf-8")
    if not text:
        return Faults()
    plan: dict[str, Any] = json.loads(text)
    mix = "" if plan.get("same_everywhere") else f" {os.getpid()}"
    generator = random.Random(f"{plan.get('seed', 0)}{mix}")
    return Faults([Fault(**entry) for entry in plan.get("faults", [])], plan.get("version", ""), generator)
