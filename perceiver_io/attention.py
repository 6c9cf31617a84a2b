"""Multi-head attention and the two-layer perceptron: the arithmetic of Perceiver IO."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perceiver_io import inference
from perceiver_io.execution import has_forward_gradients, is_exporting
from perceiver_io.folded_attention import folding_pays, read_few_inputs, read_with_few_queries
from perceiver_io.rows import RowLayout

Activation = Literal["gelu_tanh", "gelu"]

# Attention matrices up to this size are faster on a CPU as plain matrix products: 1.4 times at 8 x 8 and 8 x 24 with
# gradients, equal at 32 x 32.
_SMALL_ATTENTION = 256
# Standard deviation of a standard normal truncated at two standard deviations.
_TRUNCATED_NORMAL_STD = 0.87962566103423978


def multi_head_attention(
    queries: Tensor, keys: Tensor, values: Tensor, *, num_heads: int, key_mask: Tensor | None = None
) -> Tensor:
    """Return softmax(Q K^T / sqrt(F)) V for every head, F = channels per head (Jaegle et al. 2022, appendix E).

    Args:
        queries: ``[B, Q, num_heads * F]``.
        keys: ``[B, M, num_heads * F]``.
        values: ``[B, M, num_heads * G]``.
        num_heads: number of heads; consecutive channels belong to one head.
        key_mask: ``[B, M]`` bool, True = may be attended to. What masked slots hold must be finite.

    Returns:
        ``[B, Q, num_heads * G]``; zeros where every key of a list is masked, or there is none.
    """
    query_heads, key_heads, value_heads = (_split_heads(tokens, num_heads) for tokens in (queries, keys, values))
    if is_exporting():
        attended = _exported_attention(query_heads, key_heads, value_heads, key_mask)
    elif _takes_plain_products(queries, keys):
        attended = _plain_attention(query_heads, key_heads, value_heads, key_mask)
    else:
        attn_mask = None if key_mask is None else key_mask[:, None, None, :]
        attended = F.scaled_dot_product_attention(query_heads, key_heads, value_heads, attn_mask=attn_mask)
    return attended.transpose(1, 2).flatten(2)


def _takes_plain_products(queries: Tensor, keys: Tensor) -> bool:
    """Return whether plain products take the place of the fused kernel.

    It knows no forward gradients and no empty axes. On a CPU, its backward pass is slow for tiny matrices, and very
    slow in bfloat16 (17 times at 256 x 256).
    """
    if queries.numel() == 0 or keys.numel() == 0:
        return True
    if not torch.compiler.is_compiling() and has_forward_gradients():
        return True
    if keys.device.type != "cpu" or not (torch.is_grad_enabled() and (queries.requires_grad or keys.requires_grad)):
        return False
    if keys.dtype.itemsize < 4:
        return True
    # A compiled model would be compiled again wherever the sizes cross that bound.
    return not torch.compiler.is_compiling() and queries.shape[1] * keys.shape[1] <= _SMALL_ATTENTION


def _plain_attention(queries: Tensor, keys: Tensor, values: Tensor, key_mask: Tensor | None) -> Tensor:
    """Return ``[B, H, Q, G]`` for ``[B, H, Q, F]``, ``[B, H, M, F]``, ``[B, H, M, G]``: at least float32 inside."""
    dtype = values.dtype
    with torch.autocast(values.device.type, enabled=False):
        if dtype.itemsize < 4:
            queries, keys, values = queries.float(), keys.float(), values.float()
        scores = torch.matmul(queries * queries.shape[-1] ** -0.5, keys.transpose(-1, -2))
        if key_mask is None:
            return torch.matmul(scores.softmax(dim=-1), values).to(dtype)
        bias = torch.zeros_like(key_mask, dtype=scores.dtype).masked_fill_(~key_mask, torch.finfo(scores.dtype).min)
        attended = torch.matmul((scores + bias[:, None, None, :]).softmax(dim=-1), values)
        has_key = key_mask.any(dim=-1)[:, None, None, None]
        return attended.masked_fill(~has_key, 0.0).to(dtype)


def _exported_attention(queries: Tensor, keys: Tensor, values: Tensor, key_mask: Tensor | None) -> Tensor:
    """Return ``[B, H, Q, G]`` by one graph for all sizes; lists without a key need no special rule of the runtime."""
    if key_mask is None:
        return F.scaled_dot_product_attention(queries, keys, values)
    has_key = key_mask.any(dim=-1, keepdim=True)
    attn_mask = (key_mask | ~has_key)[:, None, None, :]
    attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=attn_mask)
    return attended.masked_fill(~has_key[:, None, None], 0.0)


def _split_heads(tokens: Tensor, num_heads: int) -> Tensor:
    batch_size, length, channels = tokens.shape
    return tokens.view(batch_size, length, num_heads, channels // num_heads).transpose(1, 2)


class CrossAttention(nn.Module):
    """Multi-head attention of query rows to input rows, with its four linear maps."""

    def __init__(
        self, *, query_channels: int, input_channels: int, qk_channels: int, v_channels: int, num_heads: int
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qk_channels = qk_channels
        self.v_channels = v_channels
        self.to_query = nn.Linear(query_channels, qk_channels)
        self.to_key_value = nn.Linear(input_channels, qk_channels + v_channels)
        self.to_output = nn.Linear(v_channels, query_channels)
        for linear in (self.to_query, self.to_key_value, self.to_output):
            init_linear_(linear)

    def forward(
        self,
        queries: Tensor,
        query_layout: RowLayout,
        inputs: Tensor,
        input_layout: RowLayout,
        *,
        shared_queries: bool = False,
    ) -> Tensor:
        """Return what each query row gathers from the inputs of its list.

        Args:
            queries: rows ``[R, query_channels]``, or ``[Q, query_channels]`` where shared by the whole batch.
            query_layout: where the query rows sit in ``[B, Q]``.
            inputs: rows ``[S, input_channels]``.
            input_layout: where the input rows sit in ``[B, M]``.
            shared_queries: every list has the same queries; they are projected once.

        Returns:
            Rows ``[R, query_channels]``.
        """
        if not shared_queries and input_layout.mask is None:
            few_inputs = inputs.view(input_layout.batch_size, input_layout.length, inputs.shape[-1])
            if self._folding_pays(few_inputs):
                return read_few_inputs(queries, query_layout, few_inputs, self)
        projected_queries = self.to_query(queries)
        if shared_queries and self._folding_pays(projected_queries):
            attended = query_layout.pack(read_with_few_queries(projected_queries, inputs, input_layout, self))
        elif shared_queries:
            expanded_queries = projected_queries.expand(query_layout.batch_size, -1, -1)
            attended = query_layout.pack(self._attend(expanded_queries, inputs, input_layout))
        else:
            padded_queries = query_layout.to_attention(projected_queries)
            attended = query_layout.from_attention(self._attend(padded_queries, inputs, input_layout))
        output: Tensor = self.to_output(attended)
        return output

    def _folding_pays(self, few: Tensor) -> bool:
        linears = (self.to_query, self.to_key_value, self.to_output)
        return all(map(inference.plain_linear, linears)) and folding_pays(
            few, num_heads=self.num_heads, qk_channels=self.qk_channels
        )

    def _attend(self, projected_queries: Tensor, inputs: Tensor, input_layout: RowLayout) -> Tensor:
        """Return ``[B, Q, v_channels]`` for queries ``[B, Q, qk_channels]``."""
        keys_and_values = input_layout.to_attention(self.to_key_value(inputs))
        keys, values = torch.split(keys_and_values, [self.qk_channels, self.v_channels], dim=-1)
        return multi_head_attention(
            projected_queries, keys, values, num_heads=self.num_heads, key_mask=input_layout.attention_mask
        )


class SelfAttention(nn.Module):
    """Multi-head attention of rows to the rows of their own list, with its linear maps."""

    def __init__(self, *, channels: int, qk_channels: int, v_channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qk_channels = qk_channels
        self.v_channels = v_channels
        self.to_query_key_value = nn.Linear(channels, 2 * qk_channels + v_channels)
        self.to_output = nn.Linear(v_channels, channels)
        for linear in (self.to_query_key_value, self.to_output):
            init_linear_(linear)

    def forward(self, inputs: Tensor, layout: RowLayout) -> Tensor:
        """Return rows ``[R, channels]``: what each row gathers from its own list.

        Args:
            inputs: rows ``[R, channels]``.
            layout: where the rows sit in ``[B, N]``.
        """
        projected = layout.to_attention(self.to_query_key_value(inputs))
        queries, keys, values = torch.split(projected, [self.qk_channels, self.qk_channels, self.v_channels], dim=-1)
        attended = multi_head_attention(queries, keys, values, num_heads=self.num_heads, key_mask=layout.attention_mask)
        output: Tensor = self.to_output(layout.from_attention(attended))
        return output


class MLP(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, *, channels: int, widening_factor: int, activation: Activation = "gelu_tanh") -> None:
        super().__init__()
        self.approximate = "tanh" if activation == "gelu_tanh" else "none"
        self.to_hidden = nn.Linear(channels, widening_factor * channels)
        self.to_output = nn.Linear(widening_factor * channels, channels)
        for linear in (self.to_hidden, self.to_output):
            init_linear_(linear)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``[..., channels]`` for inputs ``[..., channels]``."""
        if inference.worthwhile(inputs, self.to_hidden, self.to_output):
            return inference.perceptron_in_chunks(inputs, self.to_hidden, self.to_output, self.approximate)
        output: Tensor = self.to_output(F.gelu(self.to_hidden(inputs), approximate=self.approximate))
        return output


def init_linear_(linear: nn.Linear) -> None:
    """Initialise in place: truncated normal of variance 1 / fan-in (LeCun), zero bias."""
    std = 1.0 / math.sqrt(linear.in_features) / _TRUNCATED_NORMAL_STD
    nn.init.trunc_normal_(linear.weight, std=std, a=-2.0 * std, b=2.0 * std)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


def truncated_normal_parameter(shape: tuple[int, ...], *, std: float) -> nn.Parameter:
    """Return a parameter drawn from a normal of that standard deviation, cut at twice it."""
    parameter = nn.Parameter(torch.empty(shape))
    nn.init.trunc_normal_(parameter, std=std, a=-2.0 * std, b=2.0 * std)
    return parameter
