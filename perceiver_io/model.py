"""Perceiver IO: read inputs into latents, process the latents, decode outputs by queries (Jaegle et al. 2022)."""

from __future__ import annotations

from torch import Tensor, nn

from perceiver_io.attention import init_linear_, truncated_normal_parameter
from perceiver_io.blocks import CrossAttentionBlock, SelfAttentionBlock
from perceiver_io.checks import check_dtype, check_mask, check_tokens
from perceiver_io.config import PerceiverIOConfig
from perceiver_io.rows import RowLayout


class PerceiverEncoder(nn.Module):
    """Inputs -> latents: one cross-attention, then self-attention layers among the latents.

    With ``num_cross_attentions`` above one, the latents read the inputs again before further blocks, as in the first
    Perceiver (Jaegle et al. 2021, arXiv 2103.03206).
    """

    def __init__(self, config: PerceiverIOConfig) -> None:
        super().__init__()
        self.config = config
        self.latents = truncated_normal_parameter(
            (config.num_latents, config.latent_channels), std=config.latent_init_scale
        )
        self.cross_attention = _read_inputs(config)
        num_distinct = {"shared": 1, "shared_after_first": 2, "separate": config.num_cross_attentions}
        self.later_cross_attentions = nn.ModuleList(
            _read_inputs(config)
            for _ in range(1, min(num_distinct[config.cross_attention_weights], config.num_cross_attentions))
        )
        qk_channels, v_channels = config.self_attention_channels
        num_stacks = 1 if config.share_block_weights else config.num_blocks
        self.self_attention_layers = nn.ModuleList(
            SelfAttentionBlock(
                channels=config.latent_channels,
                qk_channels=qk_channels,
                v_channels=v_channels,
                num_heads=config.num_self_attention_heads,
                widening_factor=config.self_attention_widening_factor,
                activation=config.activation,
                layer_norm_epsilon=config.layer_norm_epsilon,
            )
            for _ in range(num_stacks * config.num_self_attention_layers_per_block)
        )

    def forward(self, inputs: Tensor, input_mask: Tensor | None = None) -> Tensor:
        """Return latents ``[B, N, D]``.

        Args:
            inputs: ``[B, M, input_channels]``.
            input_mask: ``[B, M]`` bool, True = real. A list without a real token gives finite latents.

        Raises:
            ValueError: if a shape or dtype is not the expected one.
        """
        check_tokens("inputs", inputs, channels=self.config.input_channels)
        check_dtype("inputs", inputs, like=self.latents)
        batch_size, length = inputs.shape[:2]
        check_mask("input_mask", input_mask, shape=(batch_size, length), of="inputs")
        layout = RowLayout.from_mask(batch_size, length, input_mask, skip_padding=self.config.skip_padding)
        return self.encode_rows(layout.pack(inputs), layout)

    def encode_rows(self, inputs: Tensor, input_layout: RowLayout) -> Tensor:
        """Return latents ``[B, N, D]`` of input rows ``[R, input_channels]``."""
        latent_layout = RowLayout.full(input_layout.batch_size, self.config.num_latents)
        latents = self.cross_attention(self.latents, latent_layout, inputs, input_layout, shared_queries=True)
        layers_per_block = self.config.num_self_attention_layers_per_block
        for block in range(self.config.num_blocks):
            if 0 < block < self.config.num_cross_attentions:
                latents = self._cross_attention_before(block)(latents, latent_layout, inputs, input_layout)
            first = 0 if self.config.share_block_weights else block * layers_per_block
            for layer in self.self_attention_layers[first : first + layers_per_block]:
                latents = layer(latents, latent_layout)
        return latent_layout.unpack(latents)

    def _cross_attention_before(self, block: int) -> nn.Module:
        """Return the cross-attention that a later block follows."""
        if len(self.later_cross_attentions) == 0:
            return self.cross_attention
        return self.later_cross_attentions[min(block, len(self.later_cross_attentions)) - 1]


def _read_inputs(config: PerceiverIOConfig) -> CrossAttentionBlock:
    qk_channels, v_channels = config.encoder_attention_channels
    return CrossAttentionBlock(
        query_channels=config.latent_channels,
        input_channels=config.input_channels,
        qk_channels=qk_channels,
        v_channels=v_channels,
        num_heads=config.num_cross_attention_heads,
        widening_factor=config.cross_attention_widening_factor,
        activation=config.activation,
        layer_norm_epsilon=config.layer_norm_epsilon,
    )


class PerceiverDecoder(nn.Module):
    """Latents, output queries -> outputs: one cross-attention, each output independent of the other queries."""

    def __init__(self, config: PerceiverIOConfig) -> None:
        super().__init__()
        self.config = config
        qk_channels, v_channels = config.decoder_attention_channels
        self.cross_attention = CrossAttentionBlock(
            query_channels=config.query_channels,
            input_channels=config.latent_channels,
            qk_channels=qk_channels,
            v_channels=v_channels,
            num_heads=config.num_decoder_heads,
            widening_factor=config.decoder_widening_factor,
            query_residual=config.decoder_query_residual,
            activation=config.activation,
            layer_norm_epsilon=config.layer_norm_epsilon,
        )
        self.output: nn.Linear | None = None
        if config.output_channels is not None:
            self.output = nn.Linear(config.query_channels, config.output_channels)
            init_linear_(self.output)
            if config.zero_init_output:
                nn.init.zeros_(self.output.weight)

    def forward(self, latents: Tensor, queries: Tensor, query_mask: Tensor | None = None) -> Tensor:
        """Return outputs ``[B, Q, O]``, O = output_channels (query_channels where that is None).

        Args:
            latents: ``[B, N, D]``.
            queries: ``[B, Q, query_channels]``, or ``[Q, query_channels]`` for the whole batch.
            query_mask: ``[B, Q]`` bool, True = real; the outputs of masked queries are zeros.

        Raises:
            ValueError: if a shape or dtype is not the expected one.
        """
        check_tokens("latents", latents, channels=self.config.latent_channels)
        check_tokens("queries", queries, channels=self.config.query_channels, ranks=(3, 2))
        check_dtype("queries", queries, like=latents)
        batch_size, num_queries, shared = latents.shape[0], queries.shape[-2], queries.dim() == 2
        if not shared and queries.shape[0] != batch_size:
            raise ValueError(
                f"queries: expected batch size {batch_size} to match latents {list(latents.shape)}, got "
                f"{list(queries.shape)}; leave the batch axis out to share queries"
            )
        check_mask("query_mask", query_mask, shape=(batch_size, num_queries), of="queries")
        layout = RowLayout.from_mask(batch_size, num_queries, query_mask, skip_padding=self.config.skip_padding)
        rows = self.decode_rows(latents, queries if shared else layout.pack(queries), layout, shared_queries=shared)
        return layout.unpack(rows)

    def decode_rows(
        self, latents: Tensor, queries: Tensor, query_layout: RowLayout, *, shared_queries: bool = False
    ) -> Tensor:
        """Return output rows ``[R, O]`` of query rows ``[R, query_channels]``, or of ``[Q, query_channels]`` shared."""
        latent_layout = RowLayout.full(latents.shape[0], latents.shape[1])
        rows: Tensor = self.cross_attention(
            queries, query_layout, latent_layout.pack(latents), latent_layout, shared_queries=shared_queries
        )
        return rows if self.output is None else self.output(rows)


class PerceiverIO(nn.Module):
    """Encoder and decoder: any number of inputs to any number of outputs, at linear cost in both.

    Example:
        >>> model = PerceiverIO(PerceiverIOConfig(input_channels=64, query_channels=32, output_channels=10))
        >>> model(torch.randn(2, 1000, 64), torch.randn(2, 5, 32)).shape
        torch.Size([2, 5, 10])
    """

    def __init__(self, config: PerceiverIOConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PerceiverEncoder(config)
        self.decoder = PerceiverDecoder(config)

    def forward(
        self,
        inputs: Tensor,
        queries: Tensor,
        input_mask: Tensor | None = None,
        query_mask: Tensor | None = None,
    ) -> Tensor:
        """Return outputs ``[B, Q, O]``, O = output_channels (query_channels where that is None).

        Args:
            inputs: ``[B, M, input_channels]``.
            queries: ``[B, Q, query_channels]``, or ``[Q, query_channels]`` for the whole batch.
            input_mask: ``[B, M]`` bool, True = real; what masked slots hold has no effect.
            query_mask: ``[B, Q]`` bool, True = real; the outputs of masked queries are zeros.

        Raises:
            ValueError: if a shape or dtype is not the expected one.
        """
        return self.decode(self.encode(inputs, input_mask), queries, query_mask)

    def encode(self, inputs: Tensor, input_mask: Tensor | None = None) -> Tensor:
        """Return latents ``[B, N, D]``; see :meth:`PerceiverEncoder.forward`."""
        latents: Tensor = self.encoder(inputs, input_mask)
        return latents

    def decode(self, latents: Tensor, queries: Tensor, query_mask: Tensor | None = None) -> Tensor:
        """Return outputs ``[B, Q, O]``; see :meth:`PerceiverDecoder.forward`."""
        outputs: Tensor = self.decoder(latents, queries, query_mask)
        return outputs
