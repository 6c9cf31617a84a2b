"""Classifies scikit-learn's handwritten digits with three ways to know positions.

python benchmarks/digits.py --output digits.json

Without positions the model sees a bag of grey values; with them it has to find out by itself that they are an image.
Writes digits.json, and beside it digits.png with the curves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from supervised import Run, Schedule, mean_of, read_options, train, write_results
from torch import Tensor, nn

from perceiver_io.inputs import ImagePositions
from perceiver_io.tasks import ImageClassifier, ImageClassifierConfig

POSITIONS: tuple[ImagePositions, ...] = ("fourier", "learned", "none")
SCHEDULE = Schedule(steps=600, batch_size=64, learning_rate=2e-3)
SIZE, NUM_CLASSES, TEST_SHARE = 8, 10, 0.25


class Images(NamedTuple):
    """Images ``[K, 1, 8, 8]`` and their classes ``[K]``."""

    images: Tensor
    labels: Tensor


def read_digits() -> tuple[Images, Images]:
    """Return what to train on, and a quarter of the 1,797 images to test on: the same ones for every seed."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8.0 - 1.0
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, labels = images[order], torch.tensor(digits.target)[order]
    split = int(TEST_SHARE * len(images))
    return Images(images[split:], labels[split:]), Images(images[:split], labels[:split])


def build(positions: ImagePositions) -> ImageClassifier:
    """Return a small classifier: all that differs is how it knows positions."""
    return ImageClassifier(
        ImageClassifierConfig(
            image_shape=(SIZE, SIZE),
            image_channels=1,
            num_classes=NUM_CLASSES,
            features="conv1x1",
            feature_channels=32,
            positions=positions,
            num_bands=4,
            position_channels=32,
            num_latents=16,
            latent_channels=64,
            num_self_attention_layers_per_block=2,
            num_self_attention_heads=4,
            latent_init_scale=1.0,
        )
    )


def loss_on(training: Images, batch_size: int, generator: torch.Generator) -> Callable[[nn.Module], Tensor]:
    """Return the cross-entropy on images drawn anew at each call."""

    def loss(model: nn.Module) -> Tensor:
        chosen = torch.randint(len(training.labels), (batch_size,), generator=generator)
        return F.cross_entropy(model(training.images[chosen]), training.labels[chosen])

    return loss


def accuracy_on(test: Images) -> Callable[[nn.Module], dict[str, float]]:
    """Return a call that gives the share of test images told right, and the cross-entropy."""

    def evaluate(model: nn.Module) -> dict[str, float]:
        logits = model(test.images)
        right = (logits.argmax(dim=-1) == test.labels).float().mean()
        return {"test_accuracy": right.item(), "test_cross_entropy": F.cross_entropy(logits, test.labels).item()}

    return evaluate


def run(positions: ImagePositions, seed: int, schedule: Schedule, training: Images, test: Images) -> Run:
    """Return one trained classifier."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    loss = loss_on(training, schedule.batch_size, generator)
    return train(build(positions), loss, accuracy_on(test), schedule)


def main() -> None:
    """Train each variant once for each seed and write the results."""
    options = read_options(__doc__, SCHEDULE, seeds=3)
    training, test = read_digits()
    runs: dict[str, list[Run]] = {}
    for positions in POSITIONS:
        seeds = range(1, options.seeds + 1)
        runs[positions] = [run(positions, seed, options.schedule, training, test) for seed in seeds]
        print(f"{positions}: {100 * mean_of(runs[positions], 'test_accuracy'):.1f} % of the test images right")
    results = {
        "test_accuracy": {name: mean_of(of_variant, "test_accuracy") for name, of_variant in runs.items()},
        "test_accuracy_each": {
            name: [run.last["test_accuracy"] for run in of_variant] for name, of_variant in runs.items()
        },
        "chance_accuracy": (test.labels == training.labels.mode().values).float().mean().item(),
        "parameters": {
            name: sum(parameter.numel() for parameter in of_variant[0].model.parameters())
            for name, of_variant in runs.items()
        },
        "images": {"training": len(training.labels), "test": len(test.labels)},
    }
    panels = {"test_accuracy": "test accuracy", "loss": "training loss"}
    write_results(options, results, runs, panels, packages=["scikit-learn"])


if __name__ == "__main__":
    main()
