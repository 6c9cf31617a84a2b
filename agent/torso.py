"""Tokens and output queries -> outputs, by Perceiver IO or by AlphaStar's transformer, behind the same two calls."""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from agent.config import AgentConfig
from perceiver_io import PerceiverIO, PerceiverIOConfig


class Torso(Protocol):
    """Reads tokens once, then answers output queries as often as asked."""

    def encode(self, tokens: Float[Tensor, "N M C"], token_mask: Bool[Tensor, "N M"]) -> Tensor:
        """Return the memory that queries are decoded from."""
        ...

    def decode(
        self,
        memory: Tensor,
        token_mask: Bool[Tensor, "N M"],
        queries: Float[Tensor, "N Q C"],
        query_mask: Bool[Tensor, "N Q"],
        query_token: Int[Tensor, "N Q"],
    ) -> Float[Tensor, "N Q C"]:
        """Return one output per query.

        Args:
            query_token: the token that a query stands for, or -1 for learned queries.
        """
        ...


def make_torso(config: AgentConfig) -> PerceiverTorso | TransformerTorso:
    """Return the torso that the config names."""
    return PerceiverTorso(config) if config.torso == "perceiver" else TransformerTorso(config)


class PerceiverTorso(nn.Module):
    """Perceiver IO: tokens are read into latents, queries decoded from the latents (Jaegle et al. 2022, figure 2)."""

    def __init__(self, config: AgentConfig) -> None:
        super().__init__()
        self.perceiver = PerceiverIO(
            PerceiverIOConfig(
                input_channels=config.channels,
                query_channels=config.channels,
                output_channels=None,
                num_latents=config.num_latents,
                latent_channels=config.channels,
                num_blocks=1,
                num_self_attention_layers_per_block=config.num_layers,
                num_self_attention_heads=config.num_heads,
                num_cross_attention_heads=config.num_cross_attention_heads,
                num_decoder_heads=config.num_cross_attention_heads,
                self_attention_widening_factor=config.widening_factor,
                decoder_query_residual=True,
            )
        )

    def encode(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return latents [N, L, C]."""
        latents: Tensor = self.perceiver.encode(tokens, token_mask)
        return latents

    def decode(
        self, memory: Tensor, token_mask: Tensor, queries: Tensor, query_mask: Tensor, query_token: Tensor
    ) -> Tensor:
        """Return one output per query."""
        del token_mask, query_token
        outputs: Tensor = self.perceiver.decode(memory, queries, query_mask)
        return outputs


class TransformerTorso(nn.Module):
    """Pre-norm transformer over the tokens: cost grows with the square of their number.

    A query that stands for a token is answered by that token's output, a learned query by the mean over the real
    tokens; either way the query itself is added, and an MLP follows.
    """

    def __init__(self, config: AgentConfig) -> None:
        super().__init__()
        width = config.channels
        self.num_heads = config.num_heads
        self.layers = nn.ModuleList(_TransformerLayer(width, config.num_heads, 4) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(width)
        self.merge = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(approximate="tanh"), nn.Linear(width, width)
        )

    def encode(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return token outputs [N, M, C]; zeros where masked."""
        tokens = torch.where(token_mask[..., None], tokens, 0.0)
        for layer in self.layers:
            tokens = layer(tokens, token_mask)
        return torch.where(token_mask[..., None], self.norm(tokens), 0.0)

    def decode(
        self, memory: Tensor, token_mask: Tensor, queries: Tensor, query_mask: Tensor, query_token: Tensor
    ) -> Tensor:
        """Return one output per query."""
        pooled = memory.sum(1, keepdim=True) / token_mask.sum(1).clamp_min(1)[:, None, None]
        index = query_token.clamp_min(0)[..., None].expand(-1, -1, memory.shape[-1])
        own = torch.where(query_token[..., None] >= 0, memory.gather(1, index), pooled)
        merged = own + queries
        outputs: Tensor = merged + self.merge(merged)
        return torch.where(query_mask[..., None], outputs, 0.0)


class _TransformerLayer(nn.Module):
    def __init__(self, width: int, num_heads: int, widening: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, widening * width), nn.GELU(approximate="tanh"), nn.Linear(widening * width, width)
        )

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        batch, length, width = tokens.shape
        heads = self.qkv(self.attention_norm(tokens)).view(batch, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(
            heads[0], heads[1], heads[2], attn_mask=token_mask[:, None, None, :]
        )
        tokens = tokens + self.project(attended.transpose(1, 2).reshape(batch, length, width))
        output: Tensor = tokens + self.mlp(self.mlp_norm(tokens))
        return output
