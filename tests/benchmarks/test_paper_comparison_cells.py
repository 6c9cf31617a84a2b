"""The pieces of the paper's comparison: what is taught, and that what is done stays done."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from envs.spaces import SCALARS
from tests.agent import games
from tests.training.scripted_demonstrations import ScriptedDemonstrations

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LENGTHS = list(range(8, 48))


class Demonstrations(ScriptedDemonstrations):
    def __init__(self, directory: Path, outcomes: Sequence[int] = ()) -> None:
        super().__init__(LENGTHS, outcomes)
        self.directory = directory
        self.manifest = SimpleNamespace(spec=games.unit_game(), reward_term_names=("win", "harvest"))


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("paper_comparison_cells")
    monkeypatch.setattr(module, "Demonstrations", Demonstrations)
    return module


@pytest.fixture
def plan(cells: ModuleType) -> ModuleType:
    return importlib.import_module("paper_comparison_plan")


def lessons(cells: ModuleType, plan: ModuleType, **budget: Any) -> Any:
    return cells.Lessons(Path(), "small", plan.Budget(**{"passes": 2, "streams": 4, "unroll_length": 5, **budget}))


def seen(cells: ModuleType, streams: Any) -> list[tuple[float, float]]:
    """Return player game and step of all that streams give."""
    rows = []
    for batch in cells.batches(streams):
        assert (batch.weights[batch.loss_mask] == 1).all()
        rows += [tuple(row[:2]) for row in batch.observations.sample[SCALARS][batch.loss_mask.flatten()].tolist()]
    return rows


def test_every_variant_of_a_seed_is_taught_the_same_steps_in_the_same_order(
    cells: ModuleType, plan: ModuleType
) -> None:
    first, again, other = (seen(cells, lessons(cells, plan).training(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)


def test_winners_alone_are_imitated_and_held_out_games_are_not_learnt(cells: ModuleType, plan: ModuleType) -> None:
    taught = lessons(cells, plan)
    learnt, held_out = (seen(cells, streams) for streams in (taught.training(1), taught.held_out()))
    players = {game for game, _ in learnt} | {game for game, _ in held_out}
    assert players == set(range(0, len(LENGTHS), 2)), "the first side wins"
    assert {game for game, _ in learnt}.isdisjoint(game for game, _ in held_out)
    assert len(learnt) == 2 * len(set(learnt)) == 2 * taught.choice.num_train_steps


def test_where_hardly_a_game_is_won_all_are_imitated(
    cells: ModuleType, plan: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [1, -1, *[0] * (len(LENGTHS) - 2)]
    monkeypatch.setattr(cells, "Demonstrations", lambda directory: Demonstrations(directory, outcomes))
    taught = lessons(cells, plan)
    learnt, held_out = (seen(cells, streams) for streams in (taught.training(1), taught.held_out()))
    assert {game for game, _ in learnt} | {game for game, _ in held_out} == set(range(len(LENGTHS)))


def test_a_typical_batch_is_from_amid_the_games(
    cells: ModuleType, plan: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "_STEPS_INTO_GAMES", 5)
    batch = lessons(cells, plan).typical_batch(num_streams=3, unroll_length=1)
    assert batch.observations.sample[SCALARS][:, 1].tolist() == [5, 5, 5]


def test_a_cell_is_trained_to_the_end_and_once(
    cells: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = []

    def run(match: Any, contestants: Any) -> Any:
        played.append((match.opponent, match.side))
        return np.array([1, 0, -1, -1])

    monkeypatch.setattr(cells.MatchBatch, "run", run)
    budget = plan.Budget(passes=3, streams=4, unroll_length=5, games=8)
    cell = plan.Cell(map="small", variant=plan.PERCEIVER, seed=1)
    told = cells.run_cell(tmp_path, cell, budget)
    file = tmp_path / "cells" / cell.path / "cell.json"
    written = json.loads(file.read_text())
    taught = cells.Lessons(tmp_path, "small", budget)
    assert written["updates"] == sum(1 for _ in cells.batches(taught.training(1)))
    accuracy = written["held_out"]["accuracy"]
    assert accuracy > 0.5, "a few updates teach most of what is always the same"
    assert told == f"{100 * accuracy:.1f} % accuracy, 25.0 % of games won"
    assert written["held_out"]["cross_entropy"] > 0
    assert any(name.startswith("cross_entropy/") for name in written["held_out"]), "figures of an action's parts"
    assert cells.run_cell(tmp_path, cell, budget) == "done before"
    assert played == [(opponent, side) for opponent in budget.opponents for side in (0, 1)]
    row = written["evaluation"][0]
    assert [row[name] for name in ("opponent", "side", "games", "wins", "draws", "losses")] == [
        "CoacAI",
        None,
        8,
        2,
        2,
        4,
    ]


def test_what_was_learnt_and_played_before_an_interruption_is_kept(
    cells: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt, played = [], []
    train = cells.train

    def remember(*args: Any) -> Any:
        learner = train(*args)
        learnt.append(learner.agent.state_dict())
        return learner

    def run(match: Any, contestants: Any) -> Any:
        played.append((match.opponent, match.side, contestants["deep_sets"]._agent.state_dict()))
        if len(played) == 4:
            raise KeyboardInterrupt
        return np.array([1, 1, 1, -1] if match.side else [1, 0, 0, 0])

    monkeypatch.setattr(cells, "train", remember)
    monkeypatch.setattr(cells.MatchBatch, "run", run)
    budget = plan.Budget(streams=4, unroll_length=5, passes=1, games=8)
    cell = plan.Cell(map="small", variant="deep_sets", seed=1)
    with pytest.raises(KeyboardInterrupt):
        cells.run_cell(tmp_path, cell, budget)
    folder = tmp_path / "cells" / cell.path
    assert not (folder / "cell.json").exists()
    assert cells.run_cell(tmp_path, cell, budget).endswith("50.0 % of games won")
    assert len(learnt) == 1
    assert [match[:2] for match in played[3:5]] == [("mayari", 1)] * 2, "the match that was interrupted is played again"
    assert len(played) == 1 + 2 * len(budget.opponents)
    for *_, weights in played:
        for name, value in learnt[0].items():
            np.testing.assert_array_equal(weights[name].numpy(), value.numpy())
    written = json.loads((folder / "cell.json").read_text())
    assert written["learnt_on"] == "cpu"
    assert written["core_seconds"] > 0 < written["training_seconds"]


def test_seeds_give_other_networks_and_equal_seeds_the_same(cells: ModuleType, plan: ModuleType) -> None:
    taught = lessons(cells, plan, passes=1)
    weights = []
    for seed in (1, 1, 2):
        learner = cells.train(taught, plan.Cell(map="small", variant="deep_sets", seed=seed))
        weights.append(np.concatenate([value.flatten().numpy() for value in learner.agent.state_dict().values()]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_run_goes_on_with_its_budget_only(cells: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    results = importlib.import_module("paper_comparison_results")
    results.open_run(tmp_path, plan.TINY, ["large"], [3], {"machine": "first"})
    results.open_run(tmp_path, plan.TINY, ["small"], [1, 3], {"machine": "second"})
    stored = json.loads((tmp_path / "plan.json").read_text())
    assert (stored["maps"], stored["seeds"], stored["machine"]) == (["small", "large"], [1, 3], "first")
    assert plan.Budget.from_dict(stored["budget"]) == plan.TINY
    with pytest.raises(ValueError, match="was begun with recorded_games 2, expected 100"):
        results.open_run(tmp_path, plan.Budget(), ["small"], [1], {})


def test_a_run_goes_on_with_the_settings_of_its_maps_only(
    cells: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = importlib.import_module("paper_comparison_results")
    results.open_run(tmp_path, plan.TINY, ["small"], [1], {})
    monkeypatch.setitem(plan.MAPS, "large", dataclasses.replace(plan.MAPS["large"], passes_share=0.7))
    with pytest.raises(ValueError, match=r"was begun with large\.passes_share 0\.4, expected 0\.7: choose"):
        results.open_run(tmp_path, plan.TINY, ["small"], [1], {})


def test_a_run_goes_on_with_its_agents_only(
    cells: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = importlib.import_module("paper_comparison_results")
    results.open_run(tmp_path, plan.TINY, ["small"], [1], {})
    wider = dataclasses.replace(plan.VARIANTS[plan.PERCEIVER], latent_channels=48)
    monkeypatch.setitem(plan.VARIANTS, plan.PERCEIVER, wider)
    with pytest.raises(ValueError, match=r"was begun with perceiver_32\.latent_channels 32, expected 48: choose"):
        results.open_run(tmp_path, plan.TINY, ["small"], [1], {})


def test_a_map_gets_its_share_of_the_budget(cells: ModuleType, plan: ModuleType) -> None:
    budget = plan.Budget(recorded_games=100, passes=10)
    assert [budget.games_on(name) for name in plan.TRAINED_MAPS] == [100, 30]
    assert [budget.passes_on(name) for name in plan.TRAINED_MAPS] == [10, 4]
    assert [budget.evaluation_games_on(name) for name in plan.TRAINED_MAPS] == [200, 30]
    assert plan.TINY.games_on("large") == plan.TINY.passes_on("large") == 1
    assert cells.Lessons(Path(), "large", budget).config.passes == 4


def test_where_nothing_is_trained_only_the_encoder_is_measured_and_once(
    cells: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def measure(directory: Path, lessons: Any, game_map: str) -> dict[str, dict[str, float]]:
        measured.append((game_map, lessons.demonstrations.directory.parent.name))
        return {name: {"training_steps_per_second": 1.0} for name in plan.VARIANTS}

    monkeypatch.setattr(cells, "_measured", measure)
    (tmp_path / "recordings" / "small").mkdir(parents=True)
    for name in ("small", "large", "wide", "small"):
        cells.measure_costs(tmp_path, name, plan.Budget(passes=2, streams=4, unroll_length=5))
    assert measured == [("small", "recordings"), ("large", "recordings_for_lists")]
    costs = json.loads((tmp_path / "costs" / "wide.json").read_text())
    assert costs["lengths"]["mean"] == 4.0
    assert set(costs["variants"]) == set(plan.VARIANTS)
    ours, theirs = (costs["variants"][name]["encoder_flops"] for name in (plan.PERCEIVER, plan.TRANSFORMER))
    assert ours > theirs, "on four units latents do not pay"
