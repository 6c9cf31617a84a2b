"""Matches are planned evenly, results add up, and tables say what was counted."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from envs.errors import GameCrashedError, GameStartError
from training.config import EvaluationConfig
from training.environment_config import MicroRTSConfig
from training.evaluation import (
    MatchBatch,
    MatchResult,
    both_sides,
    match_results,
    mean_win_rate,
    plan_matches,
    result_metrics,
    result_table,
)
from training.statistics import WinRate


@dataclass
class Fake:
    """Wins on side 0, draws its first game on side 1 and loses the rest."""

    modes: tuple[str, ...] = ("sampled", "greedy")

    def play(self, batch: MatchBatch) -> Any:
        outcomes = [1] * batch.num_games if batch.side == 0 else [0] + [-1] * (batch.num_games - 1)
        greedy = batch.mode == "greedy"  # then all games on a side are the same
        return np.array([(outcome, 1 + outcome if greedy else batch.seed + n) for n, outcome in enumerate(outcomes)])


CONFIG = EvaluationConfig(opponents=("A", "B"), games=9, max_steps=50, modes=("sampled", "greedy"), games_at_once=2)


def play(contestants: dict[str, Any], config: EvaluationConfig = CONFIG) -> list[MatchResult]:
    batches = plan_matches(MicroRTSConfig(max_steps=7), config, contestants, seed=1)
    return match_results(batches, [batch.run(contestants) for batch in batches])


def test_every_opponent_mode_and_side_gets_its_games() -> None:
    contestants: dict[str, Any] = {"agent": Fake(), "script": Fake(modes=("scripted",))}
    batches = plan_matches(MicroRTSConfig(max_steps=7), CONFIG, contestants, seed=1)
    games: dict[tuple[str, str, str, int], int] = {}
    for batch in batches:
        assert 1 <= batch.num_games <= 2
        assert batch.environment.max_steps == 50
        key = (batch.contestant, batch.opponent, batch.mode, batch.side)
        games[key] = games.get(key, 0) + batch.num_games
    modes = [("agent", "sampled"), ("agent", "greedy"), ("script", "scripted")]
    assert games == {
        (name, opponent, mode, side): 5 - side for name, mode in modes for opponent in "AB" for side in (0, 1)
    }


def test_games_that_break_are_dropped_and_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    class Breaks(Fake):
        def play(self, batch: MatchBatch) -> Any:
            if batch.opponent == "A" and batch.side == 1:
                raise GameCrashedError("the AI divided by zero")
            return super().play(batch)

    results = play({"agent": Breaks()})
    played = {(result.opponent, result.mode, result.side): result.result.games for result in results}
    assert played[("A", "sampled", 1)] == 0
    assert played[("A", "sampled", 0)] == 5
    assert played[("B", "sampled", 1)] == 4
    assert "2 games against A are dropped: the AI divided by zero" in caplog.text
    header, rows = result_table(results)
    assert dict(zip(header, rows[0], strict=True))["side 1"] == "-"
    assert results[1].to_row()["win_rate"] is None
    assert math.isfinite(mean_win_rate(results))
    assert math.isnan(mean_win_rate([result for result in results if not result.result.games]))


def test_a_game_that_does_not_start_ends_the_evaluation() -> None:
    class Fails(Fake):
        def play(self, batch: MatchBatch) -> Any:
            raise GameStartError("Java does not start")

    with pytest.raises(GameStartError):
        play({"agent": Fails()})


def test_whoever_is_named_twice_is_played_once() -> None:
    config = dataclasses.replace(CONFIG, opponents=("A", "B", "A"), modes=("greedy", "sampled", "greedy"))
    planned = [(batch.opponent, batch.mode) for batch in plan_matches(MicroRTSConfig(), config, {"agent": Fake()})]
    assert len(planned) == len(plan_matches(MicroRTSConfig(), CONFIG, {"agent": Fake()}))
    assert list(dict.fromkeys(planned)) == [(name, mode) for name in "AB" for mode in ("greedy", "sampled")]


def test_all_meet_the_same_games_and_no_two_batches_do() -> None:
    contestants: dict[str, Any] = {"first": Fake(), "second": Fake()}
    batches = plan_matches(MicroRTSConfig(), CONFIG, contestants, seed=1)

    def seeds(**wanted: object) -> list[int]:
        return [b.seed for b in batches if all(getattr(b, name) == value for name, value in wanted.items())]

    for mode in CONFIG.modes:
        for opponent in CONFIG.opponents:
            own = seeds(contestant="first", mode=mode, opponent=opponent)
            assert own == seeds(contestant="second", mode=mode, opponent=opponent)
            assert own == seeds(contestant="first", mode="sampled", opponent="A")
            assert len(set(own)) == len(own) == 5
    other = plan_matches(MicroRTSConfig(), CONFIG, contestants, seed=2)
    assert not {batch.seed for batch in batches} & {batch.seed for batch in other}


def test_draws_are_no_wins_and_sides_add_up() -> None:
    results = play({"agent": Fake()})
    assert [(r.opponent, r.mode, r.side) for r in results[:4]] == [
        ("A", "sampled", 0), ("A", "sampled", 1), ("A", "greedy", 0), ("A", "greedy", 1)
    ]  # fmt: skip
    # Side 1 has four games in two batches; the fake draws the first of each batch.
    assert results[0].result == WinRate(games=5, wins=5, draws=0, losses=0)
    assert results[1].result == WinRate(games=4, wins=0, draws=2, losses=2)
    totals = both_sides(results)
    assert [total.result for total in totals] == [WinRate(games=9, wins=5, draws=2, losses=2)] * 4
    assert mean_win_rate(results) == pytest.approx(5 / 9)


def test_rows_have_what_a_reader_needs() -> None:
    row = play({"agent": Fake()})[1].to_row()
    assert row == {
        "agent": "agent",
        "opponent": "A",
        "map": MicroRTSConfig().map_path,
        "side": 1,
        "mode": "sampled",
        "games": 4,
        "wins": 0,
        "draws": 2,
        "losses": 2,
        "win_rate": 0.0,
        "low": 0.0,
        "high": pytest.approx(0.4899, abs=1e-4),
        "different_games": 4,
    }


def test_figures_of_a_second_mode_have_names_of_their_own() -> None:
    metrics = result_metrics(play({"agent": Fake()}))
    assert metrics["evaluation/win_rate/A"] == metrics["evaluation/win_rate_greedy/B"] == pytest.approx(5 / 9)
    assert metrics["evaluation/win_rate_games/A"] == 9
    low, high = metrics["evaluation/win_rate_low/A"], metrics["evaluation/win_rate_high/A"]
    assert low < 5 / 9 < high
    assert len(metrics) == 2 * 2 * 4


def test_the_table_shows_sides_and_a_baseline() -> None:
    worse = Fake(modes=("sampled",))
    header, rows = result_table(play({"agent": Fake()}), play({"agent": worse}))
    assert header[-1] == "untrained"
    assert rows[1] == ["A", "greedy", "9 (3 different)", "5", "2", "2", "56 %", "27-81", "100 %", "0 %", ""]
    assert [row[-1] for row in rows] == ["56 %" if row[1] == "sampled" else "" for row in rows]
    assert all(len(row) == len(header) for row in rows)
    header, rows = result_table(play({"agent": worse}))
    assert "mode" not in header
    assert rows[1] == ["B", "9", "5", "2", "2", "56 %", "27-81", "100 %", "0 %"]
    header, rows = result_table(play({"agent": Fake()}))
    assert header[-1] == "side 1"
    assert all(len(row) == len(header) for row in rows)
