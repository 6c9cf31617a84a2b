"""Measures our torso against those that others would use: parameters, FLOPs, time, memory.

python benchmarks/torso.py --output torso.json

Writes torso.json, and beside it torso.md (a table) and torso.png (plots). Peers that are not installed are left out;
benchmarks/README.md says how to bring them in.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from common import machine_info, versions, write_json
from flops import count_flops
from timing import Times, interleaved, medians, ratio
from torch import Tensor, nn
from torso_memory import layers_that_fit, peak_mebibytes
from torso_peers import CHANNELS, NESTED, OURS, PERCEIVERS, TORSOS, TRANSFORMER, OfPerceiverIO, build_all
from torso_report import write_plots, write_table

from perceiver_io import EntityTorso, EntityTorsoConfig

SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
BATCH, ENTITIES = 32, 512
GRID_BATCH = 4
LARGEST_QUADRATIC = 4096
MEMORY_ENTITIES = 2048
# Large tensors would otherwise be given back to the system and page-faulted anew at each call, whoever makes them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "2147483648", "MALLOC_TRIM_THRESHOLD_": "8589934592"}


def lists(batch: int, entities: int, *, quarter: bool) -> tuple[Tensor, Tensor]:
    """Return entities and mask: full lists, or of all lengths up to half the slots, a quarter of them in the mean."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.full((batch,), entities)
    if quarter:
        lengths = torch.linspace(1, entities // 2 - 1, batch).round().long()[torch.randperm(batch, generator=generator)]
    mask = torch.arange(entities) < lengths[:, None]
    return torch.randn(batch, entities, CHANNELS, generator=generator), mask


def forward(torso: nn.Module, entities: Tensor, mask: Tensor) -> Callable[[], object]:
    """Return a call of the torso without gradients."""

    def call() -> object:
        with torch.inference_mode():
            return torso(entities, mask)

    return call


def training_step(torso: nn.Module, entities: Tensor, mask: Tensor) -> Callable[[], object]:
    """Return a forward and backward pass."""

    def call() -> object:
        torso.zero_grad(set_to_none=True)
        embeddings, pooled = torso(entities, mask)
        (embeddings.square().mean() + pooled.square().mean()).backward()
        return None

    return call


def flops(torso: nn.Module, entities: int) -> int:
    """Return the operations of one full list."""
    return count_flops(torso, *lists(1, entities, quarter=False))


def costs(torsos: dict[str, nn.Module]) -> dict[str, Any]:
    """Return parameters, and FLOPs by number of entities, of each torso and of the paper's configuration."""
    result: dict[str, Any] = {}
    paper = OfPerceiverIO(EntityTorso(EntityTorsoConfig()).eval())
    for name, torso in {**torsos, "paper's configuration": paper}.items():
        sizes = [size for size in SIZES if size <= LARGEST_QUADRATIC or name not in (TRANSFORMER, NESTED)]
        result[name] = {
            "parameters": sum(parameter.numel() for parameter in torso.parameters()),
            "flops": {size: flops(torso, size) for size in sizes},
        }
    return result


def timed(
    torsos: dict[str, nn.Module], make: Callable[..., Callable[[], object]], seconds: float, **shape: Any
) -> Times:
    """Return the times of all torsos on the same lists."""
    entities, mask = lists(**shape)
    return interleaved({name: make(torso, entities, mask) for name, torso in torsos.items()}, seconds=seconds)


def by_size(torsos: dict[str, nn.Module], seconds: float) -> dict[int, dict[str, float]]:
    """Return median forward seconds of a batch by number of entities; quadratic ones stop before memory does."""
    grid = {}
    for size in SIZES:
        fitting = {
            name: torso
            for name, torso in torsos.items()
            if size <= LARGEST_QUADRATIC or name not in (TRANSFORMER, NESTED)
        }
        grid[size] = medians(timed(fitting, forward, seconds, batch=GRID_BATCH, entities=size, quarter=False))
    return grid


def growth_exponent(grid: dict[int, dict[str, float]], name: str = OURS) -> float:
    """Return the slope of log time over log entities from 512 entities on, by least squares."""
    points = [(math.log(size), math.log(times[name])) for size, times in grid.items() if size >= ENTITIES]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def against(times: Times, names: Iterable[str]) -> float | None:
    """Return how many times longer than ours the fastest of those takes; None where none of them is there."""
    ratios = [ratio(times, name, OURS) for name in names if name in times]
    return min(ratios) if ratios else None


def measure(seconds: float) -> dict[str, Any]:
    """Return all figures but those of memory."""
    acting, missing = build_all()
    learning, _ = build_all(training=True)
    learning.pop(NESTED)  # its fast path is for inference
    shape = {"batch": BATCH, "entities": ENTITIES}
    dense = timed(acting, forward, seconds, **shape, quarter=False)
    quarter = timed(acting, forward, seconds, **shape, quarter=True)
    dense_training = timed(learning, training_step, 2 * seconds, **shape, quarter=False)
    quarter_training = timed(learning, training_step, 2 * seconds, **shape, quarter=True)
    cost = costs(acting)
    grid = by_size(acting, seconds / 3)
    return {
        "ratios": {
            "dense_forward_vs_fastest_perceiver": against(dense, PERCEIVERS),
            "dense_training_vs_fastest_perceiver": against(dense_training, PERCEIVERS),
            "quarter_full_vs_fastest_perceiver": against(quarter, PERCEIVERS),
            "quarter_full_vs_transformer_encoder": against(quarter, [TRANSFORMER]),
            "quarter_full_vs_nested_transformer": against(quarter, [NESTED]),
            "quarter_full_training_vs_fastest_perceiver": against(quarter_training, PERCEIVERS),
            "flops_vs_alphastar_transformer": cost["paper's configuration"]["flops"][ENTITIES]
            / cost[TRANSFORMER]["flops"][ENTITIES],
            "growth_exponent": growth_exponent(grid),
            "layers_in_memory_of_4": None,
        },
        "cost": cost,
        "seconds": {
            "dense_forward": dense,
            "quarter_full_forward": quarter,
            "dense_training": dense_training,
            "quarter_full_training": quarter_training,
            "dense_forward_by_entities": grid,
        },
        "peak_mebibytes": {},
        "depth_in_memory": None,
        "left_out": missing,
    }


def measure_memory(results: dict[str, Any]) -> None:
    """Fill in the peak memory of each torso, and the depth that fits into that of a transformer."""
    for name in results["cost"].keys() & TORSOS.keys():
        results["peak_mebibytes"][name] = peak_mebibytes(name, ENTITIES)
    results["depth_in_memory"] = layers_that_fit(MEMORY_ENTITIES, transformer_layers=4)
    results["ratios"]["layers_in_memory_of_4"] = results["depth_in_memory"]["layers"]


def write(results: dict[str, Any], output: Path) -> None:
    """Write JSON, table and plots."""
    write_json(output, results)
    write_table(results, output.with_suffix(".md"))
    write_plots(results, output.with_suffix(".png"))


def main() -> None:
    """Measure and write JSON, table and plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for each comparison")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of torch")
    parser.add_argument("--no-memory", action="store_true", help="leave out what runs in processes of its own")
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    torch.set_num_threads(options.threads)
    settings = {"batch": BATCH, "entities": ENTITIES, "grid_batch": GRID_BATCH, "threads": options.threads}
    about = {"settings": settings, "machine": machine_info(), "versions": versions()}
    results = {**measure(options.seconds), **about}
    write(results, options.output)  # what comes next may fail for want of memory
    if not options.no_memory:
        measure_memory(results)
        write(results, options.output)
    for name, value in results["ratios"].items():
        print(f"{name:<45} {'not measured' if value is None else f'{value:.2f}'}")
    for name, reason in results["left_out"].items():
        print(f"{name} is left out: {reason}")


if __name__ == "__main__":
    main()
