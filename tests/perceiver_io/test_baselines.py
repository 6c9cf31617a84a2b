"""The set models against plain loops from their papers, and the laws that they share with the Perceiver."""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from perceiver_io import (
    CosformerTorso,
    DeepSetsTorso,
    EntityBaseline,
    EntityTorso,
    EntityTorsoKind,
    EntityTorsoOutput,
    SetTransformerTorso,
    TransformerTorso,
    TransformerTorsoConfig,
    entity_torso,
)
from tests.perceiver_io import reference

KINDS = get_args(EntityTorsoKind)
BASELINES = KINDS[1:]
BLIND_TO_ORDER = {
    **{kind: {} for kind in KINDS if kind != "cosformer"},
    "cosformer": {"cos_reweighting": False},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
both_layouts = pytest.mark.parametrize("skip_padding", [True, False])


def make(kind: str, **settings) -> EntityTorso | EntityBaseline:
    """Return a torso without any zero weight, so that nothing is hidden by one."""
    torch.manual_seed(0)
    sizes = {"entity_channels": 8, "output_channels": 6, "num_layers": 2}
    if kind == "perceiver":
        sizes |= {"latent_channels": 8, "num_latents": 3}
    if kind == "set_transformer":
        sizes |= {"num_inducing_points": 3}
    torso = entity_torso(kind, **{**sizes, **settings}).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in torso.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return torso


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    entities = torch.randn(4, 7, 8, generator=generator, dtype=torch.float64)
    entity_mask = torch.rand(4, 7, generator=generator) < 0.6
    entity_mask[1], entity_mask[2] = True, False
    return entities.masked_fill(~entity_mask.unsqueeze(-1), torch.nan), entity_mask


def embed(torso: EntityBaseline, rows: list[Tensor]) -> Tensor:
    assert torso.output is not None
    normed = [reference.norm(row, torso.norm) for row in rows]
    return torch.stack([reference.linear(row, torso.output.weight, torso.output.bias) for row in normed])


def set_transformer_rows(torso: EntityBaseline, rows: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    points: list[Tensor] = []
    for block in torso.layers:
        points = reference.cross_block(block.read, list(block.inducing_points), rows, "gelu_tanh", residual=True)
        rows = reference.cross_block(block.write, rows, points, "gelu_tanh", residual=True)
    return rows, points


def cosformer_rows(torso: EntityBaseline, rows: list[Tensor], cos_reweighting: bool) -> list[Tensor]:
    """One pair of tokens after another, with the weight of each pair formed."""
    for block in torso.layers:
        linear = block.attention.to_query_key_value
        projected = [reference.linear(reference.norm(x, block.norm), linear.weight, linear.bias) for x in rows]
        queries, keys = [p[:8].clamp(min=0.0) for p in projected], [p[8:16].clamp(min=0.0) for p in projected]
        after = []
        for i, row in enumerate(rows):
            heads = []
            for head in (slice(0, 4), slice(4, 8)):
                weights = [
                    (queries[i][head] * keys[j][head]).sum()
                    * (math.cos(math.pi / 2 * (i - j) / len(rows)) if cos_reweighting else 1.0)
                    for j in range(len(rows))
                ]
                total = sum(weights).clamp(min=1e-6)
                heads.append(sum(w * p[16:][head] for w, p in zip(weights, projected, strict=True)) / total)
            output = block.attention.to_output
            row = row + reference.linear(torch.cat(heads), output.weight, output.bias)
            after.append(row + reference.mlp(row, block, "gelu_tanh"))
        rows = after
    return rows


def deep_sets_rows(torso: EntityBaseline, rows: list[Tensor]) -> list[Tensor]:
    for block in torso.layers:
        normed = [reference.norm(x, block.norm) for x in rows]
        from_mean = block.mean_to_hidden.weight @ (sum(normed) / len(normed))
        hidden = [reference.linear(x, block.to_hidden.weight, block.to_hidden.bias) + from_mean for x in normed]
        rows = [
            row + reference.linear(reference.gelu(h, "gelu_tanh"), block.to_output.weight, block.to_output.bias)
            for row, h in zip(rows, hidden, strict=True)
        ]
    return rows


def expected_rows(torso: EntityBaseline, kind: str, rows: list[Tensor], cos_reweighting: bool) -> list[Tensor]:
    match kind:
        case "transformer":
            for block in torso.layers:
                rows = reference.self_block(block, rows, "gelu_tanh")
            return rows
        case "set_transformer":
            return set_transformer_rows(torso, rows)[0]
        case "cosformer":
            return cosformer_rows(torso, rows, cos_reweighting)
    return deep_sets_rows(torso, rows)


@both_layouts
@pytest.mark.parametrize(
    ("kind", "cos_reweighting"),
    [(kind, True) for kind in BASELINES] + [("cosformer", False)],
)
def test_equals_the_loops_of_its_paper(kind, cos_reweighting, skip_padding):
    settings = {"cos_reweighting": cos_reweighting} if kind == "cosformer" else {}
    torso = make(kind, skip_padding=skip_padding, **settings)
    entities, entity_mask = batch()
    with torch.no_grad():
        output = torso(entities, entity_mask)
        for b in range(4):
            rows = list(entities[b][entity_mask[b]])
            if rows:
                expected = embed(torso, expected_rows(torso, kind, rows, cos_reweighting))
                torch.testing.assert_close(output.entity_embeddings[b][entity_mask[b]], expected)
                torch.testing.assert_close(output.pooled[b], expected.mean(dim=0))
    assert not output.entity_embeddings[~entity_mask].any()
    assert not output.pooled[2].any()


@both_layouts
@pytest.mark.parametrize("kind", ["transformer", "cosformer", "deep_sets"])
def test_latents_are_what_the_last_map_reads_or_its_mean(kind, skip_padding):
    torso = make(kind, skip_padding=skip_padding)
    entities, entity_mask = batch()
    output = torso(entities, entity_mask)
    assert torso.output is not None
    expected = output.pooled.unsqueeze(1) if kind == "deep_sets" else output.entity_embeddings
    real = entity_mask.any(dim=1, keepdim=True) if kind == "deep_sets" else entity_mask
    assert output.latents.shape == (4, 1 if kind == "deep_sets" else 7, 8)
    torch.testing.assert_close(torso.output(output.latents)[real], expected[real])
    assert not output.latents[~real].any()


@both_layouts
def test_latents_of_the_set_transformer_are_its_last_inducing_points(skip_padding):
    torso = make("set_transformer", skip_padding=skip_padding)
    entities, entity_mask = batch()
    with torch.no_grad():
        latents = torso(entities, entity_mask).latents
        for b in range(4):
            expected = set_transformer_rows(torso, list(entities[b][entity_mask[b]]))[1]
            torch.testing.assert_close(latents[b], torch.stack(expected))


@every_kind
@both_layouts
def test_permuting_entities_permutes_embeddings(kind, skip_padding):
    torso = make(kind, skip_padding=skip_padding, **BLIND_TO_ORDER[kind])
    entities, entity_mask = batch()
    order = torch.randperm(7, generator=torch.Generator().manual_seed(3))
    output, permuted = torso(entities, entity_mask), torso(entities[:, order], entity_mask[:, order])
    torch.testing.assert_close(permuted.entity_embeddings, output.entity_embeddings[:, order])
    torch.testing.assert_close(permuted.pooled, output.pooled)
    one_for_each_entity = kind in ("transformer", "cosformer")
    torch.testing.assert_close(permuted.latents, output.latents[:, order] if one_for_each_entity else output.latents)


def test_cos_reweighting_sees_the_order_of_the_real_entities_and_nothing_else():
    torso = make("cosformer")
    entities, entity_mask = batch()
    rolled = torso(entities.roll(1, 1), entity_mask.roll(1, 1)).entity_embeddings.roll(-1, 1)
    assert not torch.allclose(rolled[1], torso(entities, entity_mask).entity_embeddings[1])
    spread = torch.full((4, 20, 8), torch.nan, dtype=torch.float64)
    spread_mask = torch.zeros(4, 20, dtype=torch.bool)
    slots = torch.tensor([1, 2, 5, 8, 13, 14, 19])
    spread[:, slots], spread_mask[:, slots] = entities, entity_mask
    torch.testing.assert_close(
        torso(spread, spread_mask).entity_embeddings[:, slots], torso(entities, entity_mask).entity_embeddings
    )


@every_kind
@both_layouts
def test_adding_masked_entities_changes_nothing(kind, skip_padding):
    torso = make(kind, skip_padding=skip_padding)
    entities, entity_mask = batch()
    output = torso(entities, entity_mask)
    longer = torso(
        torch.cat([entities, torch.full((4, 30, 8), torch.nan, dtype=torch.float64)], dim=1),
        torch.cat([entity_mask, torch.zeros(4, 30, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(longer.entity_embeddings[:, :7], output.entity_embeddings)
    torch.testing.assert_close(longer.pooled, output.pooled)
    torch.testing.assert_close(longer.latents[:, : output.latents.shape[1]], output.latents)


@every_kind
@both_layouts
@pytest.mark.parametrize("num_slots", [0, 5])
def test_no_entities_at_all(kind, num_slots, skip_padding):
    torso = make(kind, skip_padding=skip_padding)
    entities = torch.full((2, num_slots, 8), torch.nan, dtype=torch.float64, requires_grad=True)
    output = torso(entities, torch.zeros(2, num_slots, dtype=torch.bool))
    assert not output.entity_embeddings.any()
    assert not output.pooled.any()
    assert output.latents.isfinite().all()
    sum(tensor.sum() for tensor in output).backward()
    assert entities.grad is not None
    assert not entities.grad.any()
    assert all(p.grad is None or p.grad.isfinite().all() for p in torso.parameters())


@pytest.mark.parametrize("kind", BASELINES)
def test_skipping_padding_changes_neither_outputs_nor_gradients(kind):
    entities, entity_mask = batch()
    results = []
    for skip_padding in (True, False):
        torso = make(kind, skip_padding=skip_padding)
        output = torso(entities, entity_mask)
        (output.entity_embeddings.square().sum() + output.latents.square().sum()).backward()
        results.append((tuple(output), {name: parameter.grad for name, parameter in torso.named_parameters()}))
    torch.testing.assert_close(results[0], results[1])
    assert all(gradient is not None and gradient.any() for gradient in results[0][1].values())


@pytest.mark.parametrize("kind", BASELINES)
def test_an_entity_reaches_every_other_embedding_of_its_list_and_no_other_list(kind):
    entities, entity_mask = torch.randn(3, 7, 8, dtype=torch.float64, requires_grad=True), torch.ones(3, 7).bool()
    make(kind)(entities, entity_mask).entity_embeddings[1, 3].square().sum().backward()
    assert entities.grad is not None
    assert (entities.grad[1].abs().sum(dim=-1) > 0.0).all()
    assert not entities.grad[[0, 2]].any()


@pytest.mark.parametrize("kind", BASELINES)
def test_bfloat16_is_close_to_float32(kind):
    entities, entity_mask = batch()
    torso = make(kind).float()
    expected = torso(entities.float(), entity_mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = torso(entities.float(), entity_mask)
    assert isinstance(output, EntityTorsoOutput)
    torch.testing.assert_close(output.entity_embeddings.float(), expected.entity_embeddings, atol=0.2, rtol=0.1)
    assert not torch.equal(output.entity_embeddings.float(), expected.entity_embeddings)


@pytest.mark.parametrize(
    ("kind", "torso_class"),
    [
        ("perceiver", EntityTorso),
        ("transformer", TransformerTorso),
        ("set_transformer", SetTransformerTorso),
        ("cosformer", CosformerTorso),
        ("deep_sets", DeepSetsTorso),
    ],
)
def test_one_argument_switches_between_all(kind, torso_class):
    torso = entity_torso(kind, entity_channels=16, output_channels=None, num_layers=1, activation="gelu")
    assert type(torso) is torso_class
    output = torso(torch.randn(2, 3, 16), torch.ones(2, 3, dtype=torch.bool))
    assert (output.entity_embeddings.shape, output.pooled.shape) == ((2, 3, 16), (2, 16))


def test_the_default_transformer_is_alphastars():
    assert TransformerTorsoConfig() == TransformerTorsoConfig.alphastar()
    layers = TransformerTorso(TransformerTorsoConfig.alphastar()).layers
    per_layer = 4 * 256 * 256 + 2 * 256 * 1024 + (4 * 256 + 1024 + 256) + 4 * 256
    assert sum(parameter.numel() for parameter in layers.parameters()) == 3 * per_layer
    assert {layer.attention.num_heads for layer in layers} == {2}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("perceptron", {}, "kind: expected one of perceiver, transformer, .* got 'perceptron'"),
        ("deep_sets", {"num_heads": 2}, "num_heads: expected a setting of deep_sets, one of entity_channels"),
        ("transformer", {"num_layers": 0}, "num_layers: expected at least 1, got 0"),
        ("cosformer", {"num_heads": 5}, "entity_channels: expected a multiple of num_heads = 5, got 256"),
        ("set_transformer", {"activation": "relu"}, "activation: expected .* got 'relu'"),
    ],
)
def test_bad_configurations_say_what_is_wrong(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        entity_torso(kind, **settings)


@pytest.mark.parametrize(
    ("entities", "entity_mask", "message"),
    [
        (torch.zeros(2, 9, 11), torch.ones(2, 9, dtype=torch.bool), "entities: expected 8 channels .* got 11"),
        (torch.zeros(2, 9, 8), torch.ones(2, 9), "entity_mask: expected dtype torch.bool"),
        (torch.zeros(2, 9, 8), torch.ones(9, 2, dtype=torch.bool), r"entity_mask: expected shape \[2, 9\]"),
    ],
)
def test_bad_tensors(entities, entity_mask, message):
    with pytest.raises(ValueError, match=message):
        make("transformer").float()(entities, entity_mask)
