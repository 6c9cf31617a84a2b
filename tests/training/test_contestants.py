"""Agents, chance and AIs play the real game, and play it again the same wherever they are."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from agent import Agent, AgentConfig
from agent.interface import AgentSpec
from training.config import EvaluationConfig
from training.contestants import AgentContestant, RandomContestant, ScriptedContestant
from training.environment_config import MicroRTSConfig
from training.environments import make_environment
from training.evaluation import MatchBatch, both_sides, match_results, plan_matches
from training.play import play_matches
from training.run import environment_spec

pytest.importorskip("jpype")

ENVIRONMENT = MicroRTSConfig(max_steps=100)
EVALUATION = EvaluationConfig(opponents=("WorkerRush",), games=4, max_steps=500, games_at_once=2)


@pytest.fixture(scope="module")
def agent() -> Agent:
    torch.manual_seed(0)
    made = Agent(environment_spec(ENVIRONMENT), AgentConfig.of_size("dummy"))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def batch_of(contestant: str, side: int, opponent: str = "PassiveAI", max_steps: int = 400) -> MatchBatch:
    environment = dataclasses.replace(ENVIRONMENT, max_steps=max_steps)
    return MatchBatch(
        contestant=contestant,
        environment=environment,
        opponent=opponent,
        side=side,
        mode="sampled",
        place="a map",
        num_games=2,
        seed=4,
    )


def test_results_do_not_depend_on_the_number_of_processes(agent: Agent) -> None:
    contestants: dict[str, Any] = {"agent": AgentContestant(agent), "random": RandomContestant()}
    batches = plan_matches(ENVIRONMENT, EVALUATION, contestants, seed=3)
    here = [batch.run(contestants) for batch in batches]
    told: list[tuple[int, int]] = []
    results = play_matches(contestants, batches, num_workers=2, report=lambda done, total: told.append((done, total)))
    assert results == match_results(batches, here)
    assert sum(result.result.losses for result in match_results(batches, here)) > 0
    assert told[0] == (0, 8)
    assert told[-1] == (8, 8)


def test_an_ai_wins_on_both_sides_and_loses_seen_from_the_other() -> None:
    for side in (0, 1):
        assert ScriptedContestant("WorkerRush").play(batch_of("WorkerRush", side)).tolist() == [[1, -1], [1, -1]]
        assert ScriptedContestant("PassiveAI").play(batch_of("PassiveAI", side, "WorkerRush")).tolist() == [
            [-1, -1],
            [-1, -1],
        ]
        assert ScriptedContestant("PassiveAI").play(batch_of("PassiveAI", side)).tolist() == [[0, -1], [0, -1]]


def test_games_that_repeat_each_other_are_told(agent: Agent) -> None:
    """Greedy play against an AI that draws nothing at random is one game on each side."""
    contestants: dict[str, Any] = {"agent": AgentContestant(agent), "WorkerRush": ScriptedContestant("WorkerRush")}
    opponents = ("WorkerRush", "RandomBiasedAI")
    config = dataclasses.replace(EVALUATION, opponents=opponents, modes=("sampled", "greedy"), max_steps=60)
    batches = plan_matches(ENVIRONMENT, config, contestants, seed=3)
    results = both_sides(match_results(batches, [batch.run(contestants) for batch in batches]))
    assert {(result.contestant, result.opponent, result.mode): result.different_games for result in results} == {
        ("agent", "WorkerRush", "sampled"): 4,
        ("agent", "WorkerRush", "greedy"): 2,
        ("agent", "RandomBiasedAI", "sampled"): 4,
        ("agent", "RandomBiasedAI", "greedy"): 4,
        ("WorkerRush", "WorkerRush", "scripted"): None,
        ("WorkerRush", "RandomBiasedAI", "scripted"): None,
    }


def test_an_agent_passes_process_borders_and_stays_the_same(agent: Agent) -> None:
    contestant = AgentContestant(agent)
    copy = pickle.loads(pickle.dumps(contestant))
    batch = batch_of("agent", 1, "RandomBiasedAI")
    environment = make_environment(batch.environment, 1, seed=0)
    observation, _ = environment.reset(seed=0)
    actions = []
    for player in (contestant, copy):
        for mode in ("sampled", "greedy"):
            policy = player.policy(environment, mode)
            policy.begin(1, seed=9)
            actions.append(policy.act({key: value.copy() for key, value in observation.items()}, np.arange(1)))
    environment.close()
    np.testing.assert_array_equal(actions[0], actions[2])
    np.testing.assert_array_equal(actions[1], actions[3])


def test_training_on_does_not_change_the_contestant(agent: Agent) -> None:
    contestant = AgentContestant(agent)
    before = pickle.dumps(contestant)
    with torch.no_grad():
        agent.value_bias.add_(1.0)
    assert pickle.dumps(contestant) == before


def test_a_map_of_another_size_is_refused(agent: Agent) -> None:
    larger = environment_spec(MicroRTSConfig(map_path="maps/16x16/basesWorkers16x16A.xml"))
    with pytest.raises(ValueError, match="trained on maps of 8x8 cells, this one has 16x16; choose a map of its size"):
        AgentContestant(agent).check(larger)
    AgentContestant(agent).check(environment_spec(ENVIRONMENT))


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(AgentSpec)])
def test_what_does_not_fit_is_named(agent: Agent, name: str) -> None:
    other: dict[str, Any] = {name: None}
    with pytest.raises(ValueError, match=f"trained with {name} .*this one has None"):
        AgentContestant(agent).check(dataclasses.replace(agent.spec, **other))
