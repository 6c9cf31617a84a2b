"""What each variant of the comparison costs: parameters, operations, speed, memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from agent_parts import TORSO_ANSWERS, flops_by_part
from common import machine_info, write_json
from flops import count_flops
from paper_comparison_lessons import Lessons
from paper_comparison_plan import MAPS, VARIANTS, Budget
from paper_comparison_results import COSTS, SPEED, recording_of
from timing import interleaved, medians
from torch import Tensor, nn

from agent import Agent, AgentConfig, AgentInput, AgentSpec, PackedObservation
from agent.torso import BaselineTorso, Torso, make_torso

BACKGROUND_TOKENS = 2
"""Tokens beside the units in µRTS: all scalars are one, the walls another."""
_ACTING_GAMES = 32
_COST_SECONDS = 60.0


class _Embedder(nn.Module):
    """What AlphaStar's entity encoder does: units in, an embedding of each out."""

    def __init__(self, config: AgentConfig) -> None:
        super().__init__()
        self.torso: Torso = make_torso(config)  # type: ignore[assignment]
        self.answers_by_queries = config.torso == "perceiver"

    def forward(self, tokens: Tensor, queries: Tensor) -> Tensor:
        token_mask, query_mask = (torch.ones(rows.shape[:2], dtype=torch.bool) for rows in (tokens, queries))
        memory = self.torso.encode(tokens, token_mask)
        if not self.answers_by_queries:
            return memory
        index = torch.arange(queries.shape[1])[None]
        return self.torso.decode(memory, token_mask, queries, query_mask, index)


def encoder_flops(config: AgentConfig, num_units: int) -> int:
    """Return the operations that give each of a list's units its embedding, multiplications and additions apart.

    As the paper counts: Perceiver IO reads the list and answers a query for each unit; the others' outputs are the
    embeddings. All tokens of the agent are read, the two of the background too. In bfloat16 no linear maps are folded
    into each other, which would save Perceiver IO and Set Transformer some more in float32 on a CPU.
    """
    model = _Embedder(config).to(torch.bfloat16)
    tokens = torch.zeros(1, num_units + BACKGROUND_TOKENS, config.channels, dtype=torch.bfloat16)
    return count_flops(model, tokens, tokens[:, :num_units])


def encoder_parameters(config: AgentConfig) -> int:
    """Return the number of parameters of what `encoder_flops` counts."""
    torso = make_torso(config)
    encoder = torso.baseline if isinstance(torso, BaselineTorso) else torso
    return sum(parameter.numel() for parameter in encoder.parameters())


def agent_costs(spec: AgentSpec, config: AgentConfig, observations: PackedObservation) -> dict[str, float]:
    """Return parameters of the agent, and operations for each observation of a forward pass of the learner.

    Args:
        spec: the game.
        config: the variant.
        observations: N recorded observations with the actions taken.
    """
    agent = Agent(spec, config)
    inputs, action = AgentInput.from_packed(observations), torch.as_tensor(observations.decision["action"])
    is_first = torch.ones(len(observations), 1, dtype=torch.bool)
    costs = flops_by_part(agent, lambda: agent.unroll(inputs, agent.initial_state(len(is_first)), is_first, action))
    torso = costs.get("torso: reading", 0.0) + costs.get(TORSO_ANSWERS, 0.0)
    return {
        "parameters": float(sum(parameter.numel() for parameter in agent.parameters())),
        "encoder_parameters": float(encoder_parameters(config)),
        "flops": sum(costs.values()) / len(observations),
        "torso_flops": torso / len(observations),
    }


def acting_step(spec: AgentSpec, config: AgentConfig, observations: PackedObservation) -> Callable[[], object]:
    """Return a function that lets an agent act on N observations at once, as games are stepped together."""
    agent = Agent(spec, config).eval()
    is_first = torch.ones(len(observations), dtype=torch.bool)

    @torch.inference_mode()
    def act() -> object:
        return agent.step(AgentInput.from_packed(observations), agent.initial_state(len(is_first)), is_first)

    return act


def steps_per_second(steps: Mapping[str, Callable[[], object]], *, size: int, seconds: float) -> dict[str, float]:
    """Return how many observations each function takes in a second of one core, each of `size` at a call.

    They are measured side by side, by the time that our own work takes, so that other work hardly matters.
    """
    times = interleaved(steps, seconds=seconds, least_rounds=5, most_rounds=200, clock=time.process_time)
    return {name: size / time for name, time in medians(times).items()}


def length_statistics(counts: Sequence[np.ndarray[Any, Any]]) -> dict[str, float]:
    """Return mean, median, 90th percentile and largest of list lengths."""
    lengths = np.concatenate(counts)
    return {
        "mean": float(lengths.mean()),
        "median": float(np.median(lengths)),
        "percentile_90": float(np.percentile(lengths, 90)),
        "largest": float(lengths.max()),
    }


def in_process_of_its_own(variant: str, directory: Path, game_map: str) -> float:
    """Return how many MiB a training step of a variant takes at most, beyond weights, optimiser and data."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("paper_comparison_memory.py")),
        variant,
        str(directory),
        game_map,
    ]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(finished.stdout.splitlines()[-1])


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
