"""Pre-norm blocks of the set models that a Perceiver is compared with: inducing points, linear attention, means."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perceiver_io.attention import Activation, SelfAttention, init_linear_, truncated_normal_parameter
from perceiver_io.blocks import CrossAttentionBlock, SelfAttentionBlock
from perceiver_io.rows import RowLayout

# Least sum of weights that attended values are divided by: a query may have no channel in common with any key.
_LEAST_WEIGHT = 1e-6


class InducedSetAttentionBlock(nn.Module):
    """H = MAB(I, X), then MAB(X, H), with trained inducing points I (Lee et al. 2019, arXiv 1810.00825, ISAB).

    The two attention blocks are in pre-norm form, as everywhere in this library; the paper normalises after each
    residual.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_heads: int,
        num_inducing_points: int,
        widening_factor: int = 1,
        activation: Activation = "gelu_tanh",
        layer_norm_epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.inducing_points = truncated_normal_parameter((num_inducing_points, channels), std=0.02)
        self.read, self.write = (
            CrossAttentionBlock(
                query_channels=channels,
                input_channels=channels,
                qk_channels=channels,
                v_channels=channels,
                num_heads=num_heads,
                widening_factor=widening_factor,
                activation=activation,
                layer_norm_epsilon=layer_norm_epsilon,
            )
            for _ in range(2)
        )

    def forward(self, inputs: Tensor, layout: RowLayout) -> tuple[Tensor, Tensor]:
        """Return rows ``[R, channels]``, and what the inducing points read of each list, ``[B, I, channels]``.

        Args:
            inputs: rows ``[R, channels]``.
            layout: where the rows sit in ``[B, N]``.
        """
        point_layout = RowLayout.full(layout.batch_size, self.inducing_points.shape[0])
        points = self.read(self.inducing_points, point_layout, inputs, layout, shared_queries=True)
        rows: Tensor = self.write(inputs, layout, points, point_layout)
        return rows, point_layout.unpack(points)


class CosformerAttention(SelfAttention):
    """Linear attention: weights ReLU(q_i) . ReLU(k_j) cos(pi / 2 (i - j) / M), divided by their sum over j.

    The cosine of a difference is a sum of two products, one factor with i and one with j, so that no matrix of pairs is
    formed (Qin et al. 2022, arXiv 2202.08791). The paper's M bounds the length of a sequence; here i counts the real
    tokens of the list in their order, from 0, and M is their number, so padding moves no token. Attention therefore
    depends on the order of the list. Without re-weighting the cosine is left out, and the order doesn't matter.
    """

    def __init__(
        self, *, channels: int, qk_channels: int, v_channels: int, num_heads: int, cos_reweighting: bool = True
    ) -> None:
        super().__init__(channels=channels, qk_channels=qk_channels, v_channels=v_channels, num_heads=num_heads)
        self.cos_reweighting = cos_reweighting

    def forward(self, inputs: Tensor, layout: RowLayout) -> Tensor:
        """Return rows ``[R, channels]``: what each row gathers from its own list.

        Args:
            inputs: rows ``[R, channels]``.
            layout: where the rows sit in ``[B, N]``.
        """
        projected = layout.to_attention(self.to_query_key_value(inputs), fill=0.0)
        queries, keys, values = torch.split(projected, [self.qk_channels, self.qk_channels, self.v_channels], dim=-1)
        angles = _position_angles(layout, inputs) if self.cos_reweighting else None
        attended = linear_attention(F.relu(queries), F.relu(keys), values, num_heads=self.num_heads, angles=angles)
        output: Tensor = self.to_output(layout.from_attention(attended))
        return output


def linear_attention(
    queries: Tensor, keys: Tensor, values: Tensor, *, num_heads: int, angles: Tensor | None = None
) -> Tensor:
    """Return sum_j w_ij v_j / sum_j w_ij with w_ij = q_i . k_j, or (q_i . k_j) cos(a_i - a_j), for every head.

    Args:
        queries: ``[B, A, num_heads * F]``, not negative.
        keys: ``[B, A, num_heads * F]``, not negative, zeros in masked slots.
        values: ``[B, A, num_heads * G]``, finite in masked slots.
        num_heads: number of heads; consecutive channels belong to one head.
        angles: ``[B, A]`` or ``[A]``, no two real tokens of a list more than pi / 2 apart.

    Returns:
        ``[B, A, num_heads * G]``, computed in at least float32; zeros where a query's weights are all zero.
    """
    dtype = values.dtype
    with torch.autocast(values.device.type, enabled=False):
        if dtype.itemsize < 4:
            queries, keys, values = queries.float(), keys.float(), values.float()
        query_heads, key_heads, value_heads = (
            tokens.unflatten(-1, (num_heads, -1)).transpose(1, 2) for tokens in (queries, keys, values)
        )
        if angles is not None:
            cosines, sines = (part.to(queries.dtype)[..., None, :, None] for part in (angles.cos(), angles.sin()))
            query_heads = torch.cat([query_heads * cosines, query_heads * sines], dim=-1)
            key_heads = torch.cat([key_heads * cosines, key_heads * sines], dim=-1)
        weighted = torch.matmul(query_heads, torch.matmul(key_heads.transpose(-1, -2), value_heads))
        total = torch.matmul(query_heads, key_heads.sum(dim=-2).unsqueeze(-1))
        return (weighted / total.clamp_min(_LEAST_WEIGHT)).transpose(1, 2).flatten(2).to(dtype)


def _position_angles(layout: RowLayout, like: Tensor) -> Tensor:
    """Return ``[B, A]`` or ``[A]``: pi / 2 i / M for the i-th real token of a list of M, in at least float32."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    if layout.attention_mask is None:
        order = torch.arange(layout.attention_length, device=like.device, dtype=dtype)
        return order * (math.pi / 2.0 / max(layout.attention_length, 1))
    order = layout.attention_mask.cumsum(dim=1) - 1
    return order.to(dtype) * (math.pi / 2.0) / layout.attention_mask.sum(dim=1, keepdim=True).clamp(min=1)


class CosformerBlock(SelfAttentionBlock):
    """X = Attn(LN(X)) + X;  X + MLP(LN(X)), with :class:`CosformerAttention`."""

    def __init__(
        self,
        *,
        channels: int,
        num_heads: int,
        cos_reweighting: bool = True,
        widening_factor: int = 1,
        activation: Activation = "gelu_tanh",
        layer_norm_epsilon: float = 1e-5,
    ) -> None:
        super().__init__(
            channels=channels,
            qk_channels=channels,
            v_channels=channels,
            num_heads=num_heads,
            widening_factor=widening_factor,
            activation=activation,
            layer_norm_epsilon=layer_norm_epsilon,
        )
        self.attention = CosformerAttention(
            channels=channels,
            qk_channels=channels,
            v_channels=channels,
            num_heads=num_heads,
            cos_reweighting=cos_reweighting,
        )


class DeepSetsBlock(nn.Module):
    """X + W GELU(L LN(X) + G mean(LN(X)) + b), the mean over each list (Zaheer et al. 2017, arXiv 1703.06114).

    L and G are the paper's two maps, of an element and of the pooled set; the residual, norm and W are those of the
    other models' MLPs.
    """

    def __init__(
        self,
        *,
        channels: int,
        widening_factor: int = 1,
        activation: Activation = "gelu_tanh",
        layer_norm_epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.approximate = "tanh" if activation == "gelu_tanh" else "none"
        self.norm = nn.LayerNorm(channels, eps=layer_norm_epsilon)
        self.to_hidden = nn.Linear(channels, widening_factor * channels)
        self.mean_to_hidden = nn.Linear(channels, widening_factor * channels, bias=False)
        self.to_output = nn.Linear(widening_factor * channels, channels)
        for linear in (self.to_hidden, self.mean_to_hidden, self.to_output):
            init_linear_(linear)

    def forward(self, inputs: Tensor, layout: RowLayout) -> Tensor:
        """Return rows ``[R, channels]``.

        Args:
            inputs: rows ``[R, channels]``.
            layout: where the rows sit in ``[B, N]``.
        """
        normed = self.norm(inputs)
        hidden = self.to_hidden(normed) + layout.repeat(self.mean_to_hidden(layout.mean(normed)))
        output: Tensor = inputs + self.to_output(F.gelu(hidden, approximate=self.approximate))
        return output
