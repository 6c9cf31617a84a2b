"""Pictures of what models cost: parameters, and operations counted by torch."""

from __future__ import annotations

from typing import get_args

import torch
from figure_style import BLUE, COLOURS, GREEN, MUTED, ORANGE, PURPLE, TEXT, new_figure
from matplotlib.figure import Figure
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from perceiver_io import EntityTorsoKind, entity_torso
from perceiver_io.tasks import (
    ImageClassifier,
    ImageClassifierConfig,
    MaskedLanguageModel,
    MaskedLanguageModelConfig,
    MultimodalAutoencoder,
    MultimodalAutoencoderConfig,
    OpticalFlow,
    OpticalFlowConfig,
)

SLOTS = 512
PUBLISHED = {
    "language-perceiver": (MaskedLanguageModel, MaskedLanguageModelConfig.language_perceiver),
    "vision-perceiver-learned": (ImageClassifier, ImageClassifierConfig.learned),
    "vision-perceiver-fourier": (ImageClassifier, ImageClassifierConfig.fourier),
    "vision-perceiver-conv": (ImageClassifier, ImageClassifierConfig.convolutional),
    "optical-flow-perceiver": (OpticalFlow, OpticalFlowConfig.published),
    "multimodal-perceiver": (MultimodalAutoencoder, MultimodalAutoencoderConfig.published),
}
PARTS = {
    "input adapter": (PURPLE, ("inputs.",)),
    "encode": (BLUE, ("encoder.latents", "encoder.cross_attention.")),
    "process": (GREEN, ("encoder.self_attention_layers.",)),
    "queries, decode, outputs": (ORANGE, ("",)),
}


def part_of(name: str) -> str:
    """Return the part of a model that a parameter belongs to."""
    inner = name.removeprefix("perceiver_io.")
    return next(part for part, (_, starts) in PARTS.items() if inner.startswith(starts))


def published_parameters(quick: bool) -> Figure:
    """Return the parameters of the published models, part by part."""
    figure, (axes,) = new_figure(8, 2.9)
    for row, (task, config) in enumerate(PUBLISHED.values()):
        counts = dict.fromkeys(PARTS, 0)
        with torch.device("meta"):
            model = task(config())
        for parameter_name, parameter in model.named_parameters():
            counts[part_of(parameter_name)] += parameter.numel()
        start = 0.0
        for part, count in counts.items():
            axes.barh(row, count / 1e6, left=start, color=PARTS[part][0], label=part if row == 0 else None)
            start += count / 1e6
        axes.text(start + 2, row, f"{start:.1f} M", va="center")
    axes.set(yticks=range(len(PUBLISHED)), yticklabels=list(PUBLISHED), xlabel="million parameters", xlim=(0, 225))
    axes.tick_params(axis="y", colors=TEXT)
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    return figure


def count_flops(torso: nn.Module, num_real: int, num_slots: int) -> int:
    """Return the operations for one list; multiplication and addition count as two."""
    entities, entity_mask = torch.randn(1, num_slots, 256), torch.arange(num_slots)[None] < num_real
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        torso(entities, entity_mask)
    return int(counter.get_total_flops())


def set_models(quick: bool) -> Figure:
    """Return the operations of each kind of torso over the number of entities."""
    sizes = [64, 128] if quick else [64, 128, 256, 512, 1024, 2048, 4096]
    figure, (axes,) = new_figure(8, 3.6)
    for kind, colour in zip(get_args(EntityTorsoKind), COLOURS, strict=True):
        torso = entity_torso(kind).eval()
        counts = [count_flops(torso, size, size) / 1e9 for size in sizes]
        label = f"{kind}: {counts[-1]:.1f} at {sizes[-1]:,}"
        axes.loglog(sizes, counts, marker="o", markersize=4, color=colour, label=label)
    axes.set(xlabel="entities in the list", ylabel="GFLOP, forward")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(visible=True)
    axes.legend(loc="upper left")
    return figure


def padding(quick: bool) -> Figure:
    """Return the operations of a torso over the share of slots that hold an entity."""
    numbers = [128, 512] if quick else [1, *range(32, SLOTS + 1, 32)]
    figure, (axes,) = new_figure(8, 3.0)
    for skip_padding, colour, label in (
        (False, MUTED, "static shapes: compiled, exported, or skip_padding=False"),
        (True, GREEN, "eager: padding is left out"),
    ):
        torso = entity_torso("perceiver", skip_padding=skip_padding).eval()
        counts = [count_flops(torso, number, SLOTS) / 1e9 for number in numbers]
        axes.plot(numbers, counts, color=colour, linewidth=2, label=label)
    axes.set(xlabel=f"entities in a list of {SLOTS} slots", ylabel="GFLOP, forward", xlim=(0, SLOTS))
    axes.set_ylim(bottom=0)
    axes.grid(visible=True)
    axes.legend(loc="lower right")
    return figure
