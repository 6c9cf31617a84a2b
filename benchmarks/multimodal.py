"""Squeezes clips of sound, video and label through one bottleneck, and gets all three back.

python benchmarks/multimodal.py --output multimodal.json

In each generated clip a bright shape flies across a dark frame, the tone rises and falls with its height, and the label
is the kind of shape, which the model is never shown. Writes multimodal.json, and beside it multimodal.png.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from supervised import Run, Schedule, mean_of, read_options, train, write_results
from torch import Tensor, nn

from perceiver_io.queries import random_indices
from perceiver_io.tasks import MultimodalAutoencoder, MultimodalAutoencoderConfig

SCHEDULE = Schedule(steps=1500, batch_size=16, learning_rate=2e-3)
KINDS = ("disc", "square", "diamond", "cross")
FRAMES, SIZE, SAMPLES_PER_FRAME, SAMPLES_PER_PATCH = 8, 16, 64, 16
RADIUS, LOWEST, HIGHEST = 4.0, 1.0, 3.0
AUDIO_QUERIES, VIDEO_QUERIES = 32, 256
AUDIO_WEIGHT, VIDEO_WEIGHT, LABEL_WEIGHT = 2.0, 4.0, 0.2
TEST_CLIPS, TINY_TEST_CLIPS, MEAN_CLIPS = 256, 8, 1024
AUDIO_RANGE, VIDEO_RANGE = 2.0, 1.0


class Clips(NamedTuple):
    """Synchronised sound, video and label."""

    audio: Tensor
    """``[B, samples]``, from -1 to 1."""
    video: Tensor
    """``[B, T, 3, H, W]``, from 0 to 1."""
    labels: Tensor
    """``[B]``, indices of ``KINDS``."""


def draw(count: int, generator: torch.Generator) -> Clips:
    """Return random clips: start, velocity, colour and kind are drawn, and the walls reflect."""
    labels = torch.randint(len(KINDS), (count,), generator=generator)
    start = torch.rand(count, 1, 2, generator=generator)
    velocity = 2.0 * torch.rand(count, 1, 2, generator=generator) - 1.0
    colours = 0.4 + 0.6 * torch.rand(count, 1, 3, 1, 1, generator=generator)
    samples = FRAMES * SAMPLES_PER_FRAME
    path = reflected(start + velocity * torch.linspace(0.0, 1.0, samples).view(1, -1, 1))
    cycles = (LOWEST + (HIGHEST - LOWEST) * (1.0 - path[..., 1])) / SAMPLES_PER_FRAME
    audio = torch.sin(2.0 * math.pi * cycles.cumsum(dim=1))
    centres = RADIUS - 0.5 + (SIZE - 2.0 * RADIUS) * path[:, ::SAMPLES_PER_FRAME]
    return Clips(audio, brightness(centres, labels).unsqueeze(2) * colours, labels)


def reflected(positions: Tensor) -> Tensor:
    """Return positions that bounce at 0 and 1 instead of leaving."""
    return 1.0 - ((positions % 2.0) - 1.0).abs()


def brightness(centres: Tensor, labels: Tensor) -> Tensor:
    """Return ``[B, T, H, W]``: 1 inside the shapes around centres ``[B, T, 2]``, x then y, with soft edges."""
    grid = torch.arange(SIZE, dtype=torch.float32)
    across = (grid.view(1, 1, 1, -1) - centres[..., 0, None, None]).abs()
    down = (grid.view(1, 1, -1, 1) - centres[..., 1, None, None]).abs()
    across, down = torch.broadcast_tensors(across, down)
    bar = torch.maximum(torch.minimum(across, down) - 1.0 + RADIUS, torch.maximum(across, down))
    distances = [torch.hypot(across, down), torch.maximum(across, down) + 0.5, (across + down) / 1.25, bar]
    chosen = torch.stack(distances, dim=1)[torch.arange(len(labels)), labels]
    return (RADIUS - chosen).clamp(0.0, 1.0)


def build() -> MultimodalAutoencoder:
    """Return a small model; 16 latents of 64 channels hold a clip."""
    return MultimodalAutoencoder(
        MultimodalAutoencoderConfig(
            num_frames=FRAMES,
            image_shape=(SIZE, SIZE),
            block_size=4,
            samples_per_frame=SAMPLES_PER_FRAME,
            samples_per_patch=SAMPLES_PER_PATCH,
            num_classes=len(KINDS),
            audio_num_bands=16,
            video_num_bands=8,
            label_query_channels=32,
            output_channels=64,
            num_latents=16,
            latent_channels=64,
            num_self_attention_layers_per_block=3,
            num_self_attention_heads=4,
            latent_init_scale=1.0,
        )
    )


def run(seed: int, schedule: Schedule, test: Clips) -> Run:
    """Return one trained model; new clips at each step, of which it decodes a part."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)

    def loss(model: nn.Module) -> Tensor:
        audio, video, labels = draw(schedule.batch_size, generator)
        counts = model.queries.output_counts
        heard = random_indices(counts["audio"], AUDIO_QUERIES, generator=generator)
        seen = random_indices(counts["video"], VIDEO_QUERIES, generator=generator)
        output = model(audio, video, audio_indices=heard, video_indices=seen)
        return (
            AUDIO_WEIGHT * F.mse_loss(output.audio, model.audio_targets(audio, heard))
            + VIDEO_WEIGHT * F.mse_loss(output.video, model.video_targets(video, seen))
            + LABEL_WEIGHT * F.cross_entropy(output.label_logits, labels)
        )

    def evaluate(model: nn.Module) -> dict[str, float]:
        clips = model.reconstruct(test.audio, test.video)
        return {
            "audio_psnr": psnr(clips.audio, test.audio, AUDIO_RANGE),
            "video_psnr": psnr(clips.video, test.video, VIDEO_RANGE),
            "label_accuracy": (clips.label_logits.argmax(dim=-1) == test.labels).float().mean().item(),
        }

    return train(build(), loss, evaluate, schedule)


def psnr(reconstruction: Tensor, original: Tensor, value_range: float) -> float:
    """Return 10 log10(range² / mean squared error), in decibels."""
    return 10.0 * math.log10(value_range**2 / F.mse_loss(reconstruction, original).item())


def of_the_mean(test: Clips) -> dict[str, float]:
    """Return the figures of giving, for each sample and pixel, the mean of other clips; and of guessing the label."""
    clips = draw(MEAN_CLIPS, torch.Generator().manual_seed(1))
    return {
        "mean_audio_psnr": psnr(clips.audio.mean(dim=0).expand_as(test.audio), test.audio, AUDIO_RANGE),
        "mean_video_psnr": psnr(clips.video.mean(dim=0).expand_as(test.video), test.video, VIDEO_RANGE),
        "chance_accuracy": 1.0 / len(KINDS),
    }


def main() -> None:
    """Train once for each seed and write the results."""
    options = read_options(__doc__, SCHEDULE, seeds=2)
    test = draw(TINY_TEST_CLIPS if options.tiny else TEST_CLIPS, torch.Generator().manual_seed(0))
    runs = [run(seed, options.schedule, test) for seed in range(1, options.seeds + 1)]
    figures = ("audio_psnr", "video_psnr", "label_accuracy")
    model = runs[0].model
    bottleneck = model.config.num_latents * model.config.latent_channels
    results: dict[str, Any] = {
        **{name: mean_of(runs, name) for name in figures},
        **{f"{name}_each": [run.last[name] for run in runs] for name in figures},
        **of_the_mean(test),
        "compression": (test.audio[0].numel() + test.video[0].numel()) / bottleneck,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    print("audio {audio_psnr:.1f} dB, the mean {mean_audio_psnr:.1f} dB".format_map(results))
    print("video {video_psnr:.1f} dB, the mean {mean_video_psnr:.1f} dB".format_map(results))
    print(f"labels {100 * results['label_accuracy']:.0f} % right, by chance {100 * results['chance_accuracy']:.0f} %")
    panels = {"audio_psnr": "audio PSNR, dB", "video_psnr": "video PSNR, dB", "label_accuracy": "label accuracy"}
    write_results(options, results, {"Perceiver IO": runs}, panels)


if __name__ == "__main__":
    main()
