"""The paper's comparison: its plan, its statistics, its costs and its page."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import shutil
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
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("paper_comparison_report", monkeypatch)


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


def test_a_difference_over_seeds_is_taken_within_each_seed(sure: ModuleType) -> None:
    """Differences of 0.1, 0.2 and 0.3, however much the seeds differ among themselves: t(0.975, 2) = 4.3027."""
    estimate = sure.difference_over_seeds([0.2, 0.6, 1.0], [0.1, 0.4, 0.7])
    assert estimate.value == pytest.approx(0.2)
    assert estimate.high - estimate.value == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert estimate.low == pytest.approx(2 * 0.2 - estimate.high)
    assert sure.difference_over_seeds([0.2, 0.9], [0.1, 0.8]).low == pytest.approx(0.1)
    assert math.isnan(sure.difference_over_seeds([0.5], [0.4]).low)
    with pytest.raises(ValueError, match="same seeds on both sides, got 1 and 2"):
        sure.difference_over_seeds([0.5], [0.4, 0.6])


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
    act = costs.acting_step(spec, config, packed)
    assert act().action.shape == (len(action), 3)
    speeds: dict[str, Any] = costs.steps_per_second({"one": act}, size=3, seconds=0.0)
    assert speeds["one"] > 0


def test_lengths_are_summed_up(costs: ModuleType) -> None:
    found = costs.length_statistics([np.array([1, 2]), np.array([3, 10])])
    assert found == {"mean": 4.0, "median": 2.5, "percentile_90": pytest.approx(7.9), "largest": 10.0}


def write_run(directory: Path, plan: ModuleType, wins: dict[str, list[int]], flops: float = 8.0e6) -> None:
    """Write what a run on the small map leaves, with so many wins of 100 against each AI in the seeds 1, 2, ..."""
    budget = plan.Budget(opponents=("CoacAI", "LightRush"), games=100, passes=5)
    machine = {"processor": "abacus", "usable_cores": 2, "load_average": [0.5, 0.5, 0.5]}
    described = {"budget": budget.to_dict(), "maps": ["small"], "seeds": [1, 2, 3], "machine": machine}
    (directory / "costs").mkdir(parents=True)
    (directory / "plan.json").write_text(json.dumps(described))
    of_variant = {
        "encoder_parameters": 1000.0, "parameters": 5000.0, "encoder_flops": flops, "flops": 2e7, "torso_flops": 1e7,
        "training_steps_per_second": 1234.0, "acting_steps_per_second": 2345.0, "training_peak_mebibytes": 99.0,
    }  # fmt: skip
    variants = {plan.PERCEIVER: of_variant, plan.TRANSFORMER: {**of_variant, "encoder_flops": 3e7}}
    lengths = {"mean": 9.0, "median": 9.0, "percentile_90": 12.0, "largest": 20.0}
    (directory / "costs" / "small.json").write_text(json.dumps({"lengths": lengths, "variants": variants}))
    for variant, of_seeds in wins.items():
        for seed, won in enumerate(of_seeds, 1):
            folder = directory / "cells" / plan.Cell(map="small", variant=variant, seed=seed).path
            folder.mkdir(parents=True)
            rows = [{"opponent": name, **rate(won, 100).to_row()} for name in budget.opponents]
            held_out = {"accuracy": 0.5, "cross_entropy": 1.25}
            cell = {"seed": seed, "evaluation": rows, "held_out": held_out, "training_seconds": 60.0}
            (folder / "cell.json").write_text(json.dumps({**cell, "evaluation_seconds": 60.0}))


def test_the_page_tells_what_there_is_and_what_is_missing(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "run", plan, {plan.PERCEIVER: [60, 62, 61], plan.TRANSFORMER: [59, 60, 60]})
    (tmp_path / "docs").mkdir()
    text = report.write_page(tmp_path / "run", tmp_path / "docs").read_text()
    assert "6 trainings with their games, on small" in text
    assert "every variant wins" not in text
    assert "passes 5 in place of 10" in " ".join(text.split())
    assert "anything on large" in text
    assert "deep_sets on small" in text
    assert " transformer on small" not in text
    means = "61.0 (58.5 to 63.5) | 50.0 | 1.250"
    assert f"| perceiver_32 | 3 | 61 (55-66) | 61 (55-66) | {means} |" in text
    assert "| perceiver_32 | 1,000 | 8.00 | 20.00 | 1,234 | 2,345 | 99 |" in text
    assert (
        "`maps/8x8/basesWorkers8x8A.xml`: 5 passes over 100 games of each pair, 100 games against each AI."
        in " ".join(text.split())
    )
    assert "8.00 of 30.00 MFLOP at 9 units, a share of 0.27 | **at most a third**" in text
    assert "1.3 (-0.1 to 2.8) points over seeds; 1.3 (-4.2 to 6.9) over games; 1.3 (" in text
    assert "widened for 4 configurations | **not worse**" in text
    assert "took 2.0 minutes in the mean" in " ".join(text.split())
    assert "1,234 against 1,234 steps a core-second | 1.0 times the transformer's" in text
    assert "Not run yet: perceiver_8" in text
    for picture in ("flops", "win_rates"):
        assert (tmp_path / "docs" / "images" / f"paper_comparison_{picture}.png").stat().st_size > 1000
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 120


@pytest.mark.parametrize(
    ("wins", "verdict"),
    [
        ({"perceiver_32": [60, 62, 58], "transformer": [60, 59, 61]}, "**open**"),
        ({"perceiver_32": [40, 41, 42], "transformer": [60, 59, 61]}, "**worse**"),
        ({"perceiver_32": [60], "transformer": [60]}, "one seed: nothing can be said"),
        ({"perceiver_32": [60, 61]}, "not run"),
    ],
)
def test_a_verdict_is_no_better_than_its_interval(
    report: ModuleType, plan: ModuleType, tmp_path: Path, wins: dict[str, list[int]], verdict: str
) -> None:
    write_run(tmp_path, plan, wins, flops=1.1e7)
    text = report.page(report.read_results(tmp_path))
    assert verdict in next(line for line in text.splitlines() if "perceiver_32 minus transformer, small" in line)
    assert "**more than a third**" in text


def test_the_page_names_the_ais_that_tell_nothing(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [98, 100], plan.TRANSFORMER: [99, 97]})
    text = report.page(report.read_results(tmp_path))
    assert "Against CoacAI, LightRush every variant wins less than 5 % or more than 95 % of the games" in text


def test_ablations_are_told_as_differences(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(
        tmp_path, plan, {plan.PERCEIVER: [60, 62, 61], "no_query_residual": [50, 51, 52], "perceiver_8": [61] * 3}
    )
    text = report.page(report.read_results(tmp_path))
    row = next(line for line in text.splitlines() if line.startswith("| small | query residual | 3 | 10.0 (7.5"))
    assert row.endswith("| 0.0 (0.0 to 0.0) |"), "accuracy on held-out games"
    assert "| small | 32 latents against 8 | 3 | 0.0 (-2.5 to 2.5) |" in text


def test_a_difference_leaves_out_seeds_that_one_side_lacks(
    report: ModuleType, plan: ModuleType, tmp_path: Path
) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62, 10], plan.TRANSFORMER: [59, 61]})
    found = report.read_results(tmp_path).difference("small", plan.PERCEIVER, plan.TRANSFORMER)
    assert found.over_seeds.value == pytest.approx(0.01)
    assert found.over_games.value == pytest.approx(0.01)
    assert found.over_seeds.high - found.over_seeds.low == pytest.approx(0)


def test_a_difference_on_the_tuned_map_is_widened_for_all_that_was_tried(
    report: ModuleType, plan: ModuleType, sure: ModuleType, tmp_path: Path
) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62, 61], plan.TRANSFORMER: [60, 61, 62]})
    text = report.page(report.read_results(tmp_path))
    assert sure.difference_over_seeds([0.6, 0.62, 0.61], [0.6, 0.61, 0.62]).low > -0.03
    wide = sure.difference_over_seeds([0.6, 0.62, 0.61], [0.6, 0.61, 0.62], 1 - 0.05 / plan.CONFIGURATIONS_TRIED)
    row = next(line for line in text.splitlines() if "perceiver_32 minus transformer, small" in line)
    assert f"{wide.percent()} over seeds, widened for {plan.CONFIGURATIONS_TRIED} configurations" in row
    assert "**open**" in row, "the widened interval decides"


def test_what_waits_for_its_games_is_told(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62]})
    for seed, accuracy in ((1, 0.75), (3, 0.85)):
        folder = tmp_path / "cells" / plan.Cell(map="small", variant="deep_sets", seed=seed).path
        folder.mkdir(parents=True)
        training = {"held_out": {"accuracy": accuracy, "cross_entropy": 0.5}, "training_seconds": 1.0}
        (folder / "training.json").write_text(json.dumps(training))
    text = report.page(report.read_results(tmp_path))
    assert "| deep_sets | 2 |  |  |  | 80.0 | 0.500 |" in text
    assert "Trained, but no games played yet: deep_sets." in text
    assert "deep_sets on small" not in text
    shutil.rmtree(tmp_path / "cells" / "small" / plan.PERCEIVER)
    assert "| deep_sets | 2 |  |  |  | 80.0 | 0.500 |" in report.page(report.read_results(tmp_path))


def test_the_page_says_how_it_was_run(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62], plan.TRANSFORMER: [59, 61], "cosformer": [60]})
    file = tmp_path / "cells" / plan.Cell(map="small", variant="cosformer", seed=1).path / "cell.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "learnt_on": "H200"}))
    text = report.page(report.read_results(tmp_path))
    command = "python benchmarks/paper_comparison.py --output comparison --maps small --variants"
    assert f"{command} perceiver_32 transformer --seeds 1 2\n{command} cosformer --seeds 1\n" in text
    assert "A GPU learnt in 1 of these trainings on H200" in " ".join(text.split())


def test_without_a_run_there_is_no_page(report: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no plan\.json: run paper_comparison\.py"):
        report.read_results(tmp_path)
