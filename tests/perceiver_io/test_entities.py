from typing import get_args

import numpy as np
import pytest
import torch

from perceiver_io import EntityTorso, EntityTorsoConfig, EntityTorsoKind, EntityTorsoOutput, entity_torso


def make(**settings) -> EntityTorso:
    torch.manual_seed(0)
    sizes = {"entity_channels": 12, "output_channels": 10, "num_latents": 4, "latent_channels": 16}
    return EntityTorso(EntityTorsoConfig(**{**sizes, **settings})).double()


def batch():
    generator = torch.Generator().manual_seed(1)
    entities = torch.randn(4, 9, 12, generator=generator, dtype=torch.float64)
    entity_mask = torch.rand(4, 9, generator=generator) < 0.5
    entity_mask[2] = False
    return entities, entity_mask


def test_paper_defaults():
    config = EntityTorsoConfig()
    assert (config.num_latents, config.num_layers) == (32, 3)
    assert (config.entity_channels, config.output_channels) == (256, 128)
    output = EntityTorso(config)(torch.randn(1, 5, 256), torch.ones(1, 5, dtype=torch.bool))
    assert [tensor.shape for tensor in output] == [(1, 5, 128), (1, 128), (1, 32, config.latent_channels)]


@pytest.mark.parametrize("skip_padding", [True, False])
def test_is_perceiver_io_queried_by_its_inputs(skip_padding):
    torso = make(skip_padding=skip_padding)
    entities, entity_mask = batch()
    output = torso(entities, entity_mask)
    expected = torso.perceiver_io(entities, entities, entity_mask, entity_mask)
    torch.testing.assert_close(output.entity_embeddings, expected)
    torch.testing.assert_close(output.latents, torso.perceiver_io.encode(entities, entity_mask))


def test_pooled_is_the_mean_of_the_real_entities():
    entities, entity_mask = batch()
    output = make()(entities, entity_mask)
    for b in range(4):
        rows = output.entity_embeddings[b][entity_mask[b]]
        expected = rows.mean(dim=0) if len(rows) else torch.zeros(10, dtype=torch.float64)
        torch.testing.assert_close(output.pooled[b], expected)
    assert not output.entity_embeddings[~entity_mask].any()


@pytest.mark.parametrize("skip_padding", [True, False])
def test_permuting_entities_permutes_embeddings_only(skip_padding):
    torso = make(skip_padding=skip_padding)
    entities, entity_mask = batch()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(3))
    output, permuted = torso(entities, entity_mask), torso(entities[:, order], entity_mask[:, order])
    expected = EntityTorsoOutput(output.entity_embeddings[:, order], output.pooled, output.latents)
    torch.testing.assert_close(tuple(permuted), tuple(expected), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("skip_padding", [True, False])
def test_adding_masked_entities_changes_nothing(skip_padding):
    torso = make(skip_padding=skip_padding)
    entities, entity_mask = batch()
    output = torso(entities, entity_mask)
    longer = torso(
        torch.cat([entities, torch.full((4, 50, 12), torch.nan, dtype=torch.float64)], dim=1),
        torch.cat([entity_mask, torch.zeros(4, 50, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(longer.entity_embeddings[:, :9], output.entity_embeddings, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(tuple(longer[1:]), tuple(output[1:]), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("num_slots", [0, 6])
def test_no_entities_at_all(num_slots, skip_padding):
    torso = make(skip_padding=skip_padding)
    entities = torch.full((2, num_slots, 12), torch.nan, dtype=torch.float64, requires_grad=True)
    output = torso(entities, torch.zeros(2, num_slots, dtype=torch.bool))
    assert not output.entity_embeddings.any()
    assert not output.pooled.any()
    assert output.latents.isfinite().all()
    torch.testing.assert_close(output.latents[0], output.latents[1])
    sum(tensor.sum() for tensor in output).backward()
    assert entities.grad is not None
    assert not entities.grad.any()
    assert all(p.grad is None or p.grad.isfinite().all() for p in torso.parameters())


def test_an_entity_reaches_every_other_embedding_of_its_list_and_no_other_list():
    entities, entity_mask = batch()
    entity_mask[0] = True
    entities.requires_grad_()
    make()(entities, entity_mask).entity_embeddings[0, 3].square().sum().backward()
    assert entities.grad is not None
    assert (entities.grad[0].abs().sum(dim=-1) > 0.0).all()
    assert not entities.grad[1:].any()


@pytest.mark.parametrize(
    ("entities", "entity_mask", "message"),
    [
        (torch.zeros(9, 12), torch.ones(9, dtype=torch.bool), r"entities: expected shape \[B, L, C\]"),
        (torch.zeros(2, 9, 11), torch.ones(2, 9, dtype=torch.bool), "entities: expected 12 channels .* got 11"),
        (torch.zeros(2, 9, 12), torch.ones(2, 9, dtype=torch.int8), "entity_mask: expected dtype torch.bool"),
        (torch.zeros(2, 9, 12), torch.ones(9, 2, dtype=torch.bool), r"entity_mask: expected shape \[2, 9\]"),
        (torch.zeros(2, 9, 12), np.ones((2, 9), bool), "entity_mask: expected a bool tensor .* got ndarray"),
        (torch.zeros(2, 9, 12).double(), None, r"entities: expected torch.float32, .* pass entities.to\(torch.float32"),
        (torch.zeros(2, 9, 12).long(), None, "entities: expected a floating point dtype, got torch.int64"),
    ],
)
def test_bad_tensors(entities, entity_mask, message):
    with pytest.raises(ValueError, match=message):
        make().float()(entities, entity_mask)


def test_without_a_mask_all_entities_are_real():
    torso, (entities, entity_mask) = make(), batch()
    expected = torso(entities.nan_to_num(), torch.ones_like(entity_mask))
    torch.testing.assert_close(tuple(torso(entities.nan_to_num())), tuple(expected))
    assert not torso(entities[:, :0]).pooled.any()


def test_the_mean_of_many_large_embeddings_is_finite_in_half_precision():
    torso = EntityTorso(EntityTorsoConfig(entity_channels=4, output_channels=4, num_latents=2, latent_channels=8))
    torch.nn.init.constant_(torso.perceiver_io.decoder.output.bias, 1000.0)
    pooled = torso.half()(torch.zeros(1, 300, 4).half()).pooled
    torch.testing.assert_close(pooled, torch.full((1, 4), 1000.0).half(), rtol=0.01, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_layers": 0}, "num_layers: expected at least 1, got 0"),
        ({"num_latents": 32.0}, "num_latents: expected int, got 32.0"),
    ],
)
def test_bad_sizes_are_named_as_the_user_gave_them(settings, message):
    with pytest.raises(ValueError, match=message):
        EntityTorsoConfig(entity_channels=12, **settings)


def test_bad_configuration_names_the_size():
    with pytest.raises(ValueError, match="latent_channels: expected a multiple of num_self_attention_heads = 8"):
        EntityTorsoConfig(entity_channels=12, latent_channels=100)
    with pytest.raises(ValueError, match="num_cross_attention_heads = 5"):
        EntityTorsoConfig(entity_channels=12, num_cross_attention_heads=5)


def test_static_shapes_export_as_one_graph():
    torso = make(skip_padding=False)
    entities, entity_mask = batch()
    with torch.no_grad():
        exported = torch.export.export(torso, (entities, entity_mask)).module()
    torch.testing.assert_close(tuple(exported(entities, entity_mask)), tuple(torso(entities, entity_mask)))


@pytest.mark.parametrize("kind", get_args(EntityTorsoKind))
def test_norms_may_keep_their_precision(kind):
    torso = entity_torso(kind, entity_channels=16, output_channels=8).bfloat16()
    for module in torso.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.float()
    embeddings = torso(torch.randn(2, 9, 16).bfloat16(), torch.ones(2, 9, dtype=torch.bool)).entity_embeddings
    assert embeddings.dtype == torch.bfloat16
    assert embeddings.isfinite().all()
