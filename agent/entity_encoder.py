"""Entities -> token embeddings."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from agent.interface import EntitySpec


class EntityEncoder(nn.Module):
    """Embed each entity: one learned vector per category and per map coordinate, plus a linear map of its values.

    Coordinates are read as categories too, so that each row and column of the map has a vector of its own, beside the
    smooth coordinates that games put into the values.
    """

    offsets: Tensor

    def __init__(self, spec: EntitySpec, channels: int) -> None:
        super().__init__()
        sizes = (*spec.category_sizes, spec.width, spec.height)
        self.register_buffer("offsets", torch.tensor([0, *itertools.accumulate(sizes[:-1])]), persistent=False)
        self.embedding = nn.EmbeddingBag(sum(sizes), channels, mode="sum")
        nn.init.normal_(self.embedding.weight, std=len(sizes) ** -0.5)
        self.values = nn.Linear(spec.num_values, channels) if spec.num_values else None

    def forward(
        self, categories: Int[Tensor, "R Kc"], values: Float[Tensor, "R Kv"], positions: Int[Tensor, "R 2"]
    ) -> Float[Tensor, "R C"]:
        """Return one token per entity."""
        indices = torch.cat([categories, positions], -1) + self.offsets
        embedded: Tensor = self.embedding(indices)
        return embedded if self.values is None else embedded + self.values(values)
