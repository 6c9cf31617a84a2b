"""Tokens and output queries -> outputs, by Perceiver IO or by another set model, behind the same two calls."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from agent.config import AgentConfig
from perceiver_io import MLP, PerceiverIO, PerceiverIOConfig, entity_torso


@runtime_checkable
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


def make_torso(config: AgentConfig) -> PerceiverTorso | BaselineTorso:
    """Return the torso that the config names."""
    return PerceiverTorso(config) if config.torso == "perceiver" else BaselineTorso(config)


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
                latent_channels=config.latent_channels or config.channels,
                num_blocks=1,
                num_self_attention_layers_per_block=config.num_layers,
                num_self_attention_heads=config.num_heads,
                num_cross_attention_heads=config.num_cross_attention_heads,
                num_decoder_heads=config.num_cross_attention_heads,
                self_attention_widening_factor=config.widening_factor,
                decoder_query_residual=config.decoder_query_residual,
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


class BaselineTorso(nn.Module):
    """A set model over the tokens: transformer, Set Transformer, cosFormer or DeepSets (`perceiver_io/baselines.py`).

    A query that stands for a token is answered by that token's output, a learned query by the mean over the real
    tokens; either way the query itself is added, and an MLP follows.
    """

    def __init__(self, config: AgentConfig) -> None:
        super().__init__()
        settings: dict[str, Any] = {"entity_channels": config.channels, "num_layers": config.num_layers}
        if config.torso != "deep_sets":
            settings["num_heads"] = config.num_heads
        if config.torso == "set_transformer":
            settings["num_inducing_points"] = config.num_latents
        if config.torso == "cosformer":
            # Units have no order: permuting them must permute their orders and change nothing else.
            settings["cos_reweighting"] = False
        self.baseline = entity_torso(config.torso, output_channels=None, **settings)
        self.merge = nn.Sequential(nn.LayerNorm(config.channels), MLP(channels=config.channels, widening_factor=1))

    def encode(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return token outputs [N, M, C]; zeros where masked."""
        embeddings: Tensor = self.baseline(tokens, token_mask).entity_embeddings
        return embeddings

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
