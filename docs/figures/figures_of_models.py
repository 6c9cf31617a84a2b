"""Pictures of how the model works, and of small ones that were trained for seconds."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch
from figure_style import (
    BLUE,
    COLOURS,
    GREEN,
    HEAT,
    MUTED,
    ORANGE,
    PANEL,
    PURPLE,
    RED,
    TEXT,
    arrow,
    bare,
    box,
    canvas,
    new_figure,
    note,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from perceiver_io import (
    EntityTorso,
    EntityTorsoConfig,
    FourierFeatures,
    PerceiverIO,
    PerceiverIOConfig,
    multi_head_attention,
)
from perceiver_io.tasks import ImageClassifier, ImageClassifierConfig

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import torso_in_your_agent

M, N, LAYERS = 512, 32, 3
TEAMS, SLOTS = 4, 24


def encode_process_decode(quick: bool) -> Figure:
    """Return the three steps, and the matrices of attention scores of each to scale."""
    figure, (axes,) = new_figure(9, 5.4)
    canvas(axes, 18, 11)
    stack(axes, 1.5, 7.4, 14, ORANGE, real=9)
    stack(axes, 4.7, 9.3, 4, GREEN)
    stack(axes, 7.4, 7.4, 4, GREEN)
    stack(axes, 12.0, 7.4, 4, GREEN)
    stack(axes, 14.2, 9.5, 6, PURPLE)
    stack(axes, 16.7, 7.4, 6, PURPLE)
    for x, colour, text in ((4.7, BLUE, "encode"), (9.7, GREEN, "process"), (14.2, BLUE, "decode")):
        box(axes, x, 7.4, 2.2, 1.1, colour, text)
    for start, end in ((2.3, 3.5), (5.9, 6.6), (8.2, 8.5), (10.9, 11.2), (12.8, 13.0), (15.4, 15.9)):
        arrow(axes, (start, 7.4), (end, 7.4))
    arrow(axes, (4.7, 8.6), (4.7, 8.0))
    arrow(axes, (14.2, 8.45), (14.2, 8.0))
    note(axes, 1.5, 9.9, "inputs [B, M, C]", color=ORANGE)
    note(axes, 1.5, 4.95, "dashed: masked", fontsize=8)
    note(axes, 4.7, 10.2, "trained latents [N, D]", color=GREEN)
    note(axes, 14.2, 10.75, "output queries [Q, K]", color=PURPLE)
    note(axes, 7.4, 8.3, "[B, N, D]", color=GREEN)
    note(axes, 12.0, 8.3, "[B, N, D]", color=GREEN)
    note(axes, 16.7, 8.65, "outputs [B, Q, O]", color=PURPLE)
    note(axes, 4.7, 6.4, "cross-attention:\nlatents read inputs")
    note(axes, 9.7, 6.4, "L layers of self-attention\namong latents")
    note(axes, 14.2, 6.4, "cross-attention:\nqueries read latents")
    scores(axes)
    return figure


def stack(axes: Axes, x: float, y: float, rows: int, colour: str, real: int | None = None) -> None:
    """Draw vectors as bars around (x, y); those after the real ones are dashed."""
    pitch = 0.32
    for row in range(rows):
        top = y + pitch * (rows / 2 - row) - 0.05
        is_real = real is None or row < real
        style = {"facecolor": colour} if is_real else {"facecolor": "none", "edgecolor": MUTED, "linestyle": ":"}
        axes.add_patch(Rectangle((x - 0.7, top - 0.2), 1.4, 0.2, **style))


def scores(axes: Axes) -> None:
    """Draw the attention matrices of 512 inputs, 32 latents, 512 queries and 3 layers to scale."""
    scale = 2.6 / M
    matrices = [(4.9, N, M, BLUE, 1), (9.7, N, N, GREEN, LAYERS), (14.2, M, N, BLUE, 1), (1.7, M, M, RED, LAYERS)]
    for x, rows, columns, colour, copies in matrices:
        for copy in reversed(range(copies)):
            shift = 0.14 * copy
            width, height = columns * scale, rows * scale
            corner = (x - width / 2 + shift, 2.5 - height / 2 + shift)
            axes.add_patch(Rectangle(corner, width, height, facecolor=colour, edgecolor=PANEL, linewidth=0.8))
    axes.plot([3.45, 3.45], [0.1, 4.6], color=MUTED, linewidth=0.8, linestyle=":")
    ours = 2 * M * N + LAYERS * N * N
    note(axes, 1.7, 0.35, f"a transformer: {LAYERS} M² =\n{LAYERS * M * M:,} scores a head", color=RED)
    note(axes, 4.9, 0.35, f"N × M = {N * M:,}", color=BLUE)
    note(axes, 9.7, 0.35, f"L N² = {LAYERS * N * N:,}", color=GREEN)
    note(axes, 14.2, 0.35, f"Q × N = {M * N:,}", color=BLUE)
    note(
        axes,
        11.2,
        4.75,
        f"attention scores to scale, M = Q = {M}, N = {N}, L = {LAYERS}: {ours:,} in all",
        color=TEXT,
    )


def queries(quick: bool) -> Figure:
    """Return what happens to one output query."""
    figure, (axes,) = new_figure(9, 2.7)
    canvas(axes, 18, 5.2)
    y = 2.4
    for x, width, colour, text in (
        (1.2, 1.8, PURPLE, "query\n[K]"),
        (4.0, 1.6, MUTED, "layer\nnorm"),
        (6.6, 2.2, BLUE, "attention"),
        (11.2, 2.2, ORANGE, "layer norm\nMLP"),
        (15.0, 1.4, MUTED, "linear"),
        (17.1, 1.4, PURPLE, "output\n[O]"),
    ):
        box(axes, x, y, width, 1.2, colour, text)
    box(axes, 6.6, 4.5, 4.4, 0.8, GREEN, "layer norm of latents [N, D]")
    for x in (8.9, 13.2):
        axes.text(x, y, "+", ha="center", va="center", fontsize=15)
    for start, end in ((2.1, 3.2), (4.8, 5.5), (7.7, 8.6), (9.2, 10.1), (12.3, 12.9), (13.5, 14.3), (15.7, 16.4)):
        arrow(axes, (start, y), (end, y))
    arrow(axes, (6.6, 4.1), (6.6, 3.0))
    for start, end, colour, style in ((2.6, 8.9, RED, "--"), (9.6, 13.2, MUTED, "-")):
        axes.plot([start, start, end], [y, 0.8, 0.8], color=colour, linestyle=style, linewidth=1.4)
        arrow(axes, (end, 0.8), (end, y - 0.35), color=colour, linestyle=style)
    note(axes, 5.75, 0.35, "only with decoder_query_residual", color=RED)
    note(axes, 11.4, 0.35, "always")
    note(axes, 15.0, 1.35, "unless\noutput_channels\nis None", fontsize=8, va="top")
    note(axes, 11.2, 3.35, "always; hidden layer of\ndecoder_widening_factor × K", fontsize=8)
    return figure


def random_teams(batch_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return entities [B, E, 6] (position and team), their mask, and the mean position of each one's team."""
    sizes = torch.randint(8, SLOTS + 1, (batch_size, 1))
    teams = torch.randint(TEAMS, (batch_size, SLOTS)).sort(dim=1).values
    entity_mask = torch.arange(SLOTS) < sizes
    positions, one_hot = torch.randn(batch_size, SLOTS, 2), nn.functional.one_hot(teams, TEAMS).float()
    members = one_hot * entity_mask[..., None]
    means = torch.einsum("bet,bec->btc", members, positions) / members.sum(1)[..., None].clamp(min=1)
    return torch.cat([positions, one_hot], -1), entity_mask, torch.einsum("bet,btc->bec", one_hot, means)


def entity_list(quick: bool) -> Figure:
    """Return which entities each latent reads, after learning the mean position of one's own team."""
    embed = nn.Linear(2 + TEAMS, 32)
    torso = EntityTorso(
        EntityTorsoConfig(entity_channels=32, output_channels=2, num_latents=8, latent_channels=64, num_layers=2)
    )
    nn.init.normal_(torso.perceiver_io.encoder.latents)
    optimiser = torch.optim.Adam([*embed.parameters(), *torso.parameters()], lr=2e-3)
    for _ in range(2 if quick else 1200):
        entities, entity_mask, target = random_teams(64)
        error = (torso(embed(entities), entity_mask).entity_embeddings - target)[entity_mask].square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    entities, entity_mask, target = random_teams(256)
    with torch.no_grad():
        read = latents_read(torso, embed(entities), entity_mask)
        outputs = torso(embed(entities), entity_mask).entity_embeddings
    left_over = (outputs - target)[entity_mask].square().mean() / target[entity_mask].square().mean()
    chosen = int((entity_mask.sum(1) == 18).nonzero()[0])
    figure, (axes,) = new_figure(8, 3.2)
    picture = axes.imshow(read[chosen].numpy(), cmap=HEAT, aspect="auto", vmin=0)
    teams = entities[chosen, :, 2:].argmax(-1)
    for slot in range(18):
        axes.add_patch(Rectangle((slot - 0.5, 7.6), 1, 0.5, color=COLOURS[int(teams[slot])], clip_on=False))
    note(axes, 20.5, 3.5, "empty slots:\nread by none")
    bare(axes, f"what each latent reads of the list ({1 - left_over:.1%} of the targets' variance is explained)")
    axes.set(ylabel="8 latents", xlabel="24 slots, entities coloured by team")
    axes.xaxis.labelpad = 20
    figure.colorbar(picture, ax=axes, label="attention", pad=0.01)
    return figure


def latents_read(torso: EntityTorso, entities: Tensor, entity_mask: Tensor) -> Tensor:
    """Return the attention of latents to entities [B, N, E]: values that are one-hot turn it into the output."""
    encoder = torso.perceiver_io.encoder
    block, attention = encoder.cross_attention, encoder.cross_attention.attention
    projected_latents = attention.to_query(block.query_norm(encoder.latents)).expand(entities.shape[0], -1, -1)
    keys = attention.to_key_value(block.input_norm(entities))[..., : attention.qk_channels]
    slots = torch.eye(entities.shape[1]).expand(entities.shape[0], -1, -1)
    return multi_head_attention(projected_latents, keys, slots, num_heads=1, key_mask=entity_mask)


def waves(x: Tensor) -> Tensor:
    """Return random waves [B, X] at x [B, X] from -1 to 1."""
    frequencies, phases = 1.0 + 1.5 * torch.rand(len(x), 1), 2 * math.pi * torch.rand(len(x), 1)
    return torch.sin(math.pi * frequencies * x + phases) * (0.5 + torch.rand(len(x), 1))


def any_queries(quick: bool) -> Figure:
    """Return waves that were read at a few places and decoded at many."""
    features = FourierFeatures((16,), num_bands=8)
    channels = features.num_channels
    model = PerceiverIO(
        PerceiverIOConfig(
            input_channels=channels + 1,
            query_channels=channels,
            output_channels=1,
            num_latents=16,
            latent_channels=64,
            num_self_attention_layers_per_block=2,
            latent_init_scale=1.0,
        )
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(2 if quick else 2500):
        x = torch.rand(32, 36) * 2 - 1
        y, places = waves(x), features.encode(x.unsqueeze(-1))
        inputs = torch.cat([places[:, :12], y[:, :12, None]], -1)
        loss = (model(inputs, places[:, 12:]).squeeze(-1) - y[:, 12:]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    grid = torch.linspace(-1, 1, 200)
    x = torch.cat([torch.rand(3, 12) * 2 - 1, grid.expand(3, -1)], dim=1)
    y, places = waves(x), features.encode(x.unsqueeze(-1))
    with torch.no_grad():
        decoded = model(torch.cat([places[:, :12], y[:, :12, None]], -1), places[0, 12:]).squeeze(-1)
    figure, panels = new_figure(9, 2.6, 3, sharey=True)
    for row, axes in enumerate(panels):
        axes.plot(grid, y[row, 12:], color=MUTED, linestyle=":", label="the wave")
        axes.plot(grid, decoded[row], color=PURPLE, linewidth=2, label="200 outputs")
        axes.scatter(x[row, :12], y[row, :12], color=ORANGE, zorder=3, s=22, label="12 inputs")
        axes.set_xlabel("position")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def perceiver_2021(quick: bool) -> Figure:
    """Return the order of readings and blocks of three configurations, coloured by their weights."""
    configs = {
        "Perceiver IO": ImageClassifierConfig.fourier(),
        "Perceiver (2021),\nshared weights": ImageClassifierConfig.perceiver(),
        "Perceiver (2021),\nseparate weights": ImageClassifierConfig.perceiver(share_weights=False),
    }
    figure, (axes,) = new_figure(9, 2.9)
    canvas(axes, 26, 8)
    for row, (name, config) in enumerate(configs.items()):
        y = 6.5 - 2.4 * row
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in ImageClassifier(config).parameters())
        axes.text(4.6, y, f"{name}\n{parameters / 1e6:.1f} M parameters", ha="right", va="center", fontsize=8.5)
        x = 5.4
        for block in range(config.num_blocks):
            if block < config.num_cross_attentions:
                separate = config.cross_attention_weights == "separate"
                draw_step(axes, x, y, BLUE, "R", block if separate else min(block, 1))
                x += 1.15
            draw_step(axes, x, y, GREEN, "B", 0 if config.share_block_weights else block)
            x += 1.15
        box(axes, x + 0.6, y, 2.1, 1.1, ORANGE, config.readout)
    note(axes, 14.6, 0.4, "R: latents read the image    B: 6 self-attention layers    same number: same weights")
    return figure


def draw_step(axes: Axes, x: float, y: float, colour: str, letter: str, weights: int) -> None:
    """Draw one reading or block with the number of its weights."""
    box(axes, x, y, 0.95, 1.1, colour, f"{letter}{weights + 1}")


def own_agent(quick: bool) -> Figure:
    """Return the share of right orders while the policy of the plain PyTorch example learns."""
    policy = torso_in_your_agent.UnitPolicy()
    optimiser = torch.optim.Adam(policy.parameters(), lr=3e-3)
    shares = [100 * torso_in_your_agent.train_step(policy, optimiser) for _ in range(3 if quick else 81)]
    figure, (axes,) = new_figure(8, 2.4)
    axes.axhline(100 / torso_in_your_agent.NUM_ORDERS, color=MUTED, linestyle=":", label="orders at random")
    axes.plot(shares, color=GREEN, linewidth=2, label="examples/torso_in_your_agent.py")
    axes.set(xlabel="step of 32 armies", ylabel="% of orders right", ylim=(0, 102), xlim=(0, len(shares) - 1))
    axes.grid(visible=True)
    axes.legend(loc="lower right")
    return figure
