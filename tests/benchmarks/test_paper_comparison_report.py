"""The page of the paper's comparison: what it says of a run, whole or in part."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.conftest import BENCHMARKS
from tests.benchmarks.test_paper_comparison_results import KEPT
from training.statistics import WinRate


@pytest.fixture
def report(comparison: Callable[[str], ModuleType]) -> ModuleType:
    return comparison("report")


def rate(wins: int, games: int) -> WinRate:
    return WinRate(games=games, wins=wins, draws=0, losses=games - wins)


def write_run(directory: Path, plan: ModuleType, wins: dict[str, list[int]], flops: float = 8.0e6) -> None:
    """Write what a run on the small map leaves, with so many wins of 100 against each AI in the seeds 1, 2, ..."""
    budget = plan.Budget(opponents=("CoacAI", "LightRush"), games=100, passes=5)
    begun_on, measured_on = ({"processor": name, "usable_cores": 2} for name in ("slide rule", "abacus"))
    described = {"budget": budget.to_dict(), "maps": ["small"], "seeds": [1, 2, 3], "machine": begun_on}
    (directory / "costs").mkdir(parents=True)
    (directory / "plan.json").write_text(json.dumps(described))
    of_variant = {
        "encoder_parameters": 1000.0, "parameters": 5000.0, "encoder_flops": flops, "flops": 2e7, "torso_flops": 1e7,
        "training_steps_per_second": 1234.0, "acting_steps_per_second": 2345.0, "training_peak_mebibytes": 99.0,
    }  # fmt: skip
    variants = {plan.PERCEIVER: of_variant, plan.TRANSFORMER: {**of_variant, "encoder_flops": 3e7}}
    lengths = {"mean": 9.0, "median": 9.0, "percentile_90": 12.0, "largest": 20.0}
    measured = {"lengths": lengths, "variants": variants, "machine": measured_on}
    (directory / "costs" / "small.json").write_text(json.dumps(measured))
    write_cells(directory, wins, plan)


def write_cells(directory: Path, wins: dict[str, list[int]], plan: ModuleType, **of_opponents: list[int]) -> None:
    """Write trainings alone; against some opponents, each seed may have won otherwise."""
    measured_on = {"processor": "abacus", "usable_cores": 2}
    for variant, of_seeds in wins.items():
        for seed, won in enumerate(of_seeds, 1):
            folder = directory / "cells" / plan.Cell(map="small", variant=variant, seed=seed).path
            folder.mkdir(parents=True)
            won_against = {name: of_opponents.get(name, of_seeds)[seed - 1] for name in ("CoacAI", "LightRush")}
            rows = [{"opponent": name, **rate(number, 100).to_row()} for name, number in won_against.items()]
            held_out = {"accuracy": 0.5, "order_accuracy": won / 200, "cross_entropy": 1.25}
            cell = {"seed": seed, "evaluation": rows, "held_out": held_out, "training_seconds": 60.0}
            (folder / "cell.json").write_text(json.dumps({**cell, "evaluation_seconds": 60.0, "machine": measured_on}))


def test_the_page_tells_what_there_is_and_what_is_missing(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "run", plan, {plan.PERCEIVER: [60, 62, 61], plan.TRANSFORMER: [59, 60, 60]})
    (tmp_path / "docs").mkdir()
    text = report.write_page(tmp_path / "run", tmp_path / "docs").read_text()
    assert "6 trainings with their games, on small" in text
    missing = 3 * 2 * len(plan.VARIANTS) - 6
    assert f"from at least 3 seeds, of which {missing} trainings are not done" in " ".join(text.split())
    assert "every variant wins" not in text
    assert "passes 5 in place of 10" in " ".join(text.split())
    assert "anything on large" in text
    assert "deep_sets on small" in text
    assert " transformer on small" not in text
    means = "61.0 (58.5 to 63.5) | 50.0 | 30.5 | 1.250"
    assert f"| perceiver_32 | 3 | 61 (55-66) | 61 (55-66) | {means} |" in text
    assert "| perceiver_32 | 1,000 | 8.00 | 20.00 | 1,234 | 2,345 | 99 |" in text
    assert (
        "`maps/8x8/basesWorkers8x8A.xml`: 5 passes over 100 games of each pair, 100 games against each AI."
        in " ".join(text.split())
    )
    assert "8.00 of 30.00 MFLOP at 9 units, a share of 0.27 | **at most a third**" in text
    assert "1.3 (-0.1 to 2.8) points over seeds; 1.3 (-4.1 to 6.8) over games; 1.3 (" in text
    assert "widened for 7 looks | **not worse**" in text
    assert "took 2.0 minutes in the mean, on abacus." in " ".join(text.split())
    assert "1,234 against 1,234 steps a core-second | 1.0 times the transformer's" in text
    assert "Not run yet: perceiver_8" in text
    for picture in ("flops", "win_rates"):
        assert (tmp_path / "docs" / "images" / f"paper_comparison_{picture}.png").stat().st_size > 1000
    assert max(len(line) for line in text.splitlines() if not line.startswith(("|", "python "))) <= 120


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


def test_the_page_in_docs_is_that_of_the_kept_run(report: ModuleType) -> None:
    page = BENCHMARKS.parent / "docs" / report.PAGE
    assert page.read_text(encoding="utf-8") == report.page(report.read_results(KEPT))


def test_the_page_names_the_ais_that_tell_nothing(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [98, 100], plan.TRANSFORMER: [99, 97]})
    text = report.page(report.read_results(tmp_path))
    assert "Against CoacAI, LightRush every variant wins less than 5 % or more than 95 % of the games" in text


def test_the_difference_over_those_that_tell_something_stands_beside_that_over_all(
    report: ModuleType, plan: ModuleType, tmp_path: Path
) -> None:
    write_run(tmp_path, plan, {})
    write_cells(tmp_path, {plan.PERCEIVER: [60, 63], plan.TRANSFORMER: [58, 61]}, plan, LightRush=[100, 100])
    text = report.page(report.read_results(tmp_path))
    assert "1.0 (1.0 to 1.0) points over seeds; " in text
    assert "; over CoacAI alone 2.0 (2.0 to 2.0) over seeds |" in text


def test_ablations_are_told_as_differences(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(
        tmp_path, plan, {plan.PERCEIVER: [60, 62, 61], "no_query_residual": [50, 51, 52], "perceiver_8": [61] * 3}
    )
    text = report.page(report.read_results(tmp_path))
    row = next(line for line in text.splitlines() if line.startswith("| small | query residual | 3 | 10.0 (7.5"))
    assert row.endswith("| 5.0 (3.8 to 6.2) |"), "accuracy of held-out orders"
    assert "| small | 32 latents against 8 | 3 | 0.0 (-2.5 to 2.5) |" in text


def test_what_was_not_measured_is_left_blank(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62], "perceiver_8": [61, 61]})
    for file in tmp_path.glob("cells/small/perceiver_8/*/cell.json"):
        cell = json.loads(file.read_text())
        del cell["held_out"]["order_accuracy"]
        file.write_text(json.dumps(cell))
    text = report.page(report.read_results(tmp_path))
    assert "| 50.0 |  | 1.250 |" in text
    row = next(line for line in text.splitlines() if line.startswith("| small | 32 latents against 8 |"))
    assert row.endswith("|  |")


def test_a_difference_leaves_out_seeds_that_one_side_lacks(
    report: ModuleType, plan: ModuleType, tmp_path: Path
) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62, 10], plan.TRANSFORMER: [59, 61]})
    found = report.read_results(tmp_path).difference("small", plan.PERCEIVER, plan.TRANSFORMER)
    assert found.over_seeds.value == pytest.approx(0.01)
    assert found.over_games.value == pytest.approx(0.01)
    assert found.over_seeds.high - found.over_seeds.low == pytest.approx(0)


def test_a_difference_on_the_tuned_map_is_widened_for_all_that_was_tried(
    report: ModuleType, plan: ModuleType, comparison: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    sure = comparison("statistics")
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62, 61], plan.TRANSFORMER: [60, 61, 62]})
    text = report.page(report.read_results(tmp_path))
    assert sure.difference_over_seeds([0.6, 0.62, 0.61], [0.6, 0.61, 0.62]).low > -0.03
    wide = sure.difference_over_seeds([0.6, 0.62, 0.61], [0.6, 0.61, 0.62], 1 - 0.05 / 7)
    row = next(line for line in text.splitlines() if "perceiver_32 minus transformer, small" in line)
    assert f"{wide.percent()} over seeds, widened for 7 looks" in row
    assert row.endswith("| **open**: the interval reaches above -2, and below |")


def test_a_verdict_that_falls_when_widened_tells_both(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62, 61, 60], plan.TRANSFORMER: [59, 60, 61, 60]})
    text = report.page(report.read_results(tmp_path))
    row = next(line for line in text.splitlines() if "perceiver_32 minus transformer, small" in line)
    assert "| **not worse**: all of the interval lies above -2; **open** where it is widened |" in row


def test_a_training_that_froze_is_told_with_what_the_difference_is_without_it(
    report: ModuleType, plan: ModuleType, tmp_path: Path
) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62, 61], plan.TRANSFORMER: [59, 1, 60], "cosformer": [2, 60]})
    text = " ".join(report.page(report.read_results(tmp_path)).split())
    assert "Next to nothing was won by transformer from seed 2 (1.0 %), cosformer from seed 1 (2.0 %)." in text
    assert "perceiver_32 minus transformer without those seeds: 1.0 (1.0 to 1.0) points over seeds." in text
    shutil.rmtree(tmp_path / "cells")
    write_cells(tmp_path, {plan.PERCEIVER: [60, 62], plan.TRANSFORMER: [59, 61]}, plan)
    assert "Next to nothing" not in report.page(report.read_results(tmp_path))


def test_what_waits_for_its_games_is_told(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62]})
    for seed, accuracy in ((1, 0.75), (3, 0.85)):
        folder = tmp_path / "cells" / plan.Cell(map="small", variant="deep_sets", seed=seed).path
        folder.mkdir(parents=True)
        held_out = {"accuracy": accuracy, "order_accuracy": accuracy / 2, "cross_entropy": 0.5}
        training = {"held_out": held_out, "training_seconds": 1.0}
        (folder / "training.json").write_text(json.dumps(training))
    text = report.page(report.read_results(tmp_path))
    assert "| deep_sets | 2 |  |  |  | 80.0 | 40.0 | 0.500 |" in text
    assert "Trained, but no games played yet: deep_sets." in text
    assert "deep_sets on small" not in text
    shutil.rmtree(tmp_path / "cells" / "small" / plan.PERCEIVER)
    assert "| deep_sets | 2 |  |  |  | 80.0 | 40.0 | 0.500 |" in report.page(report.read_results(tmp_path))


def test_the_page_says_how_it_was_run(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60, 62], plan.TRANSFORMER: [59, 61], "cosformer": [60]})
    file = tmp_path / "cells" / plan.Cell(map="small", variant="cosformer", seed=1).path / "cell.json"
    elsewhere = {"learnt_on": "H200", "machine": {"processor": "slide rule"}}
    file.write_text(json.dumps({**json.loads(file.read_text()), **elsewhere}))
    text = report.page(report.read_results(tmp_path))
    command = "python benchmarks/paper_comparison.py --output comparison --games 100 --passes 5 --maps small --variants"
    assert f"{command} perceiver_32 transformer --seeds 1 2\n{command} cosformer --seeds 1\n" in text
    assert "Costs were measured on abacus, 2 cores" in text
    text = " ".join(text.split())
    assert "2.0 minutes in the mean, on abacus (4 of them) and slide rule (1 of them)." in text
    assert "A GPU learnt in 1 of these trainings on H200" in text


def test_a_tiny_run_is_repeated_as_one(report: ModuleType, plan: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, plan, {plan.PERCEIVER: [60]})
    file = tmp_path / "plan.json"
    budget = dataclasses.replace(plan.TINY, passes=3, opponents=("CoacAI", "LightRush")).to_dict()
    file.write_text(json.dumps({**json.loads(file.read_text()), "budget": budget}))
    text = report.page(report.read_results(tmp_path))
    assert "--output comparison --tiny --passes 3 --maps small --variants perceiver_32 --seeds 1\n" in text


def test_without_a_run_there_is_no_page(report: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no plan\.json: run paper_comparison\.py"):
        report.read_results(tmp_path)
