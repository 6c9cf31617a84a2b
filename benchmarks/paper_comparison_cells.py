"""The trainings of the comparison with their games, each done once and kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from common import machine_info, write_json
from paper_comparison_lessons import Lessons, batches
from paper_comparison_plan import MAPS, VARIANTS, Budget, Cell
from paper_comparison_results import (
    CELL_FILE,
    GAMES_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    cell_folder,
    recording_of,
)

from agent import Agent
from envs.errors import GameCrashedError, GameStartError
from envs.files import replace_durably
from training.config import EvaluationConfig
from training.contestants import AgentContestant
from training.environment_config import MicroRTSConfig
from training.evaluation import Contestant, MatchBatch, both_sides, match_results, plan_matches
from training.imitation import ImitationLearner

NOT_BEGUN = "not begun: the minutes are over"
FAILED = "failed: "


@dataclass(frozen=True, kw_only=True)
class CellJob:
    """A cell for a process of its own: one thread learns, then plays."""

    directory: Path
    cell: Cell
    budget: Budget
    deadline: float
    """Time after which it is not begun."""
    device: str = "cpu"
    """What learns."""

    def run(self, context: None) -> str:
        """Train and evaluate, and return a line about it; one that fails leaves the others alone."""
        del context
        finished = cell_folder(self.directory, self.cell) / CELL_FILE
        if time.time() >= self.deadline and not finished.exists():
            return NOT_BEGUN
        try:
            return run_cell(self.directory, self.cell, self.budget, self.device)
        except GameStartError:
            raise
        except (FloatingPointError, GameCrashedError) as error:
            return f"{FAILED}{error}"


def run_cell(directory: Path, cell: Cell, budget: Budget, device: str = "cpu") -> str:
    """Train and evaluate what was not done before, and return a line about it."""
    folder = cell_folder(directory, cell)
    if (folder / CELL_FILE).exists():
        return "done before"
    torch.set_num_threads(1)
    lessons = Lessons(recording_of(directory, cell.map), cell.map, budget)
    if not (folder / TRAINING_FILE).exists():
        _write_training(folder, lessons, cell, device)
    training = json.loads((folder / TRAINING_FILE).read_text(encoding="utf-8"))
    agent = Agent(lessons.spec, VARIANTS[cell.variant])
    agent.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS_FILE))
    contestants = {cell.variant: AgentContestant(agent)}
    matches = plan_games(cell, budget, contestants)
    played = play(matches, contestants, folder / GAMES_FILE)
    results = both_sides(match_results(matches, [np.asarray(games) for games in played["games"]]))
    rows = [result.to_row() for result in results]
    result = {
        **asdict(cell),
        **training,
        "evaluation": rows,
        "evaluation_seconds": played["seconds"],
        "core_seconds": training["core_seconds"] + played["core_seconds"],
        "machine": machine_info(),
    }
    write_json(folder / CELL_FILE, result)
    mean = np.mean([row["win_rate"] for row in rows])
    return f"{100 * training['held_out']['accuracy']:.1f} % accuracy, {100 * mean:.1f} % of games won"


def _write_training(folder: Path, lessons: Lessons, cell: Cell, device: str) -> None:
    """Train an agent and write its weights, then its figures: where those are, a training is finished."""
    begin, work = time.monotonic(), time.process_time()
    learner = train(lessons, cell, device)
    streams = lessons.held_out()
    figures = learner.evaluate(batches(streams), streams.num_streams)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GAMES_FILE).unlink(missing_ok=True)  # of other weights
    # Copied, because safetensors refuses tensors that share memory.
    weights = {name: value.detach().cpu().clone() for name, value in learner.agent.state_dict().items()}
    replace_durably(folder / WEIGHTS_FILE, safetensors.torch.save(weights))
    training = {
        "updates": learner.num_updates,
        "held_out": {"cross_entropy": figures["policy_loss"], **_shared(figures)},
        "training_seconds": time.monotonic() - begin,
        "core_seconds": time.process_time() - work,
        "learnt_on": device_name(device),
    }
    write_json(folder / TRAINING_FILE, training)


def device_name(device: str) -> str:
    """Return what a device is called, for a reader."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device


def _shared(figures: dict[str, float]) -> dict[str, float]:
    return {
        name: value
        for name, value in figures.items()
        if name.startswith(("accuracy", "order_accuracy", "cross_entropy/"))
    }


def train(lessons: Lessons, cell: Cell, device: str = "cpu") -> ImitationLearner:
    """Return the learner at the end of all passes: no variant stops earlier than another."""
    learner = lessons.learner(cell.variant, cell.seed, device)
    all_steps = lessons.config.passes * lessons.choice.num_train_steps
    steps = 0
    for batch in batches(lessons.training(cell.seed)):
        learner.update(batch, progress=steps / all_steps)
        steps += batch.num_steps
    return learner


def plan_games(cell: Cell, budget: Budget, contestants: Mapping[str, Contestant]) -> list[MatchBatch]:
    """Return the matches of a cell: all variants of a seed meet the same games."""
    games = budget.evaluation_games_on(cell.map)
    config = EvaluationConfig(opponents=budget.opponents, games=games, max_steps=budget.max_steps)
    return plan_matches(MicroRTSConfig(map_path=MAPS[cell.map].path), config, contestants, seed=cell.seed)


def play(matches: Sequence[MatchBatch], contestants: Mapping[str, Contestant], file: Path) -> dict[str, Any]:
    """Play the matches that the file does not hold yet, and return what it holds then: all games and the time.

    Raises:
        GameCrashedError: if the game or an AI fails.
    """
    played: dict[str, Any] = {"games": [], "seconds": 0.0, "core_seconds": 0.0}
    if file.exists():
        played = json.loads(file.read_text(encoding="utf-8"))
    for match in matches[len(played["games"]) :]:
        begin, work = time.monotonic(), time.process_time()
        played["games"].append(contestants[match.contestant].play(match).tolist())
        played["seconds"] += time.monotonic() - begin
        played["core_seconds"] += time.process_time() - work
        write_json(file, played)
    return played
