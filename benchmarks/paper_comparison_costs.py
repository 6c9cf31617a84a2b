"""What each variant of the comparison costs: parameters, operations, speed, memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from agent_parts import TORSO_ANSWERS, flops_by_part
from flops import count_flops
from timing import interleaved, medians
from torch import Tensor, nn

from agent import Agent, AgentConfig, AgentInput, AgentSpec, PackedObservation
from agent.torso import Torso, make_torso

BACKGROUND_TOKENS = 2
"""Tokens beside the units in µRTS: all scalars are one, the walls another."""


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
    """Return the number of the torso's parameters."""
    return sum(parameter.numel() for parameter in _Embedder(config).parameters())


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
