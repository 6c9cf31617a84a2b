"""What the agents of the paper's comparison are taught."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from envs.spaces import SCALARS
from tests.benchmarks.scripted_lessons import LENGTHS, Demonstrations, make_lessons


def seen(lessons: ModuleType, streams: Any) -> list[tuple[float, float]]:
    """Return player game and step of all that streams give."""
    rows = []
    for batch in lessons.batches(streams):
        assert (batch.weights[batch.loss_mask] == 1).all()
        rows += [tuple(row[:2]) for row in batch.observations.sample[SCALARS][batch.loss_mask.flatten()].tolist()]
    return rows


def test_every_variant_of_a_seed_is_taught_the_same_steps_in_the_same_order(
    lessons: ModuleType, plan: ModuleType
) -> None:
    first, again, other = (seen(lessons, make_lessons(lessons, plan).training(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)


def test_winners_alone_are_imitated_and_held_out_games_are_not_learnt(lessons: ModuleType, plan: ModuleType) -> None:
    taught = make_lessons(lessons, plan)
    learnt, held_out = (seen(lessons, streams) for streams in (taught.training(1), taught.held_out()))
    players = {game for game, _ in learnt} | {game for game, _ in held_out}
    assert players == set(range(0, len(LENGTHS), 2)), "the first side wins"
    assert {game for game, _ in learnt}.isdisjoint(game for game, _ in held_out)
    assert len(learnt) == 2 * len(set(learnt)) == 2 * taught.choice.num_train_steps


def test_where_hardly_a_game_is_won_all_are_imitated(
    lessons: ModuleType, plan: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [1, -1, *[0] * (len(LENGTHS) - 2)]
    monkeypatch.setattr(lessons, "Demonstrations", lambda directory: Demonstrations(directory, outcomes))
    taught = make_lessons(lessons, plan)
    learnt, held_out = (seen(lessons, streams) for streams in (taught.training(1), taught.held_out()))
    assert {game for game, _ in learnt} | {game for game, _ in held_out} == set(range(len(LENGTHS)))


def test_a_typical_batch_is_from_amid_the_games(
    lessons: ModuleType, plan: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "_STEPS_INTO_GAMES", 5)
    batch = make_lessons(lessons, plan).typical_batch(num_streams=3, unroll_length=1)
    assert batch.observations.sample[SCALARS][:, 1].tolist() == [5, 5, 5]


def test_a_map_gets_its_share_of_the_budget(lessons: ModuleType, plan: ModuleType) -> None:
    budget = plan.Budget(recorded_games=100, passes=10)
    assert [budget.games_on(name) for name in plan.TRAINED_MAPS] == [100, 30]
    assert [budget.passes_on(name) for name in plan.TRAINED_MAPS] == [10, 4]
    assert [budget.evaluation_games_on(name) for name in plan.TRAINED_MAPS] == [200, 30]
    assert plan.TINY.games_on("large") == plan.TINY.passes_on("large") == 1
    assert lessons.Lessons(Path(), "large", budget).config.passes == 4


def test_every_map_is_recorded_for_what_it_serves(
    lessons: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(lessons, "record", asked.append)
    for name in plan.MAPS:
        lessons.record_map(tmp_path, name, plan.Budget())
    assert {str(options.output.relative_to(tmp_path)): options.games for options in asked} == {
        "recordings/small": 100,
        "recordings/large": 30,
        "recordings_for_lists/longest": 4,
        "recordings_for_lists/wide": 4,
    }
