"""What the variants of the paper's comparison cost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from agent import AgentConfig
from agent.agent import Agent
from tests.agent import games


@pytest.fixture
def costs(comparison: Callable[[str], ModuleType]) -> ModuleType:
    return comparison("costs")


def attention(queries: int, keys: int, channels: int) -> int:
    """Scores and weighted means of all heads; an operation is a multiplication or an addition."""
    return 2 * 2 * queries * keys * channels


def linear(rows: int, inputs: int, outputs: int) -> int:
    return 2 * rows * inputs * outputs


@pytest.mark.parametrize("units", [9, 70])
def test_operations_of_both_encoders_are_those_of_their_formulas(
    costs: ModuleType, plan: ModuleType, units: int
) -> None:
    channels, latents, width, tokens = 64, 32, 32, units + costs.BACKGROUND_TOKENS
    layer = linear(tokens, channels, 4 * channels) + attention(tokens, tokens, channels)
    transformer = 3 * (layer + 2 * linear(tokens, channels, 4 * channels))
    assert costs.encoder_flops(plan.VARIANTS[plan.TRANSFORMER], units) == transformer
    read = linear(tokens, channels, 2 * channels) + linear(latents, width, channels) + linear(latents, channels, width)
    read += attention(latents, tokens, channels) + 2 * linear(latents, width, width)
    layer = 4 * linear(latents, width, width) + attention(latents, latents, width)
    think = 3 * (layer + 2 * linear(latents, width, 4 * width))
    answer = 2 * linear(units, channels, width) + linear(latents, width, 2 * width) + attention(units, latents, width)
    answer += 2 * linear(units, channels, channels)
    assert costs.encoder_flops(plan.VARIANTS[plan.PERCEIVER], units) == read + think + answer


def test_perceiver_meets_the_bar_on_long_lists_and_grows_linearly(costs: ModuleType, plan: ModuleType) -> None:
    def flops(variant: str, units: int) -> int:
        return int(costs.encoder_flops(plan.VARIANTS[variant], units))

    assert 3 * flops(plan.PERCEIVER, 70) <= flops(plan.TRANSFORMER, 70)
    growth = [flops(plan.PERCEIVER, units + 100) - flops(plan.PERCEIVER, units) for units in (100, 500)]
    assert growth[0] == growth[1]


def test_costs_of_an_agent_are_those_of_its_parts(costs: ModuleType) -> None:
    packed = games.random_units(0, [5, 3, 6])
    action = torch.from_numpy(packed.decision["action_mask"][:, :3].argmax(1))[:, None] * torch.tensor([[1, 0, 0]])
    packed = packed.with_decision(action=action.numpy())
    config = AgentConfig.of_size("small")
    spec = games.unit_game()
    found = costs.agent_costs(spec, config, packed)
    agent = Agent(spec, config)
    assert found["parameters"] == sum(parameter.numel() for parameter in agent.parameters())
    assert found["encoder_parameters"] == sum(parameter.numel() for parameter in agent.torso.parameters())
    assert 0 < found["torso_flops"] < found["flops"]
    transformer = dataclasses.replace(config, torso="transformer")
    counted = sum(parameter.numel() for parameter in Agent(spec, transformer).torso.baseline.parameters())
    assert costs.encoder_parameters(transformer) == counted, "not what merges the queries"
    act = costs.acting_step(spec, config, packed)
    assert act().action.shape == (len(action), 3)
    speeds: dict[str, Any] = costs.steps_per_second({"one": act}, size=3, seconds=0.0)
    assert speeds["one"] > 0


def test_lengths_are_summed_up(costs: ModuleType) -> None:
    found = costs.length_statistics([np.array([1, 2]), np.array([3, 10])])
    assert found == {"mean": 4.0, "median": 2.5, "percentile_90": pytest.approx(7.9), "largest": 10.0}


def test_where_nothing_is_trained_only_the_encoder_is_measured_and_once(
    costs: ModuleType, lessons: ModuleType, plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def measure(directory: Path, lessons: Any, game_map: str) -> dict[str, dict[str, float]]:
        measured.append((game_map, lessons.demonstrations.directory.parent.name))
        return {name: {"training_steps_per_second": 1.0} for name in plan.VARIANTS}

    monkeypatch.setattr(costs, "_measured", measure)
    for name in ("small", "large", "wide", "small"):
        costs.measure_costs(tmp_path, name, plan.Budget(passes=2, streams=4, unroll_length=5))
    assert measured == [("small", "recordings"), ("large", "recordings")]
    written = json.loads((tmp_path / "costs" / "wide.json").read_text())
    assert written["lengths"]["mean"] == 4.0
    assert set(written["variants"]) == set(plan.VARIANTS)
    ours, theirs = (written["variants"][name]["encoder_flops"] for name in (plan.PERCEIVER, plan.TRANSFORMER))
    assert ours > theirs, "on four units latents do not pay"
