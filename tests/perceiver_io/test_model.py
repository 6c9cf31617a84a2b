import math

import pytest
import torch

from perceiver_io import PerceiverIO, PerceiverIOConfig
from tests.perceiver_io import reference

SMALL = {"input_channels": 6, "query_channels": 4, "num_latents": 3, "latent_channels": 8}
HEADS = {"num_cross_attention_heads": 2, "num_self_attention_heads": 4, "num_decoder_heads": 2}


def make(**settings) -> PerceiverIO:
    torch.manual_seed(0)
    model = PerceiverIO(
        PerceiverIOConfig(**{**SMALL, **HEADS, "num_self_attention_layers_per_block": 2, **settings})
    ).double()
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


def batch(batch_size=3, length=5, num_queries=4):
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(batch_size, length, 6, generator=generator, dtype=torch.float64)
    queries = torch.randn(batch_size, num_queries, 4, generator=generator, dtype=torch.float64)
    input_mask = torch.rand(batch_size, length, generator=generator) < 0.6
    query_mask = torch.rand(batch_size, num_queries, generator=generator) < 0.6
    input_mask[1] = False
    return inputs, queries, input_mask, query_mask


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {"output_channels": 5},
        {"decoder_query_residual": True, "activation": "gelu", "num_blocks": 2},
        {"num_blocks": 3, "num_cross_attentions": 2, "num_self_attention_layers_per_block": 1},
        {
            "num_blocks": 3,
            "num_cross_attentions": 3,
            "num_self_attention_layers_per_block": 1,
            "cross_attention_weights": "shared_after_first",
        },
        {
            "num_blocks": 3,
            "num_cross_attentions": 3,
            "num_self_attention_layers_per_block": 1,
            "cross_attention_weights": "separate",
            "share_block_weights": False,
        },
        {
            "cross_attention_qk_channels": 8,
            "cross_attention_v_channels": 4,
            "self_attention_qk_channels": 4,
            "self_attention_v_channels": 12,
            "decoder_qk_channels": 6,
            "decoder_v_channels": 10,
            "self_attention_widening_factor": 3,
            "cross_attention_widening_factor": 2,
            "decoder_widening_factor": 2,
        },
    ],
)
def test_equals_the_equations_written_as_loops(settings, grad, skip_padding):
    model = make(skip_padding=skip_padding, **settings)
    inputs, queries, input_mask, query_mask = batch()
    with torch.set_grad_enabled(grad):
        latents = model.encode(inputs, input_mask)
        outputs = model(inputs, queries, input_mask, query_mask)
    expected_outputs, expected_latents = reference.perceiver_io(model, inputs, queries, input_mask, query_mask)
    torch.testing.assert_close(latents, expected_latents, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(outputs, expected_outputs, atol=1e-10, rtol=1e-10)


def gradients_of(model, inputs, queries, input_mask, query_mask):
    inputs, queries = inputs.clone().requires_grad_(), queries.clone().requires_grad_()
    model.zero_grad()
    outputs = model(inputs, queries, input_mask, query_mask)
    outputs.square().sum().backward()
    return [outputs.detach(), inputs.grad, queries.grad, *(p.grad.clone() for p in model.parameters())]


@pytest.mark.parametrize("cross_heads", [1, 3])
def test_skipping_padding_changes_nothing(cross_heads):
    """One head folds its keys (3 latents < 6 channels), three heads do not."""
    skipping, static = (make(skip_padding=skip, num_cross_attention_heads=cross_heads) for skip in (True, False))
    for got, expected in zip(gradients_of(skipping, *batch()), gradients_of(static, *batch()), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("cross_heads", [1, 3])
def test_what_masked_slots_hold_changes_nothing(poison, cross_heads, skip_padding):
    model = make(skip_padding=skip_padding, num_cross_attention_heads=cross_heads)
    inputs, queries, input_mask, query_mask = batch()
    clean = gradients_of(model, inputs, queries, input_mask, query_mask)
    inputs[~input_mask], queries[~query_mask] = poison, poison
    poisoned = gradients_of(model, inputs, queries, input_mask, query_mask)
    for got, expected in zip(poisoned, clean, strict=True):
        assert torch.equal(got, expected)
    assert not poisoned[0][~query_mask].any()
    assert not poisoned[1][~input_mask].any()
    assert not poisoned[2][~query_mask].any()
    assert poisoned[0][query_mask].abs().min() > 0.0


def test_permuting_inputs_leaves_latents_and_permuting_queries_permutes_outputs():
    model = make()
    inputs, queries, input_mask, query_mask = batch()
    order, query_order = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([2, 3, 0, 1])
    torch.testing.assert_close(
        model.encode(inputs[:, order], input_mask[:, order]), model.encode(inputs, input_mask), atol=1e-12, rtol=1e-12
    )
    outputs = model(inputs, queries, input_mask, query_mask)
    permuted = model(inputs, queries[:, query_order], input_mask, query_mask[:, query_order])
    torch.testing.assert_close(permuted, outputs[:, query_order], atol=1e-12, rtol=1e-12)


def test_adding_masked_inputs_and_queries_changes_nothing():
    model = make()
    inputs, queries, input_mask, query_mask = batch()
    outputs = model(inputs, queries, input_mask, query_mask)
    longer = model(
        torch.cat([inputs, torch.randn(3, 9, 6).double()], dim=1),
        torch.cat([torch.randn(3, 2, 4).double(), queries], dim=1),
        torch.cat([input_mask, torch.zeros(3, 9, dtype=torch.bool)], dim=1),
        torch.cat([torch.zeros(3, 2, dtype=torch.bool), query_mask], dim=1),
    )
    assert not longer[:, :2].any()
    torch.testing.assert_close(longer[:, 2:], outputs, atol=1e-12, rtol=1e-12)


def test_all_true_mask_equals_no_mask():
    model = make()
    inputs, queries, _, _ = batch()
    masked = model(inputs, queries, torch.ones(3, 5, dtype=torch.bool), torch.ones(3, 4, dtype=torch.bool))
    torch.testing.assert_close(masked, model(inputs, queries))


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_shared_queries_equal_queries_written_out(masked, residual, skip_padding):
    model = make(decoder_query_residual=residual, skip_padding=skip_padding)
    inputs, queries, input_mask, query_mask = batch()
    query_mask = query_mask if masked else None
    shared = queries[0].clone().requires_grad_()
    written_out = queries[0].clone().requires_grad_()
    latents = model.encode(inputs, input_mask)
    outputs = model.decode(latents, shared, query_mask)
    expected = model.decode(latents, written_out.expand(3, -1, -1), query_mask)
    torch.testing.assert_close(outputs, expected)
    outputs.square().sum().backward(retain_graph=True)
    expected.square().sum().backward()
    torch.testing.assert_close(shared.grad, written_out.grad)


def test_gradients_numerically():
    model = make()
    inputs, queries, input_mask, query_mask = batch(2, 3, 2)
    parameters = tuple(model.parameters())

    def function(inputs, queries, *_):
        return model(inputs, queries, input_mask, query_mask)

    arguments = (inputs.requires_grad_(), queries.requires_grad_(), *parameters)
    assert torch.autograd.gradcheck(function, arguments, fast_mode=True)


def test_blocks_share_weights_and_layers_do_not():
    once, twice = make(num_blocks=1), make(num_blocks=2)
    assert once.state_dict().keys() == twice.state_dict().keys()
    inputs, _, input_mask, _ = batch()
    layout_free = once.encode(inputs, input_mask)
    twice.load_state_dict(once.state_dict())
    assert not torch.allclose(twice.encode(inputs, input_mask), layout_free)
    layers = once.encoder.self_attention_layers
    assert not torch.equal(layers[0].mlp.to_hidden.weight, layers[1].mlp.to_hidden.weight)


@pytest.mark.parametrize(
    ("settings", "num_reads", "num_layers"),
    [
        ({}, 1, 2),
        ({"cross_attention_weights": "shared_after_first"}, 2, 2),
        ({"cross_attention_weights": "separate"}, 4, 2),
        ({"cross_attention_weights": "separate", "num_cross_attentions": 1}, 1, 2),
        ({"share_block_weights": False}, 1, 8),
    ],
)
def test_repeated_cross_attentions_have_the_weights_asked_for(settings, num_reads, num_layers):
    encoder = make(**{"num_blocks": 4, "num_cross_attentions": 4, **settings}).encoder
    assert 1 + len(encoder.later_cross_attentions) == num_reads
    assert len(encoder.self_attention_layers) == num_layers


def count(query, inputs, qk, v, widening):
    """Parameters of a cross-attention block; a self-attention block has one layer norm less."""
    attention = query * qk + qk + inputs * (qk + v) + qk + v + v * query + query
    mlp = 2 * widening * query * query + widening * query + query
    return 2 * query + 2 * inputs + 2 * query + attention + mlp


@pytest.mark.parametrize("num_blocks", [1, 3])
def test_number_of_parameters(num_blocks):
    config = PerceiverIOConfig(
        input_channels=6,
        query_channels=4,
        output_channels=7,
        num_latents=5,
        latent_channels=8,
        num_self_attention_heads=2,
        num_blocks=num_blocks,
        num_self_attention_layers_per_block=3,
        decoder_qk_channels=10,
        decoder_v_channels=9,
        self_attention_widening_factor=4,
    )
    expected = 5 * 8 + count(8, 6, 6, 6, 1) + 3 * (count(8, 8, 8, 8, 4) - 16) + count(4, 8, 10, 9, 1) + 4 * 7 + 7
    assert sum(p.numel() for p in PerceiverIO(config).parameters()) == expected


def test_papers_imagenet_size():
    """Table 10 gives 48.4M parameters for 2-D Fourier positions: 3 + 258 input channels, 1000 classes."""
    config = PerceiverIOConfig(
        input_channels=261, query_channels=1024, output_channels=1000, num_blocks=8, decoder_query_residual=True
    )
    with torch.device("meta"):
        model = PerceiverIO(config)
    total = sum(p.numel() for p in model.parameters()) + 1024  # the trained output query
    assert total == pytest.approx(48.4e6, rel=0.002)


def test_output_options():
    inputs, queries, input_mask, query_mask = batch()
    assert make()(inputs, queries).shape == (3, 4, 4)
    zeros = make(output_channels=5, zero_init_output=True)
    assert zeros.decoder.output is not None
    assert not zeros.decoder.output.weight.any()
    torch.manual_seed(0)
    fresh = PerceiverIO(PerceiverIOConfig(**SMALL, output_channels=5, zero_init_output=True)).double()
    assert not fresh(inputs, queries, input_mask, query_mask).any()


def test_latents_start_small():
    torch.manual_seed(0)
    latents = PerceiverIO(PerceiverIOConfig(**{**SMALL, "num_latents": 1000})).encoder.latents
    assert latents.abs().max().item() <= 0.04
    assert latents.std().item() == pytest.approx(0.02 * 0.8796, rel=0.03)


@pytest.mark.parametrize("empty", ["inputs", "queries", "batch", "mask"])
def test_empty_axes_are_finite(empty):
    model = make()
    inputs, queries, input_mask, query_mask = batch()
    if empty == "inputs":
        inputs, input_mask = inputs[:, :0], input_mask[:, :0]
    elif empty == "queries":
        queries, query_mask = queries[:, :0], query_mask[:, :0]
    elif empty == "batch":
        inputs, queries, input_mask, query_mask = inputs[:0], queries[:0], input_mask[:0], query_mask[:0]
    else:
        input_mask, query_mask = torch.zeros_like(input_mask), torch.zeros_like(query_mask)
    outputs = model(inputs, queries, input_mask, query_mask)
    assert outputs.shape == queries.shape
    outputs.sum().backward()
    assert outputs.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_autocast_bfloat16_is_close():
    model = make().float()
    inputs, queries, input_mask, query_mask = batch()
    inputs, queries = inputs.float(), queries.float()
    exact = model(inputs, queries, input_mask, query_mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(inputs, queries, input_mask, query_mask)
    torch.testing.assert_close(rounded.float(), exact, atol=0.1, rtol=0.1)
    rounded.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_latents": 0}, "num_latents: expected at least 1, got 0"),
        ({"output_channels": 0}, "output_channels: expected at least 1, got 0"),
        ({"decoder_v_channels": -1}, "decoder_v_channels"),
        ({"num_self_attention_heads": 3}, "num_self_attention_heads = 3, got 8 and 8"),
        ({"num_cross_attention_heads": 4}, "num_cross_attention_heads = 4, got 6 and 6"),
        ({"decoder_v_channels": 7}, "num_decoder_heads = 2, got 8 and 7"),
        ({"activation": "relu"}, "'relu'"),
        ({"layer_norm_epsilon": 0.0}, "layer_norm_epsilon"),
        ({"latent_init_scale": math.nan}, "latent_init_scale"),
        ({"zero_init_output": True}, "output_channels"),
        ({"num_blocks": 2, "num_cross_attentions": 3}, "at most num_blocks = 2.*got 3"),
        ({"cross_attention_weights": "tied"}, "'tied'"),
    ],
)
def test_bad_configuration(settings, message):
    with pytest.raises(ValueError, match=message):
        PerceiverIOConfig(**{**SMALL, **HEADS, **settings})


FLOATS, BOOLS = torch.zeros, lambda *shape: torch.zeros(shape, dtype=torch.bool)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((FLOATS(5, 6), FLOATS(4, 4)), r"inputs: expected shape \[B, L, C\] with C = 6, got \[5, 6\]"),
        ((FLOATS(2, 5, 7), FLOATS(4, 4)), r"inputs: expected 6 channels .* got 7 \(shape \[2, 5, 7\]\)"),
        ((FLOATS(2, 5, 6), FLOATS(4, 4).double()), "queries: expected torch.float32"),
        ((BOOLS(2, 5, 6), FLOATS(4, 4)), "inputs: expected a floating point dtype, got torch.bool"),
        ((FLOATS(2, 5, 6), FLOATS(4)), r"queries: expected shape \[B, L, C\] or \[L, C\] with C = 4, got \[4\]"),
        ((FLOATS(2, 5, 6), FLOATS(4, 5)), "queries: expected 4 channels .* got 5"),
        ((FLOATS(2, 5, 6), FLOATS(3, 4, 4)), r"queries: expected batch size 2 .* got \[3, 4, 4\]"),
        ((FLOATS(2, 5, 6), FLOATS(4, 4), BOOLS(2, 4)), r"input_mask: expected shape \[2, 5\] .* got \[2, 4\]"),
        ((FLOATS(2, 5, 6), FLOATS(4, 4), FLOATS(2, 5)), "input_mask: expected dtype torch.bool .* got torch.float32"),
        ((FLOATS(2, 5, 6), FLOATS(4, 4), None, BOOLS(4)), r"query_mask: expected shape \[2, 4\] .* got \[4\]"),
    ],
)
def test_bad_tensors(arguments, message):
    with pytest.raises(ValueError, match=message):
        make().float()(*arguments)


def test_bad_latents():
    with pytest.raises(ValueError, match=r"latents: expected 8 channels .* got 9"):
        make().float().decode(torch.zeros(2, 3, 9), torch.zeros(4, 4))
