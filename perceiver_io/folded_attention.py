"""Cross-attention with its linear maps moved to the few tokens, for where the many would each be mapped otherwise.

q . (W_k x + b_k) = (W_k^T q) . x + q . b_k, and a mean of W_v x is W_v times the mean of x: the numbers are the same up
to rounding, and what is done for each of the many tokens shrinks from its channels squared to its channels times the
heads and latents.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceiver_io.execution import is_transformed
from perceiver_io.rows import RowLayout

# Rows of a list, in the mean, from which on its own product repays its call.
_LEAST_LIST_LENGTH = 48


def folding_pays(few: Tensor, *, num_heads: int, qk_channels: int) -> bool:
    """Return whether all scores of a token are fewer than its projected channels, in float32 on a CPU.

    Args:
        few: ``[..., N, C]``: the latents, as queries or as inputs.
        num_heads: heads that each of them has.
        qk_channels: channels of queries and keys.
    """
    if few.device.type != "cpu" or few.dtype.itemsize < 4 or torch.is_autocast_enabled(few.device.type):
        return False
    number = few.shape[-2]
    # A number that is open in an exported graph is a torch.SymInt.
    return isinstance(number, int) and 0 < num_heads * number < qk_channels


class AttentionMaps(Protocol):
    """The linear maps of a cross-attention."""

    num_heads: int
    qk_channels: int
    v_channels: int
    to_query: nn.Linear
    to_key_value: nn.Linear
    to_output: nn.Linear


def read_with_few_queries(
    projected_queries: Tensor, inputs: Tensor, input_layout: RowLayout, maps: AttentionMaps
) -> Tensor:
    """Return ``[B, Q, v_channels]``: what queries shared by the batch gather from many inputs.

    Args:
        projected_queries: ``[Q, qk_channels]``.
        inputs: rows ``[S, C]``.
        input_layout: where the input rows sit in ``[B, M]``.
        maps: the linear maps of the attention.
    """
    num_queries, num_heads, sizes = projected_queries.shape[0], maps.num_heads, [maps.qk_channels, maps.v_channels]
    query_heads = projected_queries.view(num_queries, num_heads, -1) * (maps.qk_channels // num_heads) ** -0.5
    key_weight, value_weight = (
        weight.view(num_heads, -1, inputs.shape[-1]) for weight in maps.to_key_value.weight.split(sizes)
    )
    key_bias, value_bias = (bias.view(num_heads, -1) for bias in maps.to_key_value.bias.split(sizes))
    weight = torch.einsum("qhf,hfc->hqc", query_heads, key_weight).flatten(0, 1)
    bias = torch.einsum("qhf,hf->hq", query_heads, key_bias).flatten()
    means = _weighted_means(F.linear(inputs, weight, bias), inputs, input_layout)
    mean_heads = means.view(-1, num_heads, num_queries, inputs.shape[-1]).transpose(0, 1).flatten(1, 2)
    values = torch.bmm(mean_heads, value_weight.transpose(1, 2)).view(num_heads, -1, num_queries, value_weight.shape[1])
    attended: Tensor = values + value_bias.view(num_heads, 1, 1, -1) * input_layout.has_real()
    return attended.permute(1, 2, 0, 3).flatten(2)


def _weighted_means(scores: Tensor, inputs: Tensor, layout: RowLayout) -> Tensor:
    """Return ``[B, J, C]``: for each column of scores ``[S, J]``, the mean of a list's inputs by their softmax."""
    if _list_by_list(layout, inputs):
        means = inputs.new_empty(layout.batch_size, scores.shape[1], inputs.shape[1])
        for mean, list_scores, list_inputs in zip(means, layout.lists(scores), layout.lists(inputs), strict=True):
            torch.mm(list_scores.softmax(dim=0).t(), list_inputs, out=mean)
        return means
    # Where a list has no real token, its probabilities are uniform over inputs that are zero.
    padded_scores = layout.to_attention(scores, fill=torch.finfo(inputs.dtype).min)
    return torch.bmm(padded_scores.softmax(dim=1).transpose(1, 2), layout.to_attention(inputs, fill=0.0))


def read_few_inputs(queries: Tensor, query_layout: RowLayout, inputs: Tensor, maps: AttentionMaps) -> Tensor:
    """Return rows ``[R, C]``: what many queries gather from few inputs, all of them real.

    Args:
        queries: rows ``[R, C]``.
        query_layout: where the query rows sit in ``[B, Q]``.
        inputs: ``[B, N, D]``.
        maps: the linear maps of the attention.
    """
    batch_size, num_inputs, _ = inputs.shape
    num_heads, to_query, to_output = maps.num_heads, maps.to_query, maps.to_output
    keys, values = (
        tokens.flatten(0, 1).unflatten(-1, (num_heads, -1)).transpose(0, 1)
        for tokens in maps.to_key_value(inputs).split([maps.qk_channels, maps.v_channels], dim=-1)
    )
    keys = keys * (maps.qk_channels // num_heads) ** -0.5
    weight = torch.bmm(keys, to_query.weight.view(num_heads, -1, to_query.in_features))
    bias = torch.bmm(keys, to_query.bias.view(num_heads, -1, 1))
    output_weight = to_output.weight.view(to_output.out_features, num_heads, -1).permute(1, 2, 0)
    # The probabilities of each head sum to one, so a head's share of the bias may go with the values. (It is not
    # divided: older torch cannot turn that into ONNX.)
    mapped_values = torch.bmm(values, output_weight) + to_output.bias * (1 / num_heads)
    weight, bias, mapped_values = (
        tokens.unflatten(1, (batch_size, num_inputs)).transpose(0, 1).flatten(1, 2)
        for tokens in (weight, bias, mapped_values)
    )
    if _list_by_list(query_layout, queries):
        return _read_list_by_list(queries, query_layout, weight, bias, mapped_values, num_heads)
    scores = torch.baddbmm(bias.transpose(1, 2), query_layout.to_attention(queries), weight.transpose(1, 2))
    probabilities = scores.unflatten(-1, (num_heads, num_inputs)).softmax(dim=-1).flatten(-2)
    return query_layout.from_attention(torch.bmm(probabilities, mapped_values))


def _read_list_by_list(
    queries: Tensor, layout: RowLayout, weight: Tensor, bias: Tensor, values: Tensor, num_heads: int
) -> Tensor:
    """Return rows ``[R, D]`` for queries ``[R, C]``; each list has a weight, bias and values of its own."""
    scores = queries.new_empty(queries.shape[0], weight.shape[1])
    for index, (list_queries, list_scores) in enumerate(zip(layout.lists(queries), layout.lists(scores), strict=True)):
        torch.addmm(bias[index].t(), list_queries, weight[index].t(), out=list_scores)
    probabilities = scores.unflatten(-1, (num_heads, -1)).softmax(dim=-1).flatten(-2)
    attended = queries.new_empty(queries.shape[0], values.shape[2])
    for index, (of_list, output) in enumerate(zip(layout.lists(probabilities), layout.lists(attended), strict=True)):
        torch.mm(of_list, values[index], out=output)
    return attended


def _list_by_list(layout: RowLayout, tokens: Tensor) -> bool:
    """Return whether one product for each list beats products over lists padded to the longest: few, long lists."""
    if layout.attention_index is None or torch.is_grad_enabled() or is_transformed():
        return False
    return tokens.shape[0] >= _LEAST_LIST_LENGTH * layout.batch_size
