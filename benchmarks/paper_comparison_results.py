"""The files that a run of the comparison leaves, read and summed up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from common import write_json
from paper_comparison_plan import LOOKS, MAPS, VARIANTS, Budget, Cell
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
TRAINING_FILE, WEIGHTS_FILE, GAMES_FILE = "training.json", "weights.safetensors", "played.json"
CELLS, COSTS, RECORDINGS, LISTS = "cells", "costs", "recordings", "recordings_for_lists"
ALMOST_NEVER = 0.05
"""Of a win rate: it tells nothing of a variant that is below it, or above what is left to 1."""
SPEED = "training_steps_per_second"
"""Of a variant's costs, there where more than the encoder's operations was measured."""


@dataclass(frozen=True)
class Trained:
    """A variant on a map: what its seeds gave, in the order of the seeds."""

    seeds: tuple[int, ...]
    rates: dict[str, list[WinRate]]
    """Of each opponent, one win rate for each seed."""
    held_out: list[dict[str, float]]
    """Figures on held-out games, of each seed."""
    seconds: list[float]
    learnt_on: list[str]
    """Device of each training."""
    processors: list[str]
    """What each seed's games were played on, and learnt on where that was no GPU."""

    @property
    def means(self) -> list[float]:
        """Mean win rate over the opponents, of each seed."""
        return self.means_against(list(self.rates))

    def means_against(self, opponents: Sequence[str]) -> list[float]:
        """Return the mean win rate over some of the opponents, of each seed."""
        return [mean_win_rate([self.rates[name][index] for name in opponents]) for index in range(len(self.seeds))]

    def of_seeds(self, seeds: Sequence[int]) -> Trained:
        """Return what some of the seeds gave."""
        kept = [self.seeds.index(seed) for seed in seeds]
        return Trained(
            seeds=tuple(seeds),
            rates={name: [rates[index] for index in kept] for name, rates in self.rates.items()},
            held_out=[self.held_out[index] for index in kept],
            seconds=[self.seconds[index] for index in kept],
            learnt_on=[self.learnt_on[index] for index in kept],
            processors=[self.processors[index] for index in kept],
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


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of mean win rates."""

    over_seeds: Estimate
    over_games: Estimate
    """Of these very agents."""
    widened: Estimate | None = None
    """Over seeds, so wide that the best of all looks at results passes no oftener than one."""
    looks: int = 1
    telling: tuple[str, ...] = ()
    """Opponents against whom variants differ, where that are some of them."""
    over_telling: Estimate | None = None
    """The difference over these opponents alone, over seeds."""


@dataclass(frozen=True)
class Results:
    """All that a run has finished so far."""

    plan: dict[str, Any]
    costs: dict[str, dict[str, Any]]
    """By map."""
    trained: dict[str, dict[str, Trained]]
    """By map and variant, in the order of `VARIANTS`."""
    waiting: dict[str, dict[str, list[dict[str, float]]]]
    """Figures on held-out games of the trainings of a map and variant, where no games were played yet."""

    def pair(self, game_map: str, first: str, second: str) -> tuple[Trained, Trained] | None:
        """Return what the seeds that both variants were trained from gave; None without such seeds."""
        sides = [self.trained.get(game_map, {}).get(name) for name in (first, second)]
        if sides[0] is None or sides[1] is None:
            return None
        seeds = [seed for seed in sides[0].seeds if seed in sides[1].seeds]
        return (sides[0].of_seeds(seeds), sides[1].of_seeds(seeds)) if seeds else None

    def difference(self, game_map: str, first: str, second: str) -> Difference | None:
        """Return the difference of mean win rates, widened where several were looked at; None where there is none."""
        pair = self.pair(game_map, first, second)
        if pair is None:
            return None
        found = difference_of(*pair)
        telling_nothing = decided(self.trained[game_map])
        telling = tuple(name for name in pair[0].rates if name not in telling_nothing)
        if 0 < len(telling) < len(pair[0].rates):
            against = (side.means_against(telling) for side in pair)
            found = replace(found, telling=telling, over_telling=difference_over_seeds(*against))
        looks = len(LOOKS.get(game_map, ())) or 1
        if looks == 1:
            return found
        means = (side.means for side in pair)
        return replace(found, looks=looks, widened=difference_over_seeds(*means, confidence=1 - 0.05 / looks))


def decided(trained: Mapping[str, Trained]) -> list[str]:
    """Return which opponents tell nothing, as all variants on a map win almost always or almost never."""
    names = next(iter(trained.values())).rates
    rates = {name: [each.against(name).win_rate for each in trained.values()] for name in names}
    return [name for name, of in rates.items() if max(of) < ALMOST_NEVER or min(of) > 1 - ALMOST_NEVER]


def difference_of(first: Trained, second: Trained) -> Difference:
    """Return the difference between variants that were trained from the same seeds."""
    return Difference(
        over_seeds=difference_over_seeds(first.means, second.means),
        over_games=difference_of_games(first.all_rates, second.all_rates),
    )


def open_run(
    directory: Path, budget: Budget, maps: Sequence[str], seeds: Sequence[int], facts: Mapping[str, Any]
) -> None:
    """Begin a run, or go on with the one in the directory, perhaps with more maps and seeds.

    Raises:
        ValueError: if that one has another budget, other agents or other settings of a map: its trainings could not be
            compared with new ones.
    """
    file = directory / PLAN_FILE
    agents = {name: asdict(config) for name, config in VARIANTS.items()}
    settings = {name: asdict(game_map) for name, game_map in MAPS.items()}
    wanted = {"budget": budget.to_dict(), "agents": agents, "settings": settings, "maps": [], "seeds": [], **facts}
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
    named = {**plan.get("agents", {}), **plan.get("settings", {})}
    return {
        **plan["budget"],
        **{f"{whose}.{name}": value for whose, values in named.items() for name, value in values.items()},
    }


def recording_of(directory: Path, game_map: str) -> Path:
    """Return where the recording of a map is."""
    return directory / (RECORDINGS if MAPS[game_map].trained else LISTS) / game_map


def cell_folder(directory: Path, cell: Cell) -> Path:
    """Return where a training and its games are."""
    return directory / CELLS / cell.path


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
    waiting: dict[str, dict[str, list[dict[str, float]]]] = {}
    for game_map in plan["maps"]:
        for variant in VARIANTS:
            cells = [Cell(map=game_map, variant=variant, seed=seed) for seed in plan["seeds"]]
            folders = [cell_folder(directory, cell) for cell in cells]
            if finished := _read(folders, CELL_FILE):
                trained.setdefault(game_map, {})[variant] = trained_of(finished)
            elif trainings := _read(folders, TRAINING_FILE):
                waiting.setdefault(game_map, {})[variant] = [training["held_out"] for training in trainings]
    return Results(plan, {name: costs[name] for name in MAPS if name in costs}, trained, waiting)


def _read(folders: Sequence[Path], name: str) -> list[dict[str, Any]]:
    files = [folder / name for folder in folders]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def trained_of(cells: Sequence[dict[str, Any]]) -> Trained:
    """Return the cells of one variant on one map, put together."""
    rates: dict[str, list[WinRate]] = {}
    for cell in cells:
        for row in cell["evaluation"]:
            counts = {name: row[name] for name in ("games", "wins", "draws", "losses")}
            rates.setdefault(row["opponent"], []).append(WinRate(**counts))
    return Trained(
        seeds=tuple(cell["seed"] for cell in cells),
        rates=rates,
        held_out=[cell["held_out"] for cell in cells],
        seconds=[cell["training_seconds"] + cell["evaluation_seconds"] for cell in cells],
        learnt_on=[cell.get("learnt_on", "cpu") for cell in cells],
        processors=[cell["machine"]["processor"] for cell in cells],
    )
