"""Peak memory of a torso, each measurement in a process of its own.

python benchmarks/torso_memory.py perceiver_star --entities 2048 --training --layers 12
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import peak_memory
import torch
from torch import Tensor, nn
from torso_peers import OURS, TORSOS, TRANSFORMER, ours, transformer
from torso_place import Place

BATCH = 4


def peak_mebibytes(
    name: str, entities: int, *, place: Place, training: bool = False, layers: int | None = None
) -> float:
    """Return how many MiB a pass, or a whole training step with Adam, takes at most beyond what was there before."""
    command = [sys.executable, __file__, name, "--entities", str(entities)]
    command += ["--device", place.device, "--dtype", place.dtype]
    command += ["--training"] if training else []
    command += [] if layers is None else ["--layers", str(layers)]
    # The allocator of the timings keeps what is freed, which would count here.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    finished = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, env=environment)
    return float(json.loads(finished.stdout.splitlines()[-1]))


def layers_that_fit(entities: int, *, transformer_layers: int, place: Place) -> dict[str, Any]:
    """Return how many of our layers train in the memory in which a transformer trains with `transformer_layers`."""
    budget = peak_mebibytes(TRANSFORMER, entities, place=place, training=True, layers=transformer_layers)
    needed = {0: 0.0}
    layers, too_many = 0, None
    while too_many is None or too_many - layers > 1:
        tried = max(1, 2 * layers) if too_many is None else (layers + too_many) // 2
        needed[tried] = peak_mebibytes(OURS, entities, place=place, training=True, layers=tried)
        layers, too_many = (tried, too_many) if needed[tried] <= budget else (layers, tried)
    return {
        "entities": entities,
        "transformer_layers": transformer_layers,
        "transformer_mebibytes": budget,
        "layers": layers,
        "mebibytes": needed[layers],
    }


def _build(name: str, layers: int | None) -> nn.Module:
    sized: dict[str, Callable[[int], nn.Module]] = {OURS: ours, TRANSFORMER: transformer}
    return TORSOS[name]() if layers is None else sized[name](layers)


def _pass(torso: nn.Module, entities: Tensor, mask: Tensor, *, training: bool) -> None:
    """Run a pass, or a training step."""
    torso.zero_grad(set_to_none=True)
    optimiser = torch.optim.Adam(torso.parameters())
    with torch.set_grad_enabled(training):
        embeddings, pooled = torso(entities, mask)
        if training:
            (embeddings.square().mean() + pooled.square().mean()).backward()
            optimiser.step()


def main() -> None:
    """Run one pass and print its peak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(TORSOS))
    parser.add_argument("--entities", type=int, required=True)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    place = Place(options.device, options.dtype)
    torso = place.module(_build(options.name, options.layers).train(options.training))
    # Libraries set themselves up at their first call.
    _pass(torso, *place.lists(1, 8, quarter=False), training=options.training)
    torso.zero_grad(set_to_none=True)
    lists = place.lists(BATCH, options.entities, quarter=False)
    run = peak_memory.peak_mebibytes(lambda: _pass(torso, *lists, training=options.training), options.device)
    print(json.dumps(run))


if __name__ == "__main__":
    main()
