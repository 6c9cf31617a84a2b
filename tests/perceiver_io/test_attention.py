import math

import pytest
import torch

from perceiver_io import MLP, CrossAttention, RowLayout, multi_head_attention

# (queries, keys): both sides of the size at which plain products give way to the fused kernel.
SHAPES = [(8, 24), (32, 40)]


def qkv(num_queries: int, num_keys: int, dtype: torch.dtype = torch.float64, requires_grad: bool = True):
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, num_queries, 8), (3, num_keys, 8), (3, num_keys, 12)]
    return [torch.randn(s, generator=generator, dtype=dtype, requires_grad=requires_grad) for s in shapes]


def test_hand_worked_single_head():
    """Scores ln 3 and 0 give weights 3/4 and 1/4."""
    queries = torch.tensor([[[2.0, 0.0, 0.0, 0.0]]])
    keys = torch.tensor([[[math.log(3.0), 5.0, 5.0, 5.0], [0.0, 1.0, 1.0, 1.0]]])
    values = torch.tensor([[[4.0, 0.0], [0.0, 8.0]]])
    torch.testing.assert_close(multi_head_attention(queries, keys, values, num_heads=1), torch.tensor([[[3.0, 2.0]]]))


@pytest.mark.parametrize(("num_queries", "num_keys"), SHAPES)
def test_with_and_without_gradients_agree(num_queries, num_keys):
    queries, keys, values = qkv(num_queries, num_keys)
    key_mask = torch.rand(3, num_keys, generator=torch.Generator().manual_seed(1)) < 0.5
    with_gradients = multi_head_attention(queries, keys, values, num_heads=4, key_mask=key_mask)
    with torch.no_grad():
        without = multi_head_attention(queries, keys, values, num_heads=4, key_mask=key_mask)
    torch.testing.assert_close(with_gradients, without)


@pytest.mark.parametrize(("num_queries", "num_keys"), SHAPES)
def test_masked_keys_are_as_good_as_absent(num_queries, num_keys):
    queries, keys, values = qkv(num_queries, num_keys)
    key_mask = (torch.arange(num_keys) < 5).expand(3, -1)
    masked = multi_head_attention(queries, keys, values, num_heads=2, key_mask=key_mask)
    torch.testing.assert_close(masked, multi_head_attention(queries, keys[:, :5], values[:, :5], num_heads=2))


@pytest.mark.parametrize(("num_queries", "num_keys"), SHAPES)
@pytest.mark.parametrize("grad", [True, False])
def test_list_without_keys_reads_zeros(num_queries, num_keys, grad):
    queries, keys, values = qkv(num_queries, num_keys, requires_grad=grad)
    key_mask = torch.ones(3, num_keys, dtype=torch.bool)
    key_mask[1] = False
    attended = multi_head_attention(queries, keys, values, num_heads=2, key_mask=key_mask)
    assert torch.equal(attended[1], torch.zeros_like(attended[1]))
    assert attended[0].abs().min() > 0.0
    if grad:
        attended.sum().backward()
        for tensor in (queries, keys, values):
            assert tensor.grad is not None
            assert tensor.grad.isfinite().all()
            assert not tensor.grad[1].any()


def test_no_keys_and_no_queries():
    assert torch.equal(
        multi_head_attention(torch.ones(2, 3, 4), torch.ones(2, 0, 4), torch.ones(2, 0, 6), num_heads=2),
        torch.zeros(2, 3, 6),
    )
    assert multi_head_attention(torch.ones(2, 0, 4), torch.ones(2, 3, 4), torch.ones(2, 3, 6), num_heads=2).shape == (
        2,
        0,
        6,
    )


@pytest.mark.parametrize(("num_queries", "num_keys"), SHAPES)
def test_bfloat16_is_close_to_float32(num_queries, num_keys):
    queries, keys, values = qkv(num_queries, num_keys, torch.float32)
    exact = multi_head_attention(queries, keys, values, num_heads=2)
    half = [tensor.detach().bfloat16().requires_grad_() for tensor in (queries, keys, values)]
    rounded = multi_head_attention(*half, num_heads=2)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.05, rtol=0.05)
    rounded.sum().backward()
    assert all(tensor.grad is not None and tensor.grad.dtype == torch.bfloat16 for tensor in half)


@pytest.mark.parametrize(("num_queries", "num_keys"), [(2, 3), (5, 60)])
def test_gradients(num_queries, num_keys):
    queries, keys, values = qkv(num_queries, num_keys)
    key_mask = torch.arange(num_keys) < torch.tensor([[2], [0], [num_keys]])

    def function(*tensors: torch.Tensor) -> torch.Tensor:
        return multi_head_attention(*tensors, num_heads=2, key_mask=key_mask)

    assert torch.autograd.gradcheck(function, (queries, keys, values), fast_mode=True)


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("num_heads", [1, 2])
def test_folded_keys_equal_formed_keys(num_heads, skip_padding):
    """Queries shared by the batch take the folded path; the same queries, written out for each list, do not."""
    torch.manual_seed(0)
    attention = CrossAttention(
        query_channels=6, input_channels=5, qk_channels=12, v_channels=8, num_heads=num_heads
    ).double()
    for bias in (attention.to_query.bias, attention.to_key_value.bias):
        torch.nn.init.normal_(bias)
    mask = torch.rand(4, 7) < 0.5
    mask[2] = False
    inputs = RowLayout.from_mask(4, 7, mask, skip_padding=skip_padding)
    outputs, gradients = [], []
    for shared in (True, False):
        torch.manual_seed(1)
        queries = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
        tokens = torch.randn(4, 7, 5, dtype=torch.float64, requires_grad=True)
        rows = queries if shared else queries.repeat(4, 1)
        assert attention._folding_pays(rows) == shared
        output = attention(rows, RowLayout.full(4, 3), inputs.pack(tokens), inputs, shared_queries=shared)
        outputs.append(output)
        attention.zero_grad()
        output.square().sum().backward()
        gradients.append([queries.grad, tokens.grad, *(p.grad.clone() for p in attention.parameters())])
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-10, rtol=1e-7)


def test_activation_is_a_setting():
    x = torch.linspace(-3.0, 3.0, 50).reshape(-1, 1)
    layers = {name: MLP(channels=1, widening_factor=1, activation=name) for name in ("gelu_tanh", "gelu")}
    for layer in layers.values():
        torch.nn.init.ones_(layer.to_hidden.weight)
        torch.nn.init.ones_(layer.to_output.weight)
    exact = 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))
    tanh = 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    torch.testing.assert_close(layers["gelu"](x), exact)
    torch.testing.assert_close(layers["gelu_tanh"](x), tanh)
    assert (exact - tanh).abs().max() > 1e-4


def test_initial_weights_have_variance_one_over_fan_in():
    torch.manual_seed(0)
    mlp = MLP(channels=400, widening_factor=2)
    for layer in (mlp.to_hidden, mlp.to_output):
        std = layer.in_features**-0.5
        assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
        assert layer.weight.abs().max().item() <= 2.0 * std / 0.8796 + 1e-6
        assert not layer.bias.any()
