"""Lessons of the paper's comparison from made-up games."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.agent import games
from tests.training.scripted_demonstrations import ScriptedDemonstrations

LENGTHS = list(range(8, 48))


class Demonstrations(ScriptedDemonstrations):
    def __init__(self, directory: Path, outcomes: Sequence[int] = ()) -> None:
        super().__init__(LENGTHS, outcomes)
        self.directory = directory
        self.manifest = SimpleNamespace(spec=games.unit_game(), reward_term_names=("win", "harvest"))


def make_lessons(module: ModuleType, plan: ModuleType, **budget: Any) -> Any:
    """Return the lessons of a small budget."""
    return module.Lessons(Path(), "small", plan.Budget(**{"passes": 2, "streams": 4, "unroll_length": 5, **budget}))
