"""Output queries: what the agent asks the torso for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from agent.interface import AgentInput


@dataclass(frozen=True)
class QueryBatch:
    """Padded output queries [N, Q, C], which of them are real [N, Q], and the token each stands for [N, Q] or -1."""

    queries: Float[Tensor, "N Q C"]
    mask: Bool[Tensor, "N Q"]
    token: Int[Tensor, "N Q"]


class LearnedQueries(nn.Module):
    """A fixed number of learned queries, the same for every observation."""

    def __init__(self, number: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(number, channels))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, batch_size: int, context: Float[Tensor, "N C"] | None = None) -> QueryBatch:
        """Return the queries of each observation, shifted by its context."""
        queries = self.weight.expand(batch_size, *self.weight.shape)
        if context is not None:
            queries = queries + context[:, None]
        mask = torch.ones(queries.shape[:2], dtype=torch.bool, device=queries.device)
        return QueryBatch(queries, mask, torch.full(queries.shape[:2], -1, device=queries.device))


class SlotVectors(nn.Module):
    """Learned vectors of the slots of an entity list, of unit variance like tokens.

    A slot has one vector for the token that stands in it and one for the query that asks for it.
    """

    def __init__(self, num_slots: int, channels: int) -> None:
        super().__init__()
        self.token, self.query = (nn.Parameter(torch.randn(num_slots, channels)) for _ in range(2))

    def mark(self, tokens: Float[Tensor, "N E C"], entity_mask: Bool[Tensor, "N E"]) -> Float[Tensor, "N E C"]:
        """Return tokens that tell their slot; empty slots stay as they are."""
        return torch.where(entity_mask[..., None], tokens + self.token[: tokens.shape[1]], tokens)


def decision_queries(
    rows: Float[Tensor, "X C"], inputs: AgentInput, decision_token: Int[Tensor, " X"] | None
) -> QueryBatch:
    """Return the queries of X decisions, padded to the most decisions of one observation."""
    mask = inputs.decision_mask
    flat = inputs.decision_sample * mask.shape[1] + inputs.decision_slot
    queries = rows.new_zeros(mask.numel(), rows.shape[-1]).index_copy(0, flat, rows)
    token = torch.full((mask.numel(),), -1, device=rows.device)
    if decision_token is not None:
        token = token.index_copy(0, flat, decision_token)
    return QueryBatch(queries.view(*mask.shape, -1), mask, token.view(mask.shape))


def entity_queries(rows: Float[Tensor, "*N E C"], kind: Float[Tensor, "1 C"], inputs: AgentInput) -> QueryBatch:
    """Return a query for each entity of the observations that ask for a decision: its row plus a learned vector.

    Args:
        rows: the entities' tokens, or vectors of their slots, which all observations share.
        kind: tells them from other queries.
    """
    assert inputs.entity_mask is not None
    mask = inputs.entity_mask & inputs.decision_mask.any(1, keepdim=True)
    token = torch.arange(mask.shape[1], device=rows.device).expand(mask.shape)
    return QueryBatch((rows + kind).expand(*mask.shape, -1), mask, token)


def concatenate(first: QueryBatch, second: QueryBatch) -> QueryBatch:
    """Return both batches' queries side by side."""
    return QueryBatch(
        torch.cat([first.queries, second.queries], 1),
        torch.cat([first.mask, second.mask], 1),
        torch.cat([first.token, second.token], 1),
    )
