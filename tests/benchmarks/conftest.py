"""Modules of the paper's comparison, which lie beside the packages."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.scripted_lessons import Demonstrations

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return what imports a part of the comparison by its name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return lambda part: importlib.import_module(f"paper_comparison_{part}")


@pytest.fixture
def plan(comparison: Callable[[str], ModuleType]) -> ModuleType:
    """Return the comparison's plan."""
    return comparison("plan")


@pytest.fixture
def lessons(comparison: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the comparison's lessons, which read made-up games."""
    module = comparison("lessons")
    monkeypatch.setattr(module, "Demonstrations", Demonstrations)
    return module
