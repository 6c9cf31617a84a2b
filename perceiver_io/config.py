"""Sizes and settings of Perceiver IO."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, Literal, Protocol, get_args

from perceiver_io.attention import Activation

CrossAttentionWeights = Literal["shared", "shared_after_first", "separate"]


@dataclass(frozen=True, kw_only=True)
class PerceiverIOSettings:
    """Settings that don't depend on what is read and decoded; the defaults are the paper's (Jaegle et al. 2022)."""

    num_latents: int = 512
    """Latent vectors, N: attention among them costs N squared, reading and writing them N times the tokens."""
    latent_channels: int = 1024
    """Channels of each latent, D."""
    num_blocks: int = 1
    """Times the stack of self-attention layers is applied, with the same weights each time by default."""
    num_self_attention_layers_per_block: int = 6
    """Self-attention layers in the stack, each with weights of its own."""
    share_block_weights: bool = True
    """False gives each block a stack of its own instead."""
    num_cross_attentions: int = 1
    """Blocks that the latents read the inputs before, from the first one on; more than one makes Perceiver (2021)."""
    cross_attention_weights: CrossAttentionWeights = "shared"
    """Weights of repeated cross-attentions: one set, one set for the first and one for the others, or all separate."""

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

    activation: Activation = "gelu_tanh"
    """GELU in its tanh form (the paper's code) or "gelu", the exact one (as in the published conversions)."""
    layer_norm_epsilon: float = 1e-5
    """Added to the variance in every layer norm."""
    latent_init_scale: float = 0.02
    """Standard deviation of the latents at the start."""
    skip_padding: bool = True
    """Leave masked tokens out of all dense work. False keeps static shapes, as compiled and exported
    models do by themselves."""


@dataclass(frozen=True, kw_only=True)
class PerceiverIOConfig(PerceiverIOSettings):
    """Sizes and settings of a :class:`PerceiverIO`.

    Raises:
        ValueError: if a size is not positive, or channels do not divide by the heads.
    """

    input_channels: int
    """Channels of the input tokens."""
    query_channels: int
    """Channels of the output queries."""
    output_channels: int | None = None
    """Channels of the outputs; None = no final linear layer, the outputs have the channels of the queries."""
    decoder_query_residual: bool = False
    """Add the output queries to what they read; wanted where a query carries features the output needs."""
    zero_init_output: bool = False
    """Start the final linear layer at zero, so that the first outputs are zeros."""

    def __post_init__(self) -> None:
        check_sizes(self)
        check_numerics(self)
        if self.cross_attention_weights not in get_args(CrossAttentionWeights):
            raise ValueError(
                f"cross_attention_weights: expected one of {get_args(CrossAttentionWeights)}, got "
                f"{self.cross_attention_weights!r}"
            )
        if self.num_cross_attentions > self.num_blocks:
            raise ValueError(
                f"num_cross_attentions: expected at most num_blocks = {self.num_blocks}, as a block follows each, got "
                f"{self.num_cross_attentions}"
            )
        if not (math.isfinite(self.latent_init_scale) and self.latent_init_scale > 0.0):
            raise ValueError(f"latent_init_scale: expected a positive number, got {self.latent_init_scale}")
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


class _Numerics(Protocol):
    @property
    def activation(self) -> Activation: ...

    @property
    def layer_norm_epsilon(self) -> float: ...


def check_numerics(settings: _Numerics) -> None:
    """Raise ValueError unless activation and layer norm's epsilon are possible ones."""
    if settings.activation not in get_args(Activation):
        raise ValueError(f"activation: expected one of {get_args(Activation)}, got {settings.activation!r}")
    if not (math.isfinite(settings.layer_norm_epsilon) and settings.layer_norm_epsilon > 0.0):
        raise ValueError(f"layer_norm_epsilon: expected a positive number, got {settings.layer_norm_epsilon}")


def check_sizes(settings: Any) -> None:
    """Raise ValueError unless every size of the settings, and of their tuples, is an integer of at least 1."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        sizes = value if isinstance(value, tuple | list) else (value,)
        expected = str(field.type).removesuffix(" | None")
        if value is not None and expected == "tuple[int, int]" and len(sizes) != 2:
            raise ValueError(f"{field.name}: expected two sizes, got {value}")
        if (
            value is not None
            and expected in ("int", "tuple[int, int]")
            and not all(isinstance(size, Integral) for size in sizes)
        ):
            raise ValueError(f"{field.name}: expected {expected}, got {value}")
        if any(isinstance(size, Integral) and not isinstance(size, bool) and size < 1 for size in sizes):
            raise ValueError(f"{field.name}: expected at least 1, got {value}")
