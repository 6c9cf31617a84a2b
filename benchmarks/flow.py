"""Learns optical flow from photographs that are warped by flows known exactly.

python benchmarks/flow.py --output flow.json

The photographs come with scikit-image; those that test are not trained on. The first frame of a pair shows, at each
pixel, what the second shows where a smooth random flow points. Writes flow.json, and beside it flow.png with curves.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from skimage import data
from supervised import Run, Schedule, mean_of, read_options, train, write_results
from torch import Tensor, nn

from perceiver_io.tasks import OpticalFlow, OpticalFlowConfig

TRAINING = ("astronaut", "coffee", "rocket", "immunohistochemistry", "brick", "grass", "gravel")
HELD_OUT = ("chelsea", "stereo_motorcycle")
SCHEDULE = Schedule(steps=1500, batch_size=32, learning_rate=2e-3)
SIZE, LARGE_SHAPE = 16, (40, 56)
LARGEST_FLOW, OWN_SHARE, CONTROL_POINTS = 2.0, 0.3, 3
LEAST_CONTRAST = 0.02
TEST_PAIRS, TINY_TEST_PAIRS, LARGE_PAIRS = 128, 4, 16
MIN_OVERLAP = 6


def read_photographs(names: Sequence[str]) -> list[Tensor]:
    """Return photographs ``[3, H, W]`` of half their size, colours from -1 to 1."""
    photographs = []
    for name in names:
        image = getattr(data, name)()
        image = torch.tensor(image[0] if isinstance(image, tuple) else image, dtype=torch.float32) / 127.5 - 1.0
        colours = image.permute(2, 0, 1) if image.dim() == 3 else image.expand(3, -1, -1)
        photographs.append(F.avg_pool2d(colours, 2))
    return photographs


def smooth_flows(count: int, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Return flows ``[count, 2, H, W]`` in pixels, x then y, no component above ``LARGEST_FLOW``.

    Each is the bilinear surface between vectors at the points of a coarse grid, which are drawn around one that they
    share.
    """
    common = 2.0 * torch.rand(count, 2, 1, 1, generator=generator) - 1.0
    own = 2.0 * torch.rand(count, 2, CONTROL_POINTS, CONTROL_POINTS, generator=generator) - 1.0
    points = LARGEST_FLOW * ((1.0 - OWN_SHARE) * common + OWN_SHARE * own)
    return F.interpolate(points, size=shape, mode="bilinear", align_corners=True)


def warp(frames: Tensor, flows: Tensor) -> Tensor:
    """Return ``[B, 3, H, W]``: at each pixel, what frames ``[B, 3, H, W]`` show where flows ``[B, 2, H, W]`` point."""
    height, width = frames.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([columns, rows]) + flows
    normalised = 2.0 * places / torch.tensor([width - 1, height - 1]).view(2, 1, 1) - 1.0
    return F.grid_sample(frames, normalised.permute(0, 2, 3, 1), mode="bilinear", align_corners=True)


def draw(
    photographs: Sequence[Tensor], count: int, shape: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return pairs of frames ``[count, 2, 3, H, W]`` from random places, and flows ``[count, 2, H, W]`` in pixels."""
    margin = int(LARGEST_FLOW) + 1
    height, width = (size + 2 * margin for size in shape)
    crops = []
    for _ in range(count):
        photograph = photographs[int(torch.randint(len(photographs), (), generator=generator))]
        top, left = (
            int(torch.randint(size - crop + 1, (), generator=generator))
            for size, crop in zip(photograph.shape[1:], (height, width), strict=True)
        )
        crops.append(photograph[:, top : top + height, left : left + width])
    second = torch.stack(crops)
    flows = smooth_flows(count, (height, width), generator)
    pairs = torch.stack([warp(second, flows), second], dim=1)
    inside = (..., slice(margin, -margin), slice(margin, -margin))
    return with_unit_contrast(pairs[inside]), flows[inside]


def with_unit_contrast(pairs: Tensor) -> Tensor:
    """Return pairs of frames ``[B, 2, 3, H, W]`` shifted and scaled to mean 0 and, unless flat, deviation 1."""
    mean = pairs.mean(dim=(1, 2, 3, 4), keepdim=True)
    return (pairs - mean) / pairs.std(dim=(1, 2, 3, 4), keepdim=True).clamp(min=LEAST_CONTRAST)


def end_point_error(flows: Tensor, targets: Tensor) -> float:
    """Return the mean length of the difference of flows ``[B, 2, H, W]``, in pixels."""
    return torch.linalg.vector_norm(flows - targets, dim=1).mean().item()


def build() -> OpticalFlow:
    """Return a small model of small frames; a flow of 1 stands for the largest component."""
    return OpticalFlow(
        OpticalFlowConfig(
            image_shape=(SIZE, SIZE),
            feature_channels=64,
            num_bands=4,
            rescale_factor=1.0,
            flow_scale=LARGEST_FLOW,
            num_latents=32,
            latent_channels=96,
            num_self_attention_layers_per_block=3,
            num_self_attention_heads=4,
            latent_init_scale=1.0,
        )
    )


def run(seed: int, schedule: Schedule, photographs: Sequence[Tensor], test: tuple[Tensor, Tensor]) -> Run:
    """Return one trained model; a new warp of a new place at each step."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)

    def loss(model: nn.Module) -> Tensor:
        frames, flows = draw(photographs, schedule.batch_size, (SIZE, SIZE), generator)
        return torch.linalg.vector_norm(model(frames) - flows / LARGEST_FLOW, dim=1).mean()

    def evaluate(model: nn.Module) -> dict[str, float]:
        return {"held_out_end_point_error": end_point_error(LARGEST_FLOW * model(test[0]), test[1])}

    return train(build(), loss, evaluate, schedule)


def on_large_frames(runs: Sequence[Run], test: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Return the error on frames larger than those trained on, which `predict` cuts and stitches."""
    frames, flows = test
    predicted = [run.model.predict(frames, min_overlap=MIN_OVERLAP, crops_per_pass=16) for run in runs]
    mean = statistics.mean(end_point_error(of_run, flows) for of_run in predicted)
    zero = end_point_error(torch.zeros_like(flows), flows)
    return {"shape": list(LARGE_SHAPE), "end_point_error": mean, "zero_end_point_error": zero, "ratio": mean / zero}


def main() -> None:
    """Train once for each seed and write the results."""
    options = read_options(__doc__, SCHEDULE, seeds=2)
    training, held_out = read_photographs(TRAINING), read_photographs(HELD_OUT)
    generator = torch.Generator().manual_seed(0)
    test = draw(held_out, TINY_TEST_PAIRS if options.tiny else TEST_PAIRS, (SIZE, SIZE), generator)
    large = draw(held_out, 1 if options.tiny else LARGE_PAIRS, LARGE_SHAPE, generator)
    runs = [run(seed, options.schedule, training, test) for seed in range(1, options.seeds + 1)]
    error, zero = mean_of(runs, "held_out_end_point_error"), end_point_error(torch.zeros_like(test[1]), test[1])
    results = {
        "end_point_error": error,
        "end_point_error_each": [run.last["held_out_end_point_error"] for run in runs],
        "zero_end_point_error": zero,
        "ratio_to_zero": error / zero,
        "large_frames": on_large_frames(runs, large),
        "parameters": sum(parameter.numel() for parameter in runs[0].model.parameters()),
        "photographs": {"training": TRAINING, "held_out": HELD_OUT},
    }
    print(f"end-point error {error:.3f} px, predicting zero {zero:.3f} px")
    print(
        "larger frames: {end_point_error:.3f} px, predicting zero {zero_end_point_error:.3f} px".format_map(
            results["large_frames"]
        )
    )
    panels = {"held_out_end_point_error": "held-out end-point error, px", "loss": "training loss"}
    write_results(options, results, {"Perceiver IO": runs}, panels, packages=["scikit-image"])


if __name__ == "__main__":
    main()
