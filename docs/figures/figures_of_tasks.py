"""Pictures of the tasks' inputs and outputs, most from the models of examples/."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from figure_style import (
    BLUE,
    GREEN,
    HEAT,
    MUTED,
    ORANGE,
    PANEL,
    PURPLE,
    RED,
    SIGNED,
    TEXT,
    bare,
    canvas,
    new_figure,
    note,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from perceiver_io import FourierPositions
from perceiver_io.inputs import ImageInputs
from perceiver_io.tasks import ByteTokenizer, ImageClassifierConfig, OpticalFlow, OpticalFlowConfig

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import masked_language_model
import multimodal_autoencoder
import optical_flow

# Of Fourier features with 8 frequencies of 2 dimensions.
CHANNELS = {0: "height", 2: "sine of height,\nlowest", 4: "sine of height,\n3rd of 8", 28: "cosine of width,\n3rd of 8"}


def masked_bytes(quick: bool) -> Figure:
    """Return a text as bytes, some hidden, and what the example's model puts there."""
    model, _ = masked_language_model.train(2 if quick else 150)
    tokenizer = ByteTokenizer()
    token_ids, token_mask = tokenizer.encode_batch(masked_language_model.TEXTS[1:2], length=32)
    hidden = torch.zeros_like(token_mask)
    hidden[0, [6, 7, 14, 15, 16, 23, 24]] = True
    visible = token_ids.masked_fill(hidden, tokenizer.mask_id)
    with torch.no_grad():
        probabilities = model(visible, token_mask).softmax(-1)[0]
    figure, (axes,) = new_figure(9, 1.3)
    canvas(axes, 36, 4.8)
    names = {0: "pad", 3: "mask", 4: "cls", 5: "sep"}
    for slot, (token_id, is_hidden) in enumerate(zip(visible[0].tolist(), hidden[0].tolist(), strict=True)):
        x = 4.0 + slot
        colour = ORANGE if is_hidden else (MUTED if token_id < tokenizer.num_special else BLUE)
        style = ":" if token_id == tokenizer.pad_id else "-"
        axes.add_patch(Rectangle((x - 0.45, 3.3), 0.9, 1.2, facecolor=PANEL, edgecolor=colour, linestyle=style))
        text = names.get(token_id) or tokenizer.decode([token_id])
        axes.text(x, 3.9, text, ha="center", va="center", fontsize=6 if token_id in names else 10)
        note(axes, x, 2.8, str(token_id), fontsize=6)
        if is_hidden:
            probability, best = probabilities[slot].max(dim=-1)
            right = int(best) == int(token_ids[0, slot])
            axes.text(x, 1.6, tokenizer.decode([int(best)]), ha="center", color=GREEN if right else RED, fontsize=11)
            note(axes, x, 0.7, f"{probability:.0%}".rstrip("%"), fontsize=7)
    for y, text in ((3.9, "token_ids"), (2.8, "id"), (1.9, "best byte"), (0.7, "its %")):
        note(axes, 3.2, y, text, ha="right", fontsize=8)
    return figure


def image_positions(quick: bool) -> Figure:
    """Return some Fourier channels of a grid, and the tokens and channels of the three position variants."""
    figure, panels = new_figure(9, 2.4, 5, gridspec_kw={"width_ratios": [1, 1, 1, 1, 2.6]})
    positions = FourierPositions((32, 32), num_bands=8)
    features = positions().T.view(-1, 32, 32)
    for axes, (channel, text) in zip(panels, CHANNELS.items(), strict=False):
        axes.imshow(features[channel].numpy(), cmap=SIGNED, vmin=-1, vmax=1)
        bare(axes, text)
    sizes = []
    for name, config in (
        ("fourier", ImageClassifierConfig.fourier()),
        ("learned", ImageClassifierConfig.learned()),
        ("convolutional", ImageClassifierConfig.convolutional()),
    ):
        inputs = ImageInputs(
            config.image_shape,
            features=config.features,
            feature_channels=config.feature_channels,
            positions=config.positions,
        )
        own = inputs.num_channels - (0 if inputs.positions is None else inputs.positions.num_channels)
        sizes.append((name, inputs.num_tokens, own, inputs.num_channels - own))
    axes = panels[-1]
    for row, (name, tokens, own, position) in enumerate(sizes):
        axes.barh(row, own, height=0.45, color=ORANGE)
        axes.barh(row, position, left=own, height=0.45, color=BLUE)
        axes.text(own + position + 8, row, f"{own} + {position}", va="center")
        axes.text(2, row - 0.42, f"{name}: {tokens:,} tokens", va="center", fontsize=8)
    axes.set(ylim=(2.35, -0.75), xlim=(0, 700), yticks=[], title="channels: features + positions")
    axes.spines["left"].set_visible(False)
    return figure


class _OneCrop(OpticalFlow):
    """Answers 1 for one crop and 0 for the others: what `predict` returns is the weight of that crop."""

    chosen, calls = 0, 0

    def forward(self, frames: Tensor, input_mask: Tensor | None = None) -> Tensor:
        self.calls += 1
        return torch.full((1, 2, *self.config.image_shape), float(self.calls - 1 == self.chosen))


def flow_stitching(quick: bool) -> Figure:
    """Return the weight of each crop of a frame, and a stitched flow beside the true one."""
    config = OpticalFlowConfig(image_shape=(12, 12), num_latents=1, latent_channels=8, flow_scale=1.0)
    shares = []
    for chosen in range(8):
        crop = _OneCrop(config)
        crop.chosen = chosen
        shares.append(crop.predict(torch.zeros(1, 2, 3, 20, 30), min_overlap=4)[0, 0])
    model = optical_flow.train(2 if quick else 400)
    frames, target = optical_flow.moving_textures(1, 20, 30)
    flow = model.predict(frames, min_overlap=4)
    figure, (first, second, third) = new_figure(9, 2.3, 3)
    first.imshow(((frames[0, 0].permute(1, 2, 0) + 1) / 2).numpy())
    bare(first, "frame of 20 × 30 pixels")
    second.imshow(shares[1].numpy(), cmap=HEAT, vmin=0, vmax=1)
    for share in shares:
        rows, columns = share.nonzero().unbind(1)
        corner = (int(columns.min()) - 0.5, int(rows.min()) - 0.5)
        second.add_patch(Rectangle(corner, 12, 12, fill=False, edgecolor=ORANGE, linewidth=0.9))
    bare(second, f"{sum(bool(share.any()) for share in shares)} crops of 12 × 12; weight of one")
    draw_flow(third, flow[0], target[0])
    return figure


def draw_flow(axes: Axes, flow: Tensor, target: Tensor) -> None:
    """Draw a flow [2, H, W] as arrows, every third pixel, over the broad ones of the true flow."""
    rows, columns = torch.meshgrid(torch.arange(1, flow.shape[1], 3), torch.arange(1, flow.shape[2], 3), indexing="ij")
    style = {"angles": "xy", "scale_units": "xy", "scale": 0.45}
    for vectors, colour, width in ((target, MUTED, 0.009), (flow, GREEN, 0.004)):
        arrows = vectors[:, rows, columns].numpy()
        axes.quiver(columns.numpy(), rows.numpy(), *arrows, color=colour, width=width, **style)
    axes.set(xlim=(-1, flow.shape[2]), ylim=(flow.shape[1], -1), aspect="equal")
    error = float((flow - target).norm(dim=0).mean())
    bare(axes, f"stitched flow; mean error {error:.2f} px")


def modalities(quick: bool) -> Figure:
    """Return the tokens of three modalities in common channels, and a clip beside its reconstruction."""
    model = multimodal_autoencoder.train(2 if quick else 300)
    audio, video, labels = multimodal_autoencoder.random_clips(1)
    with torch.no_grad():
        tokens = model.inputs({"audio": audio, "video": video, "label": labels})[0]
    clip = model.reconstruct(audio, video)
    figure, (first, second, third) = new_figure(9, 3.0, 3, gridspec_kw={"width_ratios": [1.5, 1.2, 1.5]})
    first.imshow(tokens.numpy(), cmap=SIGNED, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    bare(first, f"{tokens.shape[0]} tokens × {tokens.shape[1]} channels")
    start = 0
    for name, colour in (("audio", ORANGE), ("video", GREEN), ("label", PURPLE)):
        count, own = model.inputs.token_counts[name], model.inputs.adapters[name].num_channels
        size = (tokens.shape[1] - own, count)
        first.add_patch(Rectangle((own - 0.5, start - 0.5), *size, facecolor="none", edgecolor=colour, linewidth=1.5))
        first.text(-1.5, start + (count - 1) / 2, name, ha="right", va="center", color=colour)
        start += count
    rows = [torch.cat([*frames.permute(0, 2, 3, 1).clamp(0, 1)], dim=1) for frames in (video[0], clip.video[0])]
    second.imshow(torch.cat([rows[0], torch.ones(1, *rows[0].shape[1:]), rows[1]]).numpy())
    bare(second, "4 frames, and below\nwhat is reconstructed")
    third.plot(audio[0], color=MUTED, linestyle=":", label="audio")
    third.plot(clip.audio[0], color=ORANGE, label="reconstructed")
    third.legend(loc="upper right", fontsize=8)
    third.set(ylim=(-1.2, 1.9), xticks=[], title="128 samples")
    third.tick_params(axis="y", colors=TEXT)
    return figure
