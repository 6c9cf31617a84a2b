"""The paper's comparison: its plan, its statistics, its costs and its page."""

from __future__ import annotations

import dataclasses
import importlib
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from agent import AgentConfig
from agent.agent import Agent
from tests.agent import games
from training.statistics import WinRate

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module(name)


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("paper_comparison_plan", monkeypatch)


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("paper_comparison_statistics", monkeypatch)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("paper_comparison_costs", monkeypatch)


def rate(wins: int, games: int) -> WinRate:
    return WinRate(games=games, wins=wins, draws=0, losses=games - wins)


def test_variants_differ_in_the_torso_alone(plan: ModuleType) -> None:
    """A variant is the base with what its name says; everything that is no part of the torso is equal."""
    base = dataclasses.asdict(plan.VARIANTS[plan.PERCEIVER])
    torso = {"torso", "num_latents", "decoder_query_residual", "entity_queries", "neighbourhood_radius"}
    seen = set()
    for name, config in plan.VARIANTS.items():
        changed = {key for key, value in dataclasses.asdict(config).items() if value != base[key]}
        assert changed <= torso, name
        seen.add(config)
    assert len(seen) == len(plan.VARIANTS)
    assert {plan.VARIANTS[f"perceiver_{n}"].num_latents for n in (8, 16, 32, 64)} == {8, 16, 32, 64}


def test_the_telling_pair_comes_first_on_every_map_with_all_its_seeds(plan: ModuleType) -> None:
    cells = plan.plan_cells(["small", "large"], list(plan.VARIANTS), [1, 2, 3])
    assert len(cells) == len(set(cells)) == 2 * 3 * len(plan.VARIANTS)
    assert {cell.variant for cell in cells[:6]} == {plan.PERCEIVER, plan.TRANSFORMER}
    assert {cell.seed for cell in cells[:6]} == {1, 2, 3}
    assert {cell.map for cell in cells[: len(cells) // 2]} == {"small"}
    assert len({cell.path for cell in cells}) == len(cells)


@pytest.mark.parametrize(("maps", "variants"), [(["huge"], ["transformer"]), (["small"], ["lstm"])])
def test_what_is_not_in_the_comparison_is_an_error(plan: ModuleType, maps: list[str], variants: list[str]) -> None:
    with pytest.raises(ValueError, match=r"expected a (map|variant) of .*got '(huge|lstm)'"):
        plan.plan_cells(maps, variants, [1])


def test_a_mean_over_seeds_has_students_interval(sure: ModuleType) -> None:
    estimate = sure.mean_over_seeds([0.5, 0.6, 0.7])
    # t(0.975, 2) = 4.3027, s = 0.1
    assert estimate.value == pytest.approx(0.6)
    assert estimate.high - estimate.value == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert math.isnan(sure.mean_over_seeds([0.5]).low)
    assert sure.mean_over_seeds([0.5]).percent() == "50.0 (one seed)"
    with pytest.raises(ValueError, match="at least one seed"):
        sure.mean_over_seeds([])


def test_a_difference_over_seeds_has_welchs_interval(sure: ModuleType) -> None:
    """Equal spreads and numbers give n1 + n2 - 2 degrees of freedom: t(0.975, 4) = 2.7764."""
    estimate = sure.difference_over_seeds([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])
    assert estimate.value == pytest.approx(0.1)
    assert estimate.high - estimate.value == pytest.approx(2.7764 * math.sqrt(2 * 0.01 / 3), rel=1e-4)
    assert estimate.low == pytest.approx(2 * 0.1 - estimate.high)
    # One side without spread leaves the other's two degrees of freedom.
    one_sided = sure.difference_over_seeds([0.5, 0.6, 0.7], [0.5, 0.5, 0.5])
    assert one_sided.high - one_sided.value == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert sure.difference_over_seeds([0.5, 0.5], [0.4, 0.4]).low == pytest.approx(0.1)
    assert math.isnan(sure.difference_over_seeds([0.5], [0.4, 0.6]).low)


def test_intervals_cover_what_is_true_as_often_as_they_say(sure: ModuleType) -> None:
    """Agents that win with 60 and 50 %: over the games' chance the interval holds 10 points in 95 of 100 cases."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        sides = [[rate(int(rng.binomial(100, p)), 100) for _ in range(5)] for p in (0.6, 0.5)]
        estimate = sure.difference_of_games(*sides)
        covered += estimate.low <= 0.1 <= estimate.high
    assert 930 <= covered <= 970


def test_games_weigh_by_opponent_and_none_is_certain(sure: ModuleType) -> None:
    few_and_many = [rate(10, 10), rate(0, 1000)]
    assert sure.mean_win_rate(few_and_many) == 0.5
    assert sure.pooled(few_and_many) == rate(10, 1010)
    estimate = sure.difference_of_games([rate(100, 100)], [rate(0, 100)])
    assert estimate.value == 1.0
    assert estimate.low < 0.99
    with pytest.raises(ValueError, match="expected games"):
        sure.difference_of_games([], [rate(1, 2)])


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
    think = 3 * (6 * linear(latents, width, width) + attention(latents, latents, width))
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
    act = costs.acting_step(spec, config, packed)
    assert act().action.shape == (len(action), 3)
    speeds: dict[str, Any] = costs.steps_per_second({"one": act}, size=3, seconds=0.0)
    assert speeds["one"] > 0


def test_lengths_are_summed_up(costs: ModuleType) -> None:
    found = costs.length_statistics([np.array([1, 2]), np.array([3, 10])])
    assert found == {"mean": 4.0, "median": 2.5, "percentile_90": pytest.approx(7.9), "largest": 10.0}
