"""The pieces of a run of the comparison, each written once and kept: recordings, costs, trainings with evaluations."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from common import machine_info, write_json
from paper_comparison_costs import (
    acting_step,
    agent_costs,
    encoder_flops,
    in_process_of_its_own,
    length_statistics,
    steps_per_second,
)
from paper_comparison_plan import MAPS, VARIANTS, Budget, Cell
from paper_comparison_results import (
    CELL_FILE,
    CELLS,
    COSTS,
    GAMES_FILE,
    LISTS,
    RECORDINGS,
    SPEED,
    TRAINING_FILE,
    WEIGHTS_FILE,
    recording_of,
)

from agent import Agent
from training.config import EvaluationConfig
from training.contestants import AgentContestant
from training.demonstration_choice import Choice, ChosenGame, choose_games, repeated_games
from training.demonstration_streams import DemonstrationBatch, DemonstrationStreams
from training.demonstrations import Demonstrations
from training.environment_config import MicroRTSConfig
from training.evaluation import Contestant, MatchBatch, both_sides, match_results, plan_matches
from training.imitation import ImitationLearner
from training.imitation_config import ImitationConfig
from training.learner_config import LearnerConfig
from training.record_command import RecordOptions, record

NOT_BEGUN = "not begun: the minutes are over"
_ACTING_GAMES = 32
_STEPS_INTO_GAMES = 300
_COST_SECONDS = 60.0
_FEWEST_WINS = 4


def record_map(directory: Path, game_map: str, budget: Budget, *, lists_only: bool = False) -> None:
    """Record the games of a map that are not there yet, for trainings or only for the lengths of their lists."""
    output = directory / (LISTS if lists_only else RECORDINGS) / game_map
    record(
        RecordOptions(
            players=budget.players,
            output=output,
            map_path=MAPS[game_map].path,
            games=budget.recorded_games_for_lists if lists_only else budget.games_on(game_map),
            max_steps=budget.max_steps,
            random_orders=budget.random_orders,
            games_per_shard=MAPS[game_map].games_per_shard,
            resume=output.exists(),
        )
    )


class Lessons:
    """What every variant is taught from a map's recording, alike for equal seeds."""

    def __init__(self, recording: Path, game_map: str, budget: Budget) -> None:
        self.demonstrations = Demonstrations(recording)
        self.spec, self.budget = self.demonstrations.manifest.spec, budget
        wins = sum(game.outcome > 0 for game in self.demonstrations.player_games)
        self.config = ImitationConfig(
            data=str(self.demonstrations.directory),
            # The games of a tiny run end before they are won.
            outcome_weights=(1.0, 0.0, 0.0) if wins >= _FEWEST_WINS else (1.0, 1.0, 1.0),
            passes=budget.passes_on(game_map),
            streams=budget.streams,
            unroll_length=budget.unroll_length,
        )
        repeats = repeated_games(self.demonstrations)
        self.choice: Choice = choose_games(self.demonstrations.player_games, self.config, values=False, repeats=repeats)

    def training(self, seed: int) -> DemonstrationStreams:
        """Return all passes of a training."""
        return self._streams(self.choice.train, self.config.passes, seed)

    def held_out(self) -> DemonstrationStreams:
        """Return the games that are measured on."""
        return self._streams(self.choice.held_out, 1, None)

    def typical_batch(self, **sizes: int) -> DemonstrationBatch:
        """Return a batch from amid the games, to measure costs on: in their first steps there are few units."""
        streams = self._streams(self.choice.train, 1, seed=0, **sizes)
        unroll_length = sizes.get("unroll_length", self.budget.unroll_length)
        for batch in itertools.islice(batches(streams), 1 + _STEPS_INTO_GAMES // unroll_length):
            typical = batch
        return typical

    def _streams(
        self, games: tuple[ChosenGame, ...], passes: int, seed: int | None, **sizes: int
    ) -> DemonstrationStreams:
        return DemonstrationStreams(
            self.demonstrations,
            games,
            **{"num_streams": self.budget.streams, "unroll_length": self.budget.unroll_length, **sizes},
            reward_weights=np.ones(len(self.spec.reward_terms)),
            discounts=(1.0,),
            passes=passes,
            seed=seed,
        )

    def learner(self, variant: str, seed: int, device: str = "cpu") -> ImitationLearner:
        """Return a new agent of that variant with what trains it; as in the paper, only the policy is taught."""
        torch.manual_seed(seed)
        config = LearnerConfig(
            learning_rate=self.budget.learning_rate,
            final_learning_rate=self.budget.final_learning_rate,
            max_grad_norm=5.0,
            value_cost=0.0,
            discounts=(1.0,),
        )
        agent = Agent(self.spec, VARIANTS[variant])
        return ImitationLearner(agent, config, num_streams=self.budget.streams, device=device)


def batches(streams: DemonstrationStreams) -> Iterator[DemonstrationBatch]:
    """Yield all batches of streams."""
    while (batch := streams.next()) is not None:
        yield batch


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
        """Train and evaluate, and return a line about it."""
        del context
        if time.time() >= self.deadline:
            return NOT_BEGUN
        return run_cell(self.directory, self.cell, self.budget, self.device)


def run_cell(directory: Path, cell: Cell, budget: Budget, device: str = "cpu") -> str:
    """Train and evaluate what was not done before, and return a line about it."""
    folder = directory / CELLS / cell.path
    if (folder / CELL_FILE).exists():
        return "done before"
    torch.set_num_threads(1)
    lessons = Lessons(directory / RECORDINGS / cell.map, cell.map, budget)
    if not (folder / TRAINING_FILE).exists():
        _write_training(folder, lessons, cell, device)
    training = json.loads((folder / TRAINING_FILE).read_text(encoding="utf-8"))
    agent = Agent(lessons.spec, VARIANTS[cell.variant])
    agent.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS_FILE))
    contestants = {cell.variant: AgentContestant(agent)}
    matches = plan_games(cell, budget, contestants)
    played = play(matches, contestants, folder / GAMES_FILE)
    results = both_sides(match_results(matches, [np.asarray(outcomes) for outcomes in played["outcomes"]]))
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
    # Copied, because safetensors refuses tensors that share memory.
    weights = {name: value.detach().cpu().clone() for name, value in learner.agent.state_dict().items()}
    safetensors.torch.save_file(weights, folder / WEIGHTS_FILE)
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
    return {name: value for name, value in figures.items() if name.startswith(("accuracy", "cross_entropy/"))}


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
    """Play the matches that the file does not hold yet, and return what it holds then: all outcomes and the time."""
    played: dict[str, Any] = {"outcomes": [], "seconds": 0.0, "core_seconds": 0.0}
    if file.exists():
        played = json.loads(file.read_text(encoding="utf-8"))
    for match in matches[len(played["outcomes"]) :]:
        begin, work = time.monotonic(), time.process_time()
        played["outcomes"].append(match.run(contestants).tolist())
        played["seconds"] += time.monotonic() - begin
        played["core_seconds"] += time.process_time() - work
        write_json(file, played)
    return played


def measure_costs(directory: Path, game_map: str, budget: Budget) -> None:
    """Write the lists' lengths of a map and what each variant costs on them, unless that was done.

    Where nothing is ever trained, that is the encoder's operations alone.
    """
    file = directory / COSTS / f"{game_map}.json"
    if file.exists():
        return
    torch.set_num_threads(1)
    lessons = Lessons(recording_of(directory, game_map), game_map, budget)
    lengths = [lessons.demonstrations.read(game.index).observations.entity_counts for game in lessons.choice.train]
    found = length_statistics(lengths)
    variants = {
        name: {"encoder_flops": float(encoder_flops(config, round(found["mean"])))} for name, config in VARIANTS.items()
    }
    if MAPS[game_map].trained:
        for name, measured in _measured(directory, lessons, game_map).items():
            variants[name].update(measured)
    write_json(file, {"lengths": found, "variants": variants, "machine": machine_info()})


def _measured(directory: Path, lessons: Lessons, game_map: str) -> dict[str, dict[str, float]]:
    batch = lessons.typical_batch()
    learners = {name: lessons.learner(name, seed=0) for name in VARIANTS}
    training = {name: partial(learner.update, batch) for name, learner in learners.items()}
    seen = lessons.typical_batch(num_streams=_ACTING_GAMES, unroll_length=1).observations
    acting = {name: acting_step(lessons.spec, config, seen) for name, config in VARIANTS.items()}
    seconds = _COST_SECONDS if lessons.budget.recorded_games > 2 else 0.0
    training_speeds = steps_per_second(training, size=batch.num_steps, seconds=seconds)
    acting_speeds = steps_per_second(acting, size=len(seen), seconds=seconds)
    return {
        name: {
            **agent_costs(lessons.spec, config, batch.observations),
            SPEED: training_speeds[name],
            "acting_steps_per_second": acting_speeds[name],
            "training_peak_mebibytes": in_process_of_its_own(name, directory, game_map),
        }
        for name, config in VARIANTS.items()
    }
