"""All units selected in one step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from agent.action_spec import FunctionCallSpec
from agent.config import AgentConfig
from agent.heads.arguments import Readers, Taken, small_linear
from agent.heads.pointer import SELECTION_CLASS, EntityPointer

_LARGEST_LOGIT = 20.0
_NEVER = -1e9  # a log-probability whose exponential is 0, and that stays finite in sums and gradients


@dataclass(frozen=True)
class TakenSet:
    """Which units were selected: a yes or no for each in the order of the slots, given those before it.

    Attributes:
        log_yes, log_no: log-probabilities of both answers; 0 where `asked` is False.
        chosen: the answers.
        asked: units that may be selected, up to the one that made the selection full.
    """

    log_yes: Float[Tensor, "Y E"]
    log_no: Float[Tensor, "Y E"]
    chosen: Bool[Tensor, "Y E"]
    asked: Bool[Tensor, "Y E"]

    def log_prob(self) -> Float[Tensor, " Y"]:
        """Return the log-probability of the selection."""
        return torch.where(self.chosen, self.log_yes, self.log_no).sum(1)

    def entropy(self) -> Float[Tensor, " Y"]:
        """Return the sum of the entropies of the answers, each given those before it."""
        entropies = -(self.log_yes.exp() * self.log_yes + self.log_no.exp() * self.log_no)
        return torch.where(self.asked, entropies, 0.0).sum(1)

    def kl(self, other: TakenSet) -> Float[Tensor, " Y"]:
        """Return the sum of KL(self || other) of the answers, each given those before it."""
        yes = self.log_yes.exp() * (self.log_yes - other.log_yes)
        no = self.log_no.exp() * (self.log_no - other.log_no)
        return torch.where(self.asked, yes + no, 0.0).sum(1)

    def likeliest(self) -> Bool[Tensor, " Y"]:
        """Return whether each answer is the more likely one, given those before it."""
        return ((self.chosen == (self.log_yes > self.log_no)) | ~self.asked).all(1)


class ParallelSelection(EntityPointer):
    """Every unit that may be selected is, independently of the others, under the condition that at least one is.

    A selection is full with `max_selected` units; those in later slots are then not asked. At first one unit is
    selected in the mean.
    """

    def __init__(self, spec: FunctionCallSpec, config: AgentConfig, *, embeds: bool) -> None:
        super().__init__(
            spec.selectable, spec.num_selection_classes, SELECTION_CLASS, config, end=spec.max_entities, embeds=embeds
        )
        self.max_selected = spec.max_selected
        self.to_query = small_linear(config.channels, config.pointer_channels)

    def act(
        self, output: Float[Tensor, "Y C"], readers: Readers, generator: torch.Generator | None, *, greedy: bool
    ) -> tuple[Int[Tensor, "Y k"], Float[Tensor, " Y"]]:
        """Return the selection, drawn or of all units more likely than not, and its log-probability."""
        allowed = self.allowed(readers)
        logits = self._logits(output, readers, allowed)
        chosen = _likely_set(logits, allowed) if greedy else _drawn_set(logits, allowed, generator)
        chosen = chosen & (chosen.cumsum(1) <= self.max_selected)
        # The place after the last takes what is not chosen.
        place = torch.where(chosen, chosen.cumsum(1) - 1, self.max_selected)
        slots = torch.arange(chosen.shape[1], device=chosen.device).expand_as(place)
        selected = torch.full((len(readers), self.max_selected + 1), self.end, device=chosen.device)
        selected = selected.scatter(1, place, slots)[:, :-1]
        return selected, taken_set(logits, allowed, chosen, self.max_selected).log_prob()

    def taken(self, output: Float[Tensor, "Y C"], readers: Readers, value: Int[Tensor, "Y k"]) -> Taken:
        """Return the distribution along which the units were selected."""
        allowed = self.allowed(readers)
        logits = self._logits(output, readers, allowed)
        number = logits.shape[1]
        chosen = torch.zeros(len(readers), number + 1, dtype=torch.bool, device=logits.device)
        chosen = chosen.scatter(1, value.clamp(max=number), True)[:, :number]
        return taken_set(logits, allowed, chosen, self.max_selected)

    def _logits(self, output: Tensor, readers: Readers, allowed: Bool[Tensor, "Y E"]) -> Float[Tensor, "Y E"]:
        number = allowed.sum(1, keepdim=True)
        if not number.all():
            decision = readers.index[(number == 0).nonzero()[0, 0]]
            raise ValueError(f"selected of decision {decision} has no legal choice; forbid functions without units")
        logits = torch.bmm(readers.keys, self.to_query(output)[..., None])[..., 0] - (number - 1).clamp_min(1).log()
        return _LARGEST_LOGIT * torch.tanh(logits / _LARGEST_LOGIT)


def taken_set(
    logits: Float[Tensor, "Y E"], allowed: Bool[Tensor, "Y E"], chosen: Bool[Tensor, "Y E"], max_selected: int
) -> TakenSet:
    """Return the distribution of a non-empty set of at most max_selected units, along the one that was chosen.

    While none is chosen, P(yes to unit i) = p_i / P(any of i, i + 1, ...); afterwards it is p_i.
    """
    log_yes, log_no = F.logsigmoid(logits), F.logsigmoid(-logits)
    none_later = torch.where(allowed, log_no, 0.0).flip(1).cumsum(1).flip(1)
    any_from = _log_one_minus_exp(none_later)
    any_after = F.pad(any_from[:, 1:], (0, 1), value=_NEVER)
    before = F.pad(chosen.cumsum(1)[:, :-1], (1, 0))
    first = before == 0
    log_yes = torch.where(first, log_yes - any_from, log_yes)
    log_no = torch.where(first, log_no + any_after - any_from, log_no)
    asked = allowed & (before < max_selected)
    # Choices outside the mask are impossible, not free.
    impossible = torch.where(chosen & ~asked, _NEVER, 0.0)
    return TakenSet(torch.where(asked, log_yes, impossible), torch.where(asked, log_no, 0.0), chosen, asked)


def _log_one_minus_exp(x: Tensor) -> Tensor:
    """Return log(1 - exp(x)) for x <= 0; `_NEVER` where x is 0."""
    possible, near = x < 0, x > -0.6931
    # Each form is exact on its side of log 2 (Mächler 2012); the other side is kept from it, or its gradient is NaN.
    close = torch.log(-torch.expm1(torch.where(possible & near, x, -0.5)))
    far = torch.log1p(-torch.exp(torch.where(near, -1.0, x)))
    return torch.where(possible, torch.where(near, close, far), _NEVER)


def _likely_set(logits: Float[Tensor, "Y E"], allowed: Bool[Tensor, "Y E"]) -> Bool[Tensor, "Y E"]:
    likely = (logits > 0) & allowed
    best = logits.masked_fill(~allowed, torch.finfo(logits.dtype).min).argmax(1, keepdim=True)
    return likely.scatter(1, best, True)


def _drawn_set(
    logits: Float[Tensor, "Y E"], allowed: Bool[Tensor, "Y E"], generator: torch.Generator | None
) -> Bool[Tensor, "Y E"]:
    """Return a drawn set: which unit is its first, then independently those after it."""
    log_no = torch.where(allowed, F.logsigmoid(-logits), 0.0)
    log_first = F.logsigmoid(logits) + log_no.cumsum(1) - log_no
    noise = torch.rand((2, *logits.shape), generator=generator, device=logits.device).clamp_(1e-20, 1 - 1e-7)
    gumbel = -torch.log(-torch.log(noise[0]))
    first = (log_first + gumbel).masked_fill(~allowed, torch.finfo(logits.dtype).min).argmax(1, keepdim=True)
    slots = torch.arange(logits.shape[1], device=logits.device)
    later = (slots > first) & allowed & (noise[1] < torch.sigmoid(logits))
    return later.scatter(1, first, True)
