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

from perceiver_io.rows import RowLayout


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
    key_weight, value_weight = maps.to_key_value.weight.split(sizes)
    key_bias, value_bias = maps.to_key_value.bias.split(sizes)
    weight = torch.einsum("qhf,hfc->hqc", query_heads, key_weight.view(num_heads, -1, inputs.shape[-1])).flatten(0, 1)
    bias = torch.einsum("qhf,hf->hq", query_heads, key_bias.view(num_heads, -1)).flatten()
    # Where a list has no real token, its probabilities are uniform over inputs that are zero.
    scores = input_layout.to_attention(F.linear(inputs, weight, bias), fill=torch.finfo(inputs.dtype).min)
    means = torch.matmul(scores.softmax(dim=1).transpose(1, 2), input_layout.to_attention(inputs, fill=0.0))
    means = means.view(means.shape[0], num_heads, num_queries, inputs.shape[-1])
    values = torch.matmul(means, value_weight.view(num_heads, -1, inputs.shape[-1]).transpose(1, 2))
    attended: Tensor = values + value_bias.view(num_heads, 1, -1) * input_layout.has_real()
    return attended.transpose(1, 2).flatten(2)


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
    keys, values = maps.to_key_value(inputs).split([maps.qk_channels, maps.v_channels], dim=-1)
    head_channels, value_channels = maps.qk_channels // num_heads, maps.v_channels // num_heads
    keys = keys.view(batch_size, num_inputs, num_heads, head_channels).transpose(1, 2) * head_channels**-0.5
    values = values.view(batch_size, num_inputs, num_heads, value_channels).transpose(1, 2)
    query_weight = to_query.weight.view(num_heads, -1, to_query.in_features)
    output_weight = to_output.weight.view(to_output.out_features, num_heads, -1).permute(1, 2, 0)
    weight = torch.matmul(keys, query_weight).flatten(1, 2)
    bias = torch.matmul(keys, to_query.bias.view(num_heads, -1, 1)).view(batch_size, 1, num_heads * num_inputs)
    scores = torch.baddbmm(bias, query_layout.to_attention(queries), weight.transpose(1, 2))
    probabilities = scores.unflatten(-1, (num_heads, num_inputs)).softmax(dim=-1).flatten(-2)
    outputs = torch.matmul(probabilities, torch.matmul(values, output_weight).flatten(1, 2))
    return query_layout.from_attention(outputs) + to_output.bias
