"""What an agent of AlphaStar's size costs on StarCraft II's observations and actions: to learn and to act, a step each.

python benchmarks/agent_size.py --output agent_size.json

Observations are made up (`starcraft2_shapes.py`) and the game takes no part. Beside the JSON it writes a table (.md).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from agent_parts import PART_OF, PARTS, flops_by_part, seconds_by_part
from common import machine_info, versions, write_json
from peak_memory import peak_mebibytes
from starcraft2_shapes import REWARD_TERMS, game_spec, observations, trajectory

from agent import Agent, AgentConfig, AgentInput
from agent.config import Size
from agent.interface import pack_observation
from perceiver_io import EntityTorsoKind
from training.learner import Learner
from training.learner_config import LearnerConfig

TORSOS = ("perceiver", "transformer")
LEARNER = LearnerConfig(
    policy_loss="policy_gradient", num_epochs=1, num_minibatches=1, upgo_cost=1.0, discounts=(1.0,), trace_decay=0.8
)


def measure(config: AgentConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one agent, measured in this process."""
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    agent = Agent(game_spec(), config)
    state_shape = tuple(agent.initial_state(1).shape[1:])
    learner = Learner(agent, LEARNER, device=options.device)
    learner.update([trajectory(agent.spec, 1, 2, state_shape)])  # libraries set themselves up at their first call
    batch = trajectory(agent.spec, options.batch, options.unroll, state_shape)
    peak = peak_mebibytes(lambda: learner.update([batch]), options.device)
    steps = [_timed(lambda: learner.update([batch]), options.device) for _ in range(options.rounds)]
    inputs = AgentInput.from_packed(batch.observations, options.device)
    arguments = [
        torch.as_tensor(array, device=options.device)
        for array in (batch.initial_state, batch.is_first, batch.observations.decision["action"])
    ]

    def forward() -> object:
        return agent.unroll(inputs, *arguments)

    flops, seconds = flops_by_part(agent, forward), seconds_by_part(agent, forward)
    acting = _acting(agent.cpu(), options.acting_steps)
    return {
        "parameters": sum(parameter.numel() for parameter in agent.parameters()),
        "observations": len(batch.observations),
        "entities_mean": float(batch.observations.entity_counts.mean()),
        "selected_mean": _mean_selected(batch.observations.decision["action"], agent),
        "step_seconds": [wall for wall, _ in steps],
        "step_cpu_seconds": [cpu for _, cpu in steps],
        "step_peak_mebibytes": peak,
        "forward_flops": flops,
        "forward_seconds": seconds,
        "acting_seconds": [wall for wall, _ in acting],
        "acting_cpu_seconds": [cpu for _, cpu in acting],
    }


def _mean_selected(action: np.ndarray[Any, Any], agent: Agent) -> float:
    assert agent.spec.action.function_call is not None
    counts = (action[:, 6:] < agent.spec.action.function_call.max_entities).sum(1)
    return float(counts[counts > 0].mean())


def _timed(function: Callable[[], object], device: str) -> tuple[float, float]:
    """Return the seconds that passed, and those that the processors worked for us."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def _acting(agent: Agent, steps: int) -> list[tuple[float, float]]:
    """Return the seconds, and those of the processor, of acting steps on single observations, by one thread.

    Packing the observation is included.
    """
    torch.set_num_threads(1)
    seen = observations(steps + 2, np.random.default_rng(1))
    is_first = torch.zeros(1, dtype=torch.bool)

    @torch.inference_mode()
    def step(n: int) -> None:
        packed = pack_observation({key: value[n : n + 1] for key, value in seen.items()}, agent.spec)
        agent.step(AgentInput.from_packed(packed), agent.initial_state(1), is_first)

    return [_timed(lambda n=n: step(n), "cpu") for n in range(steps + 2)][2:]  # type: ignore[misc]


def table(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    """Return the figures as Markdown."""
    names = list(results)
    lines = [
        f"Agent of size `{options.size}` on StarCraft II's spaces, {options.threads} threads, {options.device}: a "
        f"learner step of {options.batch} unrolls of {options.unroll} steps (and their last observations).",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]

    def row(title: str, cell: Callable[[dict[str, Any]], str]) -> None:
        lines.append(f"| {title} | " + " | ".join(cell(results[name]) for name in names) + " |")

    row("parameters, millions", lambda r: f"{r['parameters'] / 1e6:.1f}")
    row(
        "entities of an observation, units of a selection",
        lambda r: f"{r['entities_mean']:.0f}, {r['selected_mean']:.0f}",
    )
    row("learner step, s", lambda r: f"{statistics.median(r['step_seconds']):.1f}")
    row("learner step, CPU s", lambda r: f"{statistics.median(r['step_cpu_seconds']):.1f}")
    row("learner step, peak GiB", lambda r: f"{r['step_peak_mebibytes'] / 1024:.2f}")
    row("acting step on one observation, ms", lambda r: f"{1000 * statistics.median(r['acting_seconds']):.0f}")
    row("acting step on one observation, CPU ms", lambda r: f"{1000 * statistics.median(r['acting_cpu_seconds']):.0f}")
    row("forward pass, GFLOP for each observation", lambda r: f"{_per_observation(r, r['forward_flops']):.3f}")
    for part in PARTS:
        row(f"**{part}**: GFLOP, share of forward time", lambda r, part=part: _costs(r, _within(r, part)))  # type: ignore[misc]
        for name in [name for name, of in PART_OF.items() if of == part != name]:
            row(f"&emsp;{name}", lambda r, name=name: _costs(r, [name]))  # type: ignore[misc]
    return "\n".join(lines) + "\n"


def _within(result: dict[str, Any], part: str) -> list[str]:
    return [name for name in result["forward_flops"] if PART_OF[name] == part]


def _per_observation(result: dict[str, Any], flops: dict[str, float]) -> float:
    return sum(flops.values()) / result["observations"] / 1e9


def _costs(result: dict[str, Any], names: list[str]) -> str:
    flops, seconds = result["forward_flops"], result["forward_seconds"]
    share = sum(seconds.get(name, 0.0) for name in names) / sum(seconds.values())
    return f"{_per_observation(result, {name: flops.get(name, 0.0) for name in names}):.3f}, {share:.0%}"


def _in_process_of_its_own(torso: str, arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, __file__, *arguments, "--one", torso]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure each torso in a process of its own; write JSON and table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--size", default="full", choices=get_args(Size), help="size of the agent")
    parser.add_argument("--torsos", nargs="+", default=TORSOS, choices=get_args(EntityTorsoKind))
    parser.add_argument("--batch", type=int, default=8, help="unrolls of a learner step")
    parser.add_argument("--unroll", type=int, default=16, help="steps of an unroll")
    parser.add_argument("--rounds", type=int, default=3, help="learner steps that are timed")
    parser.add_argument("--acting-steps", type=int, default=20, help="acting steps that are timed")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of torch")
    parser.add_argument("--device", default="cpu", help="of the learner: cpu or cuda")
    parser.add_argument("--one", choices=get_args(EntityTorsoKind), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        config = dataclasses.replace(AgentConfig.of_size(options.size), torso=options.one)
        print(json.dumps(measure(config, options)))
        return
    results = {torso: _in_process_of_its_own(torso, sys.argv[1:]) for torso in options.torsos}
    settings = {key: value for key, value in vars(options).items() if key not in ("output", "one")}
    about = {"settings": settings, "reward_terms": REWARD_TERMS, "machine": machine_info(), "versions": versions()}
    write_json(options.output, {"torsos": results, **about})
    options.output.with_suffix(".md").write_text(table(results, options), encoding="utf-8")
    print(table(results, options), end="")


if __name__ == "__main__":
    main()
