"""EntityTorso as an ONNX file, for any number of lists and entities.

pip install onnx onnxscript onnxruntime
python examples/export_torso.py torso.onnx
"""

from __future__ import annotations

import sys

import onnxruntime
import torch
from torch import Tensor
from torch.export import Dim

from perceiver_io import EntityTorso, EntityTorsoConfig

INPUTS, OUTPUTS = ["entities", "entity_mask"], ["entity_embeddings", "pooled", "latents"]
TOLERANCE = 1e-4


def random_lists(num_lists: int, num_slots: int) -> tuple[Tensor, Tensor]:
    """Return entities [B, E, C] and their mask [B, E]: lists of any length, the first without an entity."""
    entity_mask = torch.arange(num_slots) < torch.randint(0, num_slots + 1, (num_lists, 1))
    entity_mask[0] = False
    return torch.randn(num_lists, num_slots, 64), entity_mask


def export(torso: EntityTorso, path: str) -> None:
    """Write the torso as an ONNX file: there padding is masked, in shapes that no mask changes, and not left out."""
    lists, slots = Dim("lists", min=1), Dim("slots", min=1)
    program = torch.onnx.export(
        torso.eval(),
        random_lists(2, 16),
        input_names=INPUTS,
        output_names=OUTPUTS,
        dynamic_shapes=({0: lists, 1: slots}, {0: lists, 1: slots}),
        dynamo=True,
    )
    assert program is not None
    program.save(path)


def largest_difference(torso: EntityTorso, path: str, num_lists: int, num_slots: int) -> float:
    """Return the largest difference between what the file and the torso give for random lists of that size."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    arguments = random_lists(num_lists, num_slots)
    outputs = session.run(OUTPUTS, {name: tensor.numpy() for name, tensor in zip(INPUTS, arguments, strict=True)})
    with torch.no_grad():
        expected = torso(*arguments)
    return max(float((torch.from_numpy(a) - b).abs().max()) for a, b in zip(outputs, expected, strict=True))


def main(path: str) -> None:
    """Export a torso and compare the file with it at sizes that it was not traced with."""
    torch.manual_seed(0)
    torso = EntityTorso(EntityTorsoConfig(entity_channels=64))
    export(torso, path)
    for num_lists, num_slots in ((1, 1), (3, 100), (8, 512)):
        difference = largest_difference(torso, path, num_lists, num_slots)
        print(f"{num_lists} x {num_slots} entities: largest difference {difference:.1e}")
        if difference > TOLERANCE:
            sys.exit("the file does not give what the torso gives")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "torso.onnx")
