import pytest
import torch

from perceiver_io import RowLayout

MASK = torch.tensor([[False, True, False, True], [False, False, False, False], [True, False, False, False]])


def tokens() -> torch.Tensor:
    return torch.arange(1.0, 13.0).reshape(3, 4, 1)


def test_rows_of_real_tokens_in_order():
    layout = RowLayout.from_mask(3, 4, MASK)
    rows = layout.pack(tokens())
    assert rows.flatten().tolist() == [2.0, 4.0, 9.0]
    assert layout.unpack(rows)[..., 0].tolist() == [[0, 2, 0, 4], [0, 0, 0, 0], [9, 0, 0, 0]]


def test_attention_lists_are_as_long_as_the_longest():
    layout = RowLayout.from_mask(3, 4, MASK)
    rows = layout.pack(tokens())
    assert layout.attention_length == 2
    assert layout.attention_mask is not None
    assert layout.attention_mask.tolist() == [[True, True], [False, False], [True, False]]
    assert layout.to_attention(rows)[..., 0].tolist() == [[2, 4], [0, 0], [9, 0]]
    assert layout.to_attention(rows, fill=-7.0)[..., 0].tolist() == [[2, 4], [-7, -7], [9, -7]]
    assert torch.equal(layout.from_attention(layout.to_attention(rows)), rows)


def test_static_shapes_keep_every_slot():
    layout = RowLayout.from_mask(3, 4, MASK, skip_padding=False)
    rows = layout.pack(tokens())
    assert rows.flatten().tolist() == [0, 2, 0, 4, 0, 0, 0, 0, 9, 0, 0, 0]
    assert layout.unpack(rows + 1.0)[..., 0].tolist() == [[0, 3, 0, 5], [0, 0, 0, 0], [10, 0, 0, 0]]
    assert layout.to_attention(rows, fill=-7.0)[2, :, 0].tolist() == [9, -7, -7, -7]
    assert torch.equal(layout.from_attention(layout.to_attention(rows)), rows)


@pytest.mark.parametrize("mask", [MASK, None])
@pytest.mark.parametrize("skip_padding", [True, False])
def test_shared_tensor_is_added_to_every_list(mask, skip_padding):
    layout = RowLayout.from_mask(3, 4, mask, skip_padding=skip_padding)
    shared = torch.tensor([[10.0], [20.0], [30.0], [40.0]])
    expected = tokens() + shared
    if mask is not None:
        expected = expected * mask.unsqueeze(-1)
    torch.testing.assert_close(layout.unpack(layout.add_shared(layout.pack(tokens()), shared)), expected)


def test_nothing_padded_needs_no_index():
    layout = RowLayout.from_mask(3, 4, torch.ones(3, 4, dtype=torch.bool))
    assert layout.index is None
    assert layout.mask is None
    packed, padded = layout.pack(tokens()), tokens()
    torch.testing.assert_close(packed, padded.flatten(0, 1))
    assert torch.equal(layout.unpack(layout.pack(tokens())), tokens())


@pytest.mark.parametrize(("batch_size", "length"), [(0, 4), (3, 0), (3, 4)])
def test_no_rows_at_all(batch_size, length):
    layout = RowLayout.from_mask(batch_size, length, torch.zeros(batch_size, length, dtype=torch.bool))
    rows = layout.pack(torch.ones(batch_size, length, 2))
    assert rows.shape == (0, 2)
    assert torch.equal(layout.unpack(rows), torch.zeros(batch_size, length, 2))
    assert layout.from_attention(layout.to_attention(rows)).shape == (0, 2)


@pytest.mark.parametrize("mask", [MASK, None])
@pytest.mark.parametrize("skip_padding", [True, False])
def test_mean_of_each_list_and_back_to_its_rows(mask, skip_padding):
    layout = RowLayout.from_mask(3, 4, mask, skip_padding=skip_padding)
    means = layout.mean(layout.pack(tokens()) + 1.0)
    assert means.flatten().tolist() == ([4.0, 0.0, 10.0] if mask is not None else [3.5, 7.5, 11.5])
    repeated = layout.unpack(layout.repeat(means))[..., 0]
    expected = means.expand(3, 4) * (1.0 if mask is None else mask)
    assert torch.equal(repeated, expected)
