"""Episodes without opponents are measured by their returns."""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import pytest

from agent import Agent, AgentConfig
from tests.agent import games
from training import episode_evaluation
from training.config import EvaluationConfig
from training.contestants import AgentContestant, RandomContestant
from training.environment_config import GymnasiumConfig
from training.episode_evaluation import ReturnResult, plan_episodes, return_metrics, return_results, return_table

CARTPOLE = GymnasiumConfig(env_id="CartPole-v1")


def test_every_player_and_each_of_its_modes_gets_the_same_episodes() -> None:
    config = EvaluationConfig(games=7, games_at_once=3, modes=("sampled", "greedy"))
    players = {"agent": AgentContestant(Agent(games.unit_game(), AgentConfig.of_size("small")))}
    batches = plan_episodes(CARTPOLE, config, {**players, "random": RandomContestant()}, seed=1)
    assert [batch.num_games for batch in batches] == [3, 3, 1] * 3
    assert [(batch.player, batch.mode) for batch in batches[::3]] == [
        ("agent", "sampled"), ("agent", "greedy"), ("random", "sampled")
    ]  # fmt: skip
    seeds = [batch.seed for batch in batches]
    assert seeds == seeds[:3] * 3
    assert len(set(seeds)) == 3


def test_chance_holds_the_pole_for_twenty_steps() -> None:
    batches = plan_episodes(CARTPOLE, EvaluationConfig(games=60, games_at_once=20), {"random": RandomContestant()})
    played = [batch.run({"random": RandomContestant()}) for batch in batches]
    (result,) = return_results(batches, played)
    assert len(result.returns) == 60
    assert 15 < result.mean < 30  # 22 is known
    again = batches[0].run({"random": RandomContestant()})
    np.testing.assert_array_equal(again, played[0])
    assert not np.array_equal(played[0], played[1])


def test_episodes_end_where_no_time_limit_would_end_them(monkeypatch: pytest.MonkeyPatch) -> None:
    players = {"random": RandomContestant()}

    def returns(env_id: str, max_steps: int | None) -> list[float]:
        config = EvaluationConfig(games=5)
        (batch,) = plan_episodes(GymnasiumConfig(env_id=env_id), config, players, max_steps=max_steps)
        return batch.run(players).tolist()

    monkeypatch.setattr(episode_evaluation, "_LONGEST_EPISODE", 3)
    gymnasium.register("Unlimited-v0", "gymnasium.envs.classic_control:CartPoleEnv")
    try:
        assert returns("Unlimited-v0", None) == [3.0] * 5
        assert returns("Unlimited-v0", 5) == [5.0] * 5  # no pole falls sooner
    finally:
        del gymnasium.registry["Unlimited-v0"]
    assert min(returns("CartPole-v1", None)) > 5
    assert returns("CartPole-v1", 4) == [4.0] * 5


def test_the_interval_is_that_of_the_mean() -> None:
    result = ReturnResult("agent", "CartPole-v1", "greedy", np.array([1.0, 2.0, 3.0, 4.0]))
    assert result.mean == 2.5
    assert result.half_width == pytest.approx(1.96 * math.sqrt(5 / 3) / 2)
    row = result.to_row()
    assert row["episodes"] == 4
    assert row["low"] == pytest.approx(2.5 - result.half_width)
    assert (row["min_return"], row["max_return"]) == (1.0, 4.0)
    single = ReturnResult("agent", "CartPole-v1", "sampled", np.array([1.0]))
    assert single.to_row()["low"] is None
    assert return_metrics([single, result]) == {
        "evaluation/episodic_return": 1.0,
        "evaluation/episodic_return_greedy": 2.5,
    }
    header, rows = return_table([single, result])
    assert [len(row) for row in rows] == [len(header)] * 2
    assert rows[0][3:] == ["1.0", "-", "1.0", "1.0"]
    assert rows[1][:4] == ["agent", "greedy", "4", "2.5"]


def test_where_all_games_failed_nothing_is_told() -> None:
    result = ReturnResult("agent", "MoveToBeacon", "sampled", np.array([]))
    row = result.to_row()
    assert row["episodes"] == 0
    assert [row[name] for name in ("mean_return", "low", "high", "min_return", "max_return")] == [None] * 5
    assert return_table([result])[1] == [["agent", "sampled", "0", "-", "-", "-", "-"]]
    assert return_metrics([result]) == {}
