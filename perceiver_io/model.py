"""Perceiver IO: read inputs into latents, process the latents, decode outputs by queries (Jaegle et al. 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from torch import Tensor, nn

from perceiver_io.attention import Activation, init_linear_, truncated_normal_parameter
from perceiver_io.blocks import CrossAttentionBlock, SelfAttentionBlock
from perceiver_io.checks import check_mask, check_tokens
from perceiver_io.rows import RowLayout


@dataclass(frozen=True, kw_only=True)
class PerceiverIOConfig:
    """Sizes and settings of a :class:`PerceiverIO`; the defaults are the paper's (Jaegle et al. 2022).

    Raises:
        ValueError: if a size is not positive, or channels do not divide by the heads.
    """

    input_channels: int
    """Channels of the input tokens."""
    query_channels: int
    """Channels of the output queries."""
    output_channels: int | None = None
    """Channels of the outputs; None = no final linear layer, the outputs have the channels of the queries."""

    num_latents: int = 512
    """Latent vectors, N: attention among them costs N squared, reading and writing them N times the tokens."""
    latent_channels: int = 1024
    """Channels of each latent, D."""
    num_blocks: int = 1
    """Times the stack of self-attention layers is applied, with the same weights each time."""
    num_self_attention_layers_per_block: int = 6
    """Self-attention layers in the stack, each with weights of its own."""

    num_cross_attention_heads: int = 1
    """Heads with which the latents read the inputs."""
    num_self_attention_heads: int = 8
    """Heads of the self-attention among latents."""
    num_decoder_heads: int = 1
    """Heads with which the output queries read the latents."""

    cross_attention_qk_channels: int | None = None
    """Query and key channels of the encoder's cross-attention, all heads together; None = input_channels."""
    cross_attention_v_channels: int | None = None
    """Value channels of the encoder's cross-attention; None = its query and key channels."""
    self_attention_qk_channels: int | None = None
    """Query and key channels of the self-attention; None = latent_channels."""
    self_attention_v_channels: int | None = None
    """Value channels of the self-attention; None = its query and key channels."""
    decoder_qk_channels: int | None = None
    """Query and key channels of the decoder's cross-attention; None = latent_channels."""
    decoder_v_channels: int | None = None
    """Value channels of the decoder's cross-attention; None = its query and key channels."""

    cross_attention_widening_factor: int = 1
    """Hidden over outer channels in the MLP after the encoder's cross-attention."""
    self_attention_widening_factor: int = 1
    """Hidden over outer channels in the MLPs of the self-attention layers."""
    decoder_widening_factor: int = 1
    """Hidden over outer channels in the decoder's MLP, which runs on every output."""

    decoder_query_residual: bool = False
    """Add the output queries to what they read; wanted where a query carries features the output needs."""
    activation: Activation = "gelu_tanh"
    """GELU in its tanh form (the paper's code) or "gelu", the exact one (as in the published conversions)."""
    layer_norm_epsilon: float = 1e-5
    """Added to the variance in every layer norm."""
    latent_init_scale: float = 0.02
    """Standard deviation of the latents at the start."""
    zero_init_output: bool = False
    """Start the final linear layer at zero, so that the first outputs are zeros."""
    skip_padding: bool = True
    """Leave masked tokens out of all dense work. False keeps static shapes, as compiled and exported
    models do by themselves."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise ValueError(f"{field.name}: expected at least 1, got {value}")
        if self.activation not in ("gelu_tanh", "gelu"):
            raise ValueError(f'activation: expected "gelu_tanh" or "gelu", got {self.activation!r}')
        for name in ("layer_norm_epsilon", "latent_init_scale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name}: expected a positive number, got {value}")
        if self.zero_init_output and self.output_channels is None:
            raise ValueError("zero_init_output: expected output_channels with it, got None; there is no final layer")
        for name, heads, channels in (
            ("cross_attention", self.num_cross_attention_heads, self.encoder_attention_channels),
            ("self_attention", self.num_self_attention_heads, self.self_attention_channels),
            ("decoder", self.num_decoder_heads, self.decoder_attention_channels),
        ):
            if any(size % heads for size in channels):
                raise ValueError(
                    f"{name}: expected query/key and value channels that divide by num_{name}_heads = {heads}, got "
                    f"{channels[0]} and {channels[1]}; set {name}_qk_channels and {name}_v_channels"
                )

    @property
    def encoder_attention_channels(self) -> tuple[int, int]:
        """Query/key and value channels of the encoder's cross-attention."""
        qk_channels = self.cross_attention_qk_channels or self.input_channels
        return qk_channels, self.cross_attention_v_channels or qk_channels

    @property
    def self_attention_channels(self) -> tuple[int, int]:
        """Query/key and value channels of the self-attention layers."""
        qk_channels = self.self_attention_qk_channels or self.latent_channels
        return qk_channels, self.self_attention_v_channels or qk_channels

    @property
    def decoder_attention_channels(self) -> tuple[int, int]:
        """Query/key and value channels of the decoder's cross-attention."""
        qk_channels = self.decoder_qk_channels or self.latent_channels
        return qk_channels, self.decoder_v_channels or qk_channels


class PerceiverEncoder(nn.Module):
    """Inputs -> latents: one cross-attention, then self-attention layers among the latents."""

    def __init__(self, config: PerceiverIOConfig) -> None:
        super().__init__()
        self.config = config
        self.latents = truncated_normal_parameter(
            (config.num_latents, config.latent_channels), std=config.latent_init_scale
        )
        qk_channels, v_channels = config.encoder_attention_channels
        self.cross_attention = CrossAttentionBlock(
            query_channels=config.latent_channels,
            input_channels=config.input_channels,
            qk_channels=qk_channels,
            v_channels=v_channels,
            num_heads=config.num_cross_attention_heads,
            widening_factor=config.cross_attention_widening_factor,
            activation=config.activation,
            layer_norm_epsilon=config.layer_norm_epsilon,
        )
        qk_channels, v_channels = config.self_attention_channels
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
            for _ in range(config.num_self_attention_layers_per_block)
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
        batch_size, length = inputs.shape[:2]
        check_mask("input_mask", input_mask, shape=(batch_size, length), of="inputs")
        layout = RowLayout.from_mask(batch_size, length, input_mask, skip_padding=self.config.skip_padding)
        return self.encode_rows(layout.pack(inputs), layout)

    def encode_rows(self, inputs: Tensor, input_layout: RowLayout) -> Tensor:
        """Return latents ``[B, N, D]`` of input rows ``[R, input_channels]``."""
        latent_layout = RowLayout.full(input_layout.batch_size, self.config.num_latents)
        latents = self.cross_attention(self.latents, latent_layout, inputs, input_layout, shared_queries=True)
        for _ in range(self.config.num_blocks):
            for layer in self.self_attention_layers:
                latents = layer(latents, latent_layout)
        return latent_layout.unpack(latents)


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
