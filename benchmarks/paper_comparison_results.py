"""The files that a run of the comparison leaves, read and summed up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import write_json
from paper_comparison_plan import MAPS, PERCEIVER, VARIANTS, Budget, Cell
from paper_comparison_statistics import (
    Estimate,
    difference_of_games,
    difference_over_seeds,
    mean_over_seeds,
    mean_win_rate,
    pooled,
)

from training.statistics import WinRate

PLAN_FILE, CELL_FILE = "plan.json", "cell.json"
TRAINING_FILE, WEIGHTS_FILE = "training.json", "weights.safetensors"
CELLS, COSTS, RECORDINGS, LISTS = "cells", "costs", "recordings", "recordings_for_lists"
SPEED = "training_steps_per_second"
"""Of a variant's costs, there where more than the encoder's operations was measured."""


@dataclass(frozen=True)
class Trained:
    """A variant on a map: what its seeds gave, in the order of the seeds."""

    seeds: tuple[int, ...]
    rates: dict[str, list[WinRate]]
    """Of each opponent, one win rate for each seed."""
    held_out: dict[str, list[float]]
    """Figures on held-out games, one for each seed."""
    seconds: list[float]
    learnt_on: list[str]
    """Device of each training."""

    @property
    def means(self) -> list[float]:
        """Mean win rate over the opponents, of each seed."""
        return [mean_win_rate([rates[index] for rates in self.rates.values()]) for index in range(len(self.seeds))]

    def of_seeds(self, seeds: Sequence[int]) -> Trained:
        """Return what some of the seeds gave."""
        kept = [self.seeds.index(seed) for seed in seeds]
        return Trained(
            seeds=tuple(seeds),
            rates={name: [rates[index] for index in kept] for name, rates in self.rates.items()},
            held_out={name: [figures[index] for index in kept] for name, figures in self.held_out.items()},
            seconds=[self.seconds[index] for index in kept],
            learnt_on=[self.learnt_on[index] for index in kept],
        )

    @property
    def mean(self) -> Estimate:
        """Mean win rate over opponents and seeds."""
        return mean_over_seeds(self.means)

    def against(self, opponent: str) -> WinRate:
        """Return the games of all seeds against an opponent."""
        return pooled(self.rates[opponent])

    @property
    def all_rates(self) -> list[WinRate]:
        """Win rates of all opponents and seeds."""
        return [rate for rates in self.rates.values() for rate in rates]


@dataclass(frozen=True)
class Results:
    """All that a run has finished so far."""

    plan: dict[str, Any]
    costs: dict[str, dict[str, Any]]
    """By map."""
    trained: dict[str, dict[str, Trained]]
    """By map and variant, in the order of `VARIANTS`."""

    @property
    def tuned(self) -> tuple[int, int]:
        """Heads of Perceiver IO's cross-attention and width of its MLPs; plans without agents are of runs with one."""
        perceiver = self.plan.get("agents", {}).get(PERCEIVER, {})
        return perceiver.get("num_cross_attention_heads", 1), perceiver.get("widening_factor", 1)

    def pair(self, game_map: str, first: str, second: str) -> tuple[Trained, Trained] | None:
        """Return what the seeds that both variants were trained from gave; None without such seeds."""
        sides = [self.trained.get(game_map, {}).get(name) for name in (first, second)]
        if sides[0] is None or sides[1] is None:
            return None
        seeds = [seed for seed in sides[0].seeds if seed in sides[1].seeds]
        return (sides[0].of_seeds(seeds), sides[1].of_seeds(seeds)) if seeds else None

    def difference(self, game_map: str, first: str, second: str) -> tuple[Estimate, Estimate] | None:
        """Return the difference of mean win rates over seeds, and that of these very agents over games; or None."""
        pair = self.pair(game_map, first, second)
        return None if pair is None else differences(*pair)


def differences(first: Trained, second: Trained) -> tuple[Estimate, Estimate]:
    """Return the difference of mean win rates over the seeds, which both have, and of these very agents over games."""
    return difference_over_seeds(first.means, second.means), difference_of_games(first.all_rates, second.all_rates)


def open_run(
    directory: Path, budget: Budget, maps: Sequence[str], seeds: Sequence[int], facts: Mapping[str, Any]
) -> None:
    """Begin a run, or go on with the one in the directory, perhaps with more maps and seeds.

    Raises:
        ValueError: if that one has another budget or other agents: its trainings could not be compared with new ones.
    """
    file = directory / PLAN_FILE
    agents = {name: asdict(config) for name, config in VARIANTS.items()}
    wanted = {"budget": budget.to_dict(), "agents": agents, "maps": [], "seeds": [], **facts}
    plan = json.loads(file.read_text(encoding="utf-8")) if file.exists() else wanted
    begun = _settled(plan)
    for name, value in _settled(wanted).items():
        if begun.get(name) != value:
            raise ValueError(
                f"{directory} was begun with {name} {begun.get(name)}, expected {value}: choose another folder"
            )
    plan["maps"] = [name for name in MAPS if name in (*plan["maps"], *maps)]
    plan["seeds"] = sorted({*plan["seeds"], *seeds})
    write_json(file, plan)


def _settled(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that may not change within a run, by name."""
    agents = plan.get("agents", {})
    return {
        **plan["budget"],
        **{f"{variant}.{name}": value for variant, config in agents.items() for name, value in config.items()},
    }


def recording_of(directory: Path, game_map: str) -> Path:
    """Return the recording of a map that costs are measured on: that of the trainings, if there is one."""
    recording = directory / RECORDINGS / game_map
    return recording if recording.exists() else directory / LISTS / game_map


def read_results(directory: Path) -> Results:
    """Return what is in a run's directory.

    Raises:
        FileNotFoundError: if no comparison was begun there.
    """
    plan_file = directory / PLAN_FILE
    if not plan_file.exists():
        raise FileNotFoundError(f"{directory} has no {PLAN_FILE}: run paper_comparison.py --output {directory} first")
    plan = json.loads(plan_file.read_text(encoding="utf-8"))
    costs = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((directory / COSTS).glob("*.json"))
    }
    trained: dict[str, dict[str, Trained]] = {}
    for game_map in plan["maps"]:
        for variant in VARIANTS:
            cells = _cells(directory, game_map, variant, plan["seeds"])
            if cells:
                trained.setdefault(game_map, {})[variant] = trained_of(cells)
    return Results(plan, {name: costs[name] for name in MAPS if name in costs}, trained)


def _cells(directory: Path, game_map: str, variant: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    paths = [directory / CELLS / Cell(map=game_map, variant=variant, seed=seed).path / CELL_FILE for seed in seeds]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def trained_of(cells: Sequence[dict[str, Any]]) -> Trained:
    """Return the cells of one variant on one map, put together."""
    rates: dict[str, list[WinRate]] = {}
    for cell in cells:
        for row in cell["evaluation"]:
            counts = {name: row[name] for name in ("games", "wins", "draws", "losses")}
            rates.setdefault(row["opponent"], []).append(WinRate(**counts))
    names = list(cells[0]["held_out"])
    return Trained(
        seeds=tuple(cell["seed"] for cell in cells),
        rates=rates,
        held_out={name: [cell["held_out"][name] for cell in cells] for name in names},
        seconds=[cell["training_seconds"] + cell["evaluation_seconds"] for cell in cells],
        learnt_on=[cell.get("learnt_on", "cpu") for cell in cells],
    )
