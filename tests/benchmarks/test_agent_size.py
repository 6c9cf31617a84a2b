"""The arithmetic behind the figures of the agent's size, and a run at a tiny size."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from agent import AgentConfig
from envs.function_calls import FIRST_SELECTED
from envs.starcraft2.functions import function_calls_space

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def agent_size(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("agent_size")


@pytest.fixture
def agent_parts(agent_size: ModuleType) -> ModuleType:
    return importlib.import_module("agent_parts")


@pytest.fixture
def shapes(agent_size: ModuleType) -> ModuleType:
    return importlib.import_module("starcraft2_shapes")


def test_a_part_costs_what_is_not_of_the_parts_inside_it(agent_parts: ModuleType) -> None:
    clock = iter([0.0, 1.0, 3.0, 10.0, 11.0, 20.0, 22.0, 100.0])
    meter = agent_parts.Meter(lambda: next(clock))
    with meter.part("selected units"), meter.part(agent_parts.TORSO_ANSWERS):
        pass
    with meter.part(agent_parts.TORSO_ANSWERS):
        pass
    meter.settle()
    assert meter.costs == {
        "the rest": 1.0 + 9.0 + 78.0,
        "selected units": 2.0 + 1.0,
        agent_parts.TORSO_ARGUMENTS: 7.0,
        agent_parts.TORSO_ANSWERS: 2.0,
    }


def test_made_up_calls_are_legal(shapes: ModuleType) -> None:
    space, spec = function_calls_space(), shapes.game_spec()
    made = shapes.trajectory(spec, 2, 3, (1, 2, 4))
    decision = made.observations.decision
    assert made.observations.decision_counts.tolist() == [1, 1, 1, 0] * 2
    assert all(space.contains(call) for call in decision["action"])
    assert decision["action_mask"][np.arange(6), decision["action"][:, 0]].all()
    counts = made.observations.entity_counts
    assert (counts >= shapes.SHORTEST).all()
    assert (counts <= shapes.LONGEST).all()
    assert (decision["action"][:, FIRST_SELECTED:] <= space.max_entities).all()


def test_a_tiny_agent_is_measured(agent_size: ModuleType, agent_parts: ModuleType) -> None:
    options = argparse.Namespace(size="dummy", batch=1, unroll=2, rounds=2, acting_steps=2, threads=1, device="cpu")
    config = AgentConfig.of_size("dummy")
    result = agent_size.measure(config, options)
    assert result["observations"] == 3
    assert len(result["step_seconds"]) == len(result["acting_seconds"]) == 2
    flops = result["forward_flops"]
    assert set(agent_parts.PART_OF) - set(flops) <= {"target entity", "target point", "selected units"}  # by chance
    # The map's first halving alone: 64 x 64 cells, 16 taps, 4 to 8 channels; multiplications and additions apart.
    assert flops["map"] > 3 * 64 * 64 * 16 * 4 * 8 * 2
    assert flops["torso: reading"] > 0
    table = agent_size.table({"perceiver": json.loads(json.dumps(result))}, options)
    assert "| | perceiver |" in table
    assert all(part in table for part in (*agent_parts.PARTS, *agent_parts.PART_OF))
