"""Pre-norm attention blocks: attention, residual, MLP, residual."""

from __future__ import annotations

from torch import Tensor, nn

from perceiver_io import inference
from perceiver_io.attention import MLP, Activation, CrossAttention, SelfAttention
from perceiver_io.rows import RowLayout


class CrossAttentionBlock(nn.Module):
    """X = Attn(LN(X_Q), LN(X_KV)) + X_Q;  X + MLP(LN(X))  (Jaegle et al. 2022, appendix E).

    The query residual X_Q is optional: without it the output holds only what was read from the inputs.
    """

    def __init__(
        self,
        *,
        query_channels: int,
        input_channels: int,
        qk_channels: int,
        v_channels: int,
        num_heads: int,
        widening_factor: int = 1,
        query_residual: bool = True,
        activation: Activation = "gelu_tanh",
        layer_norm_epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.query_residual = query_residual
        self.query_norm = nn.LayerNorm(query_channels, eps=layer_norm_epsilon)
        self.input_norm = nn.LayerNorm(input_channels, eps=layer_norm_epsilon)
        self.attention = CrossAttention(
            query_channels=query_channels,
            input_channels=input_channels,
            qk_channels=qk_channels,
            v_channels=v_channels,
            num_heads=num_heads,
        )
        self.mlp_norm = nn.LayerNorm(query_channels, eps=layer_norm_epsilon)
        self.mlp = MLP(channels=query_channels, widening_factor=widening_factor, activation=activation)

    def forward(
        self,
        queries: Tensor,
        query_layout: RowLayout,
        inputs: Tensor,
        input_layout: RowLayout,
        *,
        shared_queries: bool = False,
    ) -> Tensor:
        """Return rows ``[R, query_channels]``.

        Args:
            queries: rows ``[R, query_channels]``, or ``[Q, query_channels]`` where shared by the whole batch.
            query_layout: where the query rows sit in ``[B, Q]``.
            inputs: rows ``[S, input_channels]``.
            input_layout: where the input rows sit in ``[B, M]``.
            shared_queries: every list of the batch has the same queries.
        """
        rows = self.attention(
            self.query_norm(queries), query_layout, self.input_norm(inputs), input_layout, shared_queries=shared_queries
        )
        if self.query_residual and shared_queries:
            rows = query_layout.add_shared(rows, queries)
        residual = queries if self.query_residual and not shared_queries else None
        return add_mlp(rows, self.mlp_norm, self.mlp, residual=residual)


class SelfAttentionBlock(nn.Module):
    """X = Attn(LN(X), LN(X)) + X;  X + MLP(LN(X))  (Jaegle et al. 2022, appendix E)."""

    def __init__(
        self,
        *,
        channels: int,
        qk_channels: int,
        v_channels: int,
        num_heads: int,
        widening_factor: int = 1,
        activation: Activation = "gelu_tanh",
        layer_norm_epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=layer_norm_epsilon)
        self.attention = SelfAttention(
            channels=channels, qk_channels=qk_channels, v_channels=v_channels, num_heads=num_heads
        )
        self.mlp_norm = nn.LayerNorm(channels, eps=layer_norm_epsilon)
        self.mlp = MLP(channels=channels, widening_factor=widening_factor, activation=activation)

    def forward(self, inputs: Tensor, layout: RowLayout) -> Tensor:
        """Return rows ``[R, channels]``.

        Args:
            inputs: rows ``[R, channels]``.
            layout: where the rows sit in ``[B, N]``.
        """
        return add_mlp(self.attention(self.norm(inputs), layout), self.mlp_norm, self.mlp, residual=inputs)


def add_mlp(rows: Tensor, norm: nn.LayerNorm, mlp: MLP, *, residual: Tensor | None = None) -> Tensor:
    """Return rows ``[R, C]``: X + MLP(LN(X)), where X is the rows, plus a residual ``[R, C]`` where there is one."""
    is_plain = type(mlp) is MLP and not inference.is_hooked(mlp)
    if is_plain and inference.worthwhile(rows, norm, mlp.to_hidden, mlp.to_output):
        return inference.perceptron_in_chunks(rows, mlp.to_hidden, mlp.to_output, mlp.approximate, norm, residual)
    if residual is not None:
        rows = residual + rows
    output: Tensor = rows + mlp(norm(rows))
    return output
