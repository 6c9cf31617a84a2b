"""Measures our torso against those that others would use: parameters, FLOPs, time, memory.

python benchmarks/torso.py --output torso.json

Writes torso.json, and beside it torso.md (a table) and torso.png (plots). Peers that are not installed are left out;
benchmarks/README.md says how to bring them in.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import machine_info, versions, write_json
from flops import count_flops
from timing import Times, ratio
from torch import nn
from torso_grid import GRID_BATCH, SIZES, by_size, fits, growth_exponent, timed
from torso_memory import layers_that_fit, peak_mebibytes
from torso_peers import NESTED, OURS, PERCEIVERS, TORSOS, TRANSFORMER, OfPerceiverIO, build_all
from torso_place import Place, forward, training_step
from torso_report import write_plots, write_table

from perceiver_io import EntityTorso, EntityTorsoConfig

MEMORY_SIZES = (512, 2048, 8192)
BATCH, ENTITIES = 32, 512
MEMORY_ENTITIES = 2048
# Large tensors would otherwise be given back to the system and page-faulted anew at each call, whoever makes them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "2147483648", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
PAPER = "paper's configuration"


def costs(torsos: dict[str, nn.Module], place: Place) -> dict[str, Any]:
    """Return parameters, and FLOPs by number of entities, of each torso and of the paper's configuration."""
    paper = place.module(OfPerceiverIO(EntityTorso(EntityTorsoConfig()).eval()))
    return {
        name: {
            "parameters": sum(parameter.numel() for parameter in torso.parameters()),
            "flops": {
                size: count_flops(torso, *place.lists(1, size, quarter=False)) for size in SIZES if fits(name, size)
            },
        }
        for name, torso in {**torsos, PAPER: paper}.items()
    }


def against(times: Times, names: Iterable[str]) -> float | None:
    """Return how many times longer than ours the fastest of those takes; None where none of them is there."""
    ratios = [ratio(times, name, OURS) for name in names if name in times]
    return min(ratios) if ratios else None


def measure(seconds: float, place: Place) -> dict[str, Any]:
    """Return all figures but those of memory."""
    torsos, missing = build_all()
    acting = {name: place.module(torso) for name, torso in torsos.items()}
    torsos, _ = build_all(training=True)
    learning = {name: place.module(torso) for name, torso in torsos.items() if name != NESTED}  # it is for inference
    shape = {"batch": BATCH, "entities": ENTITIES}
    dense = timed(acting, forward, seconds, place, **shape, quarter=False)
    quarter = timed(acting, forward, seconds, place, **shape, quarter=True)
    dense_training = timed(learning, training_step, 2 * seconds, place, **shape, quarter=False)
    quarter_training = timed(learning, training_step, 2 * seconds, place, **shape, quarter=True)
    cost = costs(acting, place)
    grids = {
        f"{filled}_{kind}": by_size(torsos, make, seconds / 4, place, quarter=filled == "quarter_full")
        for kind, torsos, make in (("forward", acting, forward), ("training", learning, training_step))
        for filled in ("dense", "quarter_full")
    }
    peak = place.peak_flops()
    return {
        "ratios": {
            "dense_forward_vs_fastest_perceiver": against(dense, PERCEIVERS),
            "dense_training_vs_fastest_perceiver": against(dense_training, PERCEIVERS),
            "quarter_full_vs_fastest_perceiver": against(quarter, PERCEIVERS),
            "quarter_full_vs_transformer_encoder": against(quarter, [TRANSFORMER]),
            "quarter_full_vs_nested_transformer": against(quarter, [NESTED]),
            "quarter_full_training_vs_fastest_perceiver": against(quarter_training, PERCEIVERS),
            "flops_vs_alphastar_transformer": cost[PAPER]["flops"][ENTITIES] / cost[TRANSFORMER]["flops"][ENTITIES],
            "growth_exponent": growth_exponent(grids["dense_forward"], OURS, first=ENTITIES),
        },
        "cost": cost,
        "seconds": {
            "dense_forward": dense,
            "quarter_full_forward": quarter,
            "dense_training": dense_training,
            "quarter_full_training": quarter_training,
        },
        "seconds_by_entities": grids,
        "peak_flops": peak,
        "share_of_peak": {
            name: cost[name]["flops"][ENTITIES] * BATCH / median(times) / peak for name, times in dense.items()
        },
        "left_out": missing,
    }


def measure_memory(names: Iterable[str], place: Place) -> dict[str, Any]:
    """Return the peak memory of each torso by number of entities, and the depth that fits into a transformer's."""
    peaks = {
        name: {size: peak_mebibytes(name, size, place=place) for size in MEMORY_SIZES if fits(name, size)}
        for name in names
    }
    return {
        "peak_mebibytes": peaks,
        "depth_in_memory": layers_that_fit(MEMORY_ENTITIES, transformer_layers=4, place=place),
    }


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
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of weights and entities")
    parser.add_argument("--no-memory", action="store_true", help="leave out what runs in processes of its own")
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    torch.set_num_threads(options.threads)
    place = Place(device=options.device, dtype=options.dtype)
    settings = {"batch": BATCH, "entities": ENTITIES, "grid_batch": GRID_BATCH, "threads": options.threads}
    about = {"settings": {**settings, **place.describe()}, "machine": machine_info(), "versions": versions()}
    results = {**measure(options.seconds, place), **about}
    write(results, options.output)  # what comes next may fail for want of memory
    if not options.no_memory:
        results |= measure_memory(sorted(results["cost"].keys() & TORSOS.keys()), place)
        results["ratios"]["layers_in_memory_of_4"] = results["depth_in_memory"]["layers"]
        write(results, options.output)
    for name, value in results["ratios"].items():
        print(f"{name:<45} {'no peer here' if value is None else f'{value:.2f}'}")
    for name, reason in results["left_out"].items():
        print(f"{name} is left out: {reason}")


if __name__ == "__main__":
    main()
