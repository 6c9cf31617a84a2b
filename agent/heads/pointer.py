"""Pointers at entities: the target, and AlphaStar's selection of units one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from agent.action_spec import FunctionCallSpec
from agent.config import AgentConfig
from agent.distributions import MaskedCategorical
from agent.heads.arguments import ArgumentHead, Readers, SingleChoiceHead, Taken, small_linear

SELECTION_CLASS, TARGET_CLASS = 0, 1


class EntityPointer(ArgumentHead):
    """What all pointers share: a key for each entity, and which entities the function may be given.

    Args:
        allowed: for each function, the classes of entities that it may be given.
        num_classes: number of classes.
        column: which of an entity's classes counts.
        end: the slot that stands for no entity.
        embeds: see `ArgumentHead`.
    """

    table: Tensor

    def __init__(
        self,
        allowed: Sequence[Sequence[int]],
        num_classes: int,
        column: int,
        config: AgentConfig,
        *,
        end: int,
        embeds: bool,
    ) -> None:
        super().__init__()
        self.column, self.end = column, end
        table = torch.zeros(len(allowed), num_classes, dtype=torch.bool)
        for function, classes in enumerate(allowed):
            table[function, list(classes)] = True
        self.register_buffer("table", table, persistent=False)
        self.to_key = nn.Linear(config.channels, config.pointer_channels)
        self.from_key = nn.Linear(config.pointer_channels, config.channels) if embeds else None

    def keys(self, entities: Float[Tensor, "X E C"]) -> Float[Tensor, "X E P"]:
        """Return the entities' keys."""
        keys: Tensor = self.to_key(entities)
        return keys

    def allowed(self, readers: Readers) -> Bool[Tensor, "Y E"]:
        """Return which entities each decision's function may be given."""
        return self.table[readers.function[:, None], readers.entity_classes(self.column)]

    def embed(self, readers: Readers, value: Int[Tensor, "Y k"]) -> Float[Tensor, "Y C"]:
        """Return the mean key of the chosen entities as a part of later arguments' queries."""
        assert self.from_key is not None
        chosen = value < self.end
        total = picked_keys(readers.keys, value, chosen).sum(1)
        embedded: Tensor = self.from_key(total / chosen.sum(1, keepdim=True).clamp_min(1))
        return embedded


def picked_keys(
    keys: Float[Tensor, "Y E P"], slots: Int[Tensor, "Y k"], chosen: Bool[Tensor, "Y k"]
) -> Float[Tensor, "Y k P"]:
    """Return the keys of slots; zeros where none is chosen."""
    index = torch.where(chosen, slots, 0)[..., None].expand(-1, -1, keys.shape[-1])
    return torch.where(chosen[..., None], keys.gather(1, index), 0.0)


class TargetPointer(EntityPointer, SingleChoiceHead):
    """The entity that a function is aimed at: logits are query times key."""

    def __init__(self, spec: FunctionCallSpec, config: AgentConfig, *, embeds: bool) -> None:
        super().__init__(
            spec.targetable, spec.num_target_classes, TARGET_CLASS, config, end=spec.max_entities, embeds=embeds
        )
        self.to_query = small_linear(config.channels, config.pointer_channels)

    def distribution(self, output: Float[Tensor, "Y C"], readers: Readers) -> MaskedCategorical:
        """Return the distribution of the target."""
        logits = torch.bmm(readers.keys, self.to_query(output)[..., None])[..., 0]
        return MaskedCategorical(logits, self.allowed(readers), name="target_entity", decisions=readers.index)


@dataclass(frozen=True)
class TakenPicks:
    """Picks, one after another; `live` is False after the end."""

    distribution: MaskedCategorical
    picks: Int[Tensor, "Y L"]
    live: Bool[Tensor, "Y L"]

    def log_prob(self) -> Float[Tensor, " Y"]:
        """Return the log-probability of the picks in their order."""
        return self._sum(self.distribution.log_prob(self.picks))

    def entropy(self) -> Float[Tensor, " Y"]:
        """Return the sum of the entropies of the picks, each given those before it."""
        return self._sum(self.distribution.entropy())

    def kl(self, other: TakenPicks) -> Float[Tensor, " Y"]:
        """Return the sum of KL(self || other) of the picks, each given those before it."""
        return self._sum(self.distribution.kl(other.distribution))

    def likeliest(self) -> Bool[Tensor, " Y"]:
        """Return whether each pick is the most likely one, given those before it."""
        return ((self.distribution.log_probs.argmax(-1) == self.picks) | ~self.live).all(1)

    def _sum(self, steps: Float[Tensor, "Y L"]) -> Float[Tensor, " Y"]:
        return torch.where(self.live, steps, 0.0).sum(1)


class PointerSelection(EntityPointer):
    """AlphaStar's selection (Vinyals et al. 2019): an LSTM whose outputs point at units until one points at the end.

    At least one unit is selected, none twice. The LSTM reads what the torso answered and the mean key of the units
    selected so far. The end's logit is raised by the logarithm of the number of units that are left, so that at first a
    selection is as likely to end as to go on, however many units there are.
    """

    def __init__(self, spec: FunctionCallSpec, config: AgentConfig, *, embeds: bool) -> None:
        super().__init__(
            spec.selectable, spec.num_selection_classes, SELECTION_CLASS, config, end=spec.max_entities, embeds=embeds
        )
        width = config.pointer_channels
        self.max_selected = spec.max_selected
        self.from_output = nn.Linear(config.channels, config.head_channels)
        self.from_picks = nn.Linear(width, config.head_channels, bias=False)
        self.to_input = nn.Linear(config.head_channels, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.end_key = nn.Parameter(torch.empty(width))
        nn.init.trunc_normal_(self.end_key, std=0.02)

    def act(
        self, output: Float[Tensor, "Y C"], readers: Readers, generator: torch.Generator | None, *, greedy: bool
    ) -> tuple[Int[Tensor, "Y k"], Float[Tensor, " Y"]]:
        """Return the selection, drawn or by the most likely picks, and its log-probability."""
        keys, left = readers.keys, self.allowed(readers)
        end, total, state = keys.shape[1], torch.zeros_like(keys[:, 0]), None
        selected = torch.full((len(readers), self.max_selected), self.end, device=keys.device)
        done = torch.zeros_like(readers.index, dtype=torch.bool)
        log_prob = torch.zeros_like(output[:, 0])
        for step in range(self.max_selected):
            queries, state = self._queries(output, (total / max(step, 1))[:, None], state)
            distribution = self._picks(queries, keys, left[:, None], readers, first_step=step)
            choice = distribution.choose(generator, greedy=greedy)
            log_prob = log_prob + torch.where(done, 0.0, distribution.log_prob(choice)[:, 0])
            pick = torch.where(done, end, choice[:, 0])
            done = pick == end
            if done.all():
                break
            selected[:, step] = torch.where(done, self.end, pick)
            total = total + picked_keys(keys, pick[:, None], ~done[:, None])[:, 0]
            left = left & (torch.arange(end, device=keys.device) != pick[:, None])
        return selected, log_prob

    def taken(self, output: Float[Tensor, "Y C"], readers: Readers, value: Int[Tensor, "Y k"]) -> Taken:
        """Return the distributions of all picks at once, each given those before it."""
        keys = readers.keys
        end, counts = keys.shape[1], (value < self.end).sum(1)
        length = min(int(counts.max()) + 1, self.max_selected)
        picks, steps = value[:, :length].clamp(max=end), torch.arange(length, device=keys.device)
        chosen = picks < end
        sums = picked_keys(keys, picks, chosen).cumsum(1)
        means = F.pad(sums[:, :-1], (0, 0, 1, 0)) / steps.clamp_min(1)[:, None]
        picked_at = torch.full((len(readers), end + 1), length, device=keys.device)
        picked_at = picked_at.scatter(1, picks, steps.expand_as(picks))[:, None, :end]
        left = self.allowed(readers)[:, None] & (picked_at >= steps[:, None])
        queries, _ = self._queries(output, means, None)
        return TakenPicks(self._picks(queries, keys, left, readers, first_step=0), picks, steps <= counts[:, None])

    def _queries(
        self, output: Tensor, means: Float[Tensor, "Y L P"], state: tuple[Tensor, Tensor] | None
    ) -> tuple[Float[Tensor, "Y L P"], tuple[Tensor, Tensor]]:
        """Return the LSTM's outputs where these mean keys were selected before, and its state after them."""
        hidden = F.relu(self.from_output(output)[:, None] + self.from_picks(means))
        queries, state = self.lstm(self.to_input(hidden), state)
        assert state is not None
        return queries, state

    def _picks(
        self,
        queries: Float[Tensor, "Y L P"],
        keys: Float[Tensor, "Y E P"],
        left: Bool[Tensor, "Y L E"],
        readers: Readers,
        *,
        first_step: int,
    ) -> MaskedCategorical:
        """Return the distributions of picks among the units that are left; the last choice is the end."""
        end = queries @ self.end_key + left.sum(-1).clamp_min(1).log()
        logits = torch.cat([torch.bmm(queries, keys.transpose(1, 2)), end[..., None]], -1)
        can_end = torch.arange(first_step, first_step + left.shape[1], device=left.device) > 0
        legal = torch.cat([left, can_end[:, None].expand(*left.shape[:2], 1)], -1)
        return MaskedCategorical(logits, legal, name="selected", decisions=readers.index)
