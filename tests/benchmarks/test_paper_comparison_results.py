"""The folder of a run of the paper's comparison goes on with what it was begun with."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.conftest import BENCHMARKS

KEPT = BENCHMARKS / "results" / "paper_comparison"


@pytest.fixture
def results(comparison: Callable[[str], ModuleType]) -> ModuleType:
    return comparison("results")


def test_a_run_goes_on_with_its_budget_only(results: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    results.open_run(tmp_path, plan.TINY, ["large"], [3], {"machine": "first"})
    results.open_run(tmp_path, plan.TINY, ["small"], [1, 3], {"machine": "second"})
    stored = json.loads((tmp_path / "plan.json").read_text())
    assert (stored["maps"], stored["seeds"], stored["machine"]) == (["small", "large"], [1, 3], "first")
    assert plan.Budget.from_dict(stored["budget"]) == plan.TINY
    with pytest.raises(ValueError, match="was begun with recorded_games 2, expected 100"):
        results.open_run(tmp_path, plan.Budget(), ["small"], [1], {})


def test_a_run_goes_on_with_the_settings_of_its_maps_only(
    results: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.open_run(tmp_path, plan.TINY, ["small"], [1], {})
    monkeypatch.setitem(plan.MAPS, "large", dataclasses.replace(plan.MAPS["large"], passes_share=0.7))
    with pytest.raises(ValueError, match=r"was begun with large\.passes_share 0\.4, expected 0\.7: choose"):
        results.open_run(tmp_path, plan.TINY, ["small"], [1], {})


def test_a_run_goes_on_with_its_agents_only(
    results: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.open_run(tmp_path, plan.TINY, ["small"], [1], {})
    wider = dataclasses.replace(plan.VARIANTS[plan.PERCEIVER], latent_channels=48)
    monkeypatch.setitem(plan.VARIANTS, plan.PERCEIVER, wider)
    with pytest.raises(ValueError, match=r"was begun with perceiver_32\.latent_channels 32, expected 48: choose"):
        results.open_run(tmp_path, plan.TINY, ["small"], [1], {})


def test_the_kept_run_can_go_on(results: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(KEPT, tmp_path / "run")
    results.open_run(tmp_path / "run", plan.Budget(), plan.TRAINED_MAPS, [1, 2, 3], {})
    kept = results.read_results(tmp_path / "run").trained
    files = list((KEPT / "cells").glob("*/*/*/cell.json"))
    assert sum(len(trained.seeds) for variants in kept.values() for trained in variants.values()) == len(files) > 0
    for game_map, variants in kept.items():
        for trained in variants.values():
            assert list(trained.rates) == list(plan.Budget().opponents)
            games = plan.Budget().evaluation_games_on(game_map)
            assert {rate.games for rate in trained.all_rates} == {games}
