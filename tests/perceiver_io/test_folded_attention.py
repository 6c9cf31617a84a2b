"""Folded attention gives the numbers and gradients of the attention that it takes the place of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from perceiver_io import CrossAttention, RowLayout, attention

MASK = torch.tensor([[True, True, False, True, True, True, True], [False] * 7, [True] * 7])


def make_attention() -> CrossAttention:
    torch.manual_seed(0)
    made = CrossAttention(query_channels=10, input_channels=12, qk_channels=16, v_channels=24, num_heads=2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.5)
    return made.double()


def outputs_and_gradients(
    monkeypatch: pytest.MonkeyPatch, *, folded: bool, few_queries: bool, skip_padding: bool, masked: bool
) -> list[Tensor]:
    monkeypatch.setattr(attention, "folding_pays", lambda few, num_heads, qk_channels: folded)
    used = make_attention()
    layout = RowLayout.from_mask(3, 7, MASK if masked else None, skip_padding=skip_padding)
    generator = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    if few_queries:
        queries, inputs = drawn(5, 10), drawn(3, 7, 12)
        rows = used(queries, RowLayout.full(3, 5), layout.pack(inputs), layout, shared_queries=True)
    else:
        queries, inputs = drawn(3, 7, 10), drawn(3, 4, 12)
        rows = layout.unpack(used(layout.pack(queries), layout, inputs.flatten(0, 1), RowLayout.full(3, 4)))
    weights = torch.randn(rows.shape, generator=generator, dtype=torch.float64)
    return [rows, *torch.autograd.grad((rows * weights).sum(), [queries, inputs, *used.parameters()])]


@pytest.mark.parametrize("few_queries", [True, False])
@pytest.mark.parametrize(("masked", "skip_padding"), [(False, True), (True, True), (True, False)])
def test_numbers_and_gradients_are_those_of_plain_attention(
    monkeypatch: pytest.MonkeyPatch, few_queries: bool, masked: bool, skip_padding: bool
) -> None:
    settings = {"few_queries": few_queries, "masked": masked, "skip_padding": skip_padding}
    plain = outputs_and_gradients(monkeypatch, folded=False, **settings)
    for got, expected in zip(outputs_and_gradients(monkeypatch, folded=True, **settings), plain, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_it_is_used_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    for name in ("read_with_few_queries", "read_few_inputs"):
        original = getattr(attention, name)
        monkeypatch.setattr(attention, name, lambda *given, f=original, n=name: used.append(n) or f(*given))
    cross = make_attention()
    inputs, queries = torch.randn(6, 12).double(), torch.randn(6, 10).double()
    full = RowLayout.full(2, 3)
    cross(queries[:5], RowLayout.full(2, 5), inputs, full, shared_queries=True)
    cross(queries, full, inputs, full)
    assert used == ["read_with_few_queries", "read_few_inputs"]
    # 2 heads x 8 tokens are as many as the 16 channels of a key.
    eight = RowLayout.full(1, 8)
    cross(torch.randn(8, 10).double(), eight, torch.randn(8, 12).double(), eight)
    cross(torch.randn(8, 10).double(), eight, inputs, RowLayout.full(1, 6), shared_queries=True)
    assert len(used) == 2


@pytest.mark.parametrize("few_queries", [True, False])
def test_empty_batches_and_inputs_are_no_special_case(few_queries: bool) -> None:
    cross = make_attention().float()
    for batch_size, length in ((0, 3), (2, 0)):
        layout, queries = RowLayout.full(batch_size, length), RowLayout.full(batch_size, 5)
        inputs = torch.zeros(batch_size * length, 12)
        given = torch.randn(5 if few_queries else 5 * batch_size, 10)
        rows = cross(given, queries, inputs, layout, shared_queries=few_queries)
        assert rows.shape == (5 * batch_size, 10)
        torch.testing.assert_close(rows, cross.to_output.bias.expand_as(rows))


@pytest.mark.parametrize("few_queries", [True, False])
def test_lists_read_one_by_one_give_the_numbers_of_padded_ones(
    monkeypatch: pytest.MonkeyPatch, few_queries: bool
) -> None:
    cross = make_attention()
    lengths = torch.tensor([90, 0, 3, 200])
    layout = RowLayout.from_mask(4, 200, torch.arange(200) < lengths[:, None])
    many, few = torch.randn(293, 12 if few_queries else 10).double(), torch.randn(5, 10).double()
    latents, used = torch.randn(4 * 3, 12).double(), []
    original = RowLayout.lists
    monkeypatch.setattr(RowLayout, "lists", lambda self, rows: used.append(1) or original(self, rows))

    def read() -> Tensor:
        if few_queries:
            return cross(few, RowLayout.full(4, 5), many, layout, shared_queries=True)
        return cross(many, layout, latents, RowLayout.full(4, 3))

    padded = read()
    assert used == []
    with torch.no_grad():
        torch.testing.assert_close(read(), padded, rtol=1e-10, atol=1e-12)
    assert used
