"""The trainings of the paper's comparison: what is done stays done."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from envs.errors import GameCrashedError, GameStartError
from tests.benchmarks.scripted_lessons import make_lessons


@pytest.fixture
def cells(comparison: Callable[[str], ModuleType], lessons: ModuleType) -> ModuleType:
    return comparison("cells")


def test_a_cell_is_trained_to_the_end_and_once(
    cells: ModuleType, lessons: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = []

    def play(contestant: Any, match: Any) -> Any:
        played.append((match.opponent, match.side))
        return np.array([[1, 1], [0, 2], [-1, 3], [-1, 4]])

    monkeypatch.setattr(cells.AgentContestant, "play", play)
    budget = plan.Budget(passes=3, streams=4, unroll_length=5, games=8)
    cell = plan.Cell(map="small", variant=plan.PERCEIVER, seed=1)
    told = cells.run_cell(tmp_path, cell, budget)
    file = tmp_path / "cells" / cell.path / "cell.json"
    written = json.loads(file.read_text())
    taught = lessons.Lessons(tmp_path, "small", budget)
    assert written["updates"] == sum(1 for _ in lessons.batches(taught.training(1)))
    accuracy = written["held_out"]["accuracy"]
    assert accuracy > 0.5, "a few updates teach most of what is always the same"
    assert told == f"{100 * accuracy:.1f} % accuracy, 25.0 % of games won"
    assert written["held_out"]["cross_entropy"] > 0
    assert 0 <= written["held_out"]["order_accuracy"] <= 1
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

    def play(contestant: Any, match: Any) -> Any:
        played.append((match.opponent, match.side, contestant._agent.state_dict()))
        if len(played) == 4:
            raise KeyboardInterrupt
        return np.array([[1, 1], [1, 2], [1, 3], [-1, 4]] if match.side else [[1, 1], [0, 2], [0, 3], [0, 4]])

    monkeypatch.setattr(cells, "train", remember)
    monkeypatch.setattr(cells.AgentContestant, "play", play)
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


def test_seeds_give_other_networks_and_equal_seeds_the_same(
    cells: ModuleType, lessons: ModuleType, plan: ModuleType
) -> None:
    taught = make_lessons(lessons, plan, passes=1)
    weights = []
    for seed in (1, 1, 2):
        learner = cells.train(taught, plan.Cell(map="small", variant="deep_sets", seed=seed))
        weights.append(np.concatenate([value.flatten().numpy() for value in learner.agent.state_dict().values()]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def quick_job(cells: ModuleType, plan: ModuleType, directory: Path) -> Any:
    return cells.CellJob(
        directory=directory,
        cell=plan.Cell(map="small", variant="deep_sets", seed=1),
        budget=plan.Budget(streams=4, unroll_length=5, passes=1, games=2),
        deadline=time.time() + 600,
    )


def test_a_game_that_fails_is_told_and_played_again(
    cells: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = []

    def play(contestant: Any, match: Any) -> Any:
        played.append((match.opponent, match.side))
        if len(played) == 3:
            raise GameCrashedError("an AI failed")
        return np.array([[1, 1]])

    monkeypatch.setattr(cells.AgentContestant, "play", play)
    job = quick_job(cells, plan, tmp_path)
    assert job.run(None) == "failed: an AI failed"
    assert job.run(None).endswith("100.0 % of games won")
    assert played[2] == played[3]
    assert len(played) == 1 + 2 * len(job.budget.opponents)
    later = dataclasses.replace(job, deadline=0.0)
    assert later.run(None) == "done before"
    another = dataclasses.replace(later, cell=plan.Cell(map="small", variant="deep_sets", seed=2))
    assert another.run(None) == "not begun: the minutes are over"


def test_a_training_that_fails_leaves_the_others_alone_but_a_missing_game_does_not(
    cells: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = [FloatingPointError("the loss is nan"), GameStartError("no Java")]

    def fail(*_: Any) -> Any:
        raise errors.pop(0)

    monkeypatch.setattr(cells, "train", fail)
    assert quick_job(cells, plan, tmp_path).run(None) == "failed: the loss is nan"
    with pytest.raises(GameStartError, match="no Java"):
        quick_job(cells, plan, tmp_path).run(None)


def test_games_of_other_weights_do_not_count(
    cells: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells.AgentContestant, "play", lambda contestant, match: np.array([[1, 1]]))
    job = quick_job(cells, plan, tmp_path)
    folder = tmp_path / "cells" / job.cell.path
    job.run(None)
    (folder / "training.json").unlink()
    (folder / "cell.json").unlink()
    monkeypatch.setattr(cells.AgentContestant, "play", lambda contestant, match: np.array([[-1, 1]]))
    assert job.run(None).endswith(" 0.0 % of games won")
