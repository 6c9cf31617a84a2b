"""Action distributions: masked categorical choices, components of which an action type selects its own, a Gaussian."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from agent.interface import ActionSpec


class MaskedCategorical:
    """Choices among n, each under its own mask.

    Args:
        logits: [X, ..., n].
        mask: [X, ..., n], True where the choice is legal; None if all are.
        name: what is chosen, for error messages.
        decisions: [X] which of a batch's decisions these are, for error messages; None if all.

    Raises:
        ValueError: if a choice has no legal option; the message names it and the decision.
    """

    def __init__(
        self,
        logits: Float[Tensor, "X ... n"],
        mask: Bool[Tensor, "X ... n"] | None,
        *,
        name: str,
        decisions: Int[Tensor, " X"] | None = None,
    ) -> None:
        if mask is not None:
            stuck = ~mask.any(-1)
            if stuck.any():
                row = stuck.nonzero()[0, 0]
                decision = row if decisions is None else decisions[row]
                raise ValueError(
                    f"{name} of decision {decision} has no legal choice; forbid the functions that read it, and leave "
                    "decisions without a legal function out of the batch"
                )
            logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
        self.log_probs = F.log_softmax(logits, -1)

    def choose(self, generator: torch.Generator | None, *, greedy: bool) -> Int[Tensor, "X ..."]:
        """Return a draw, or the most likely choice."""
        return (self.log_probs if greedy else self.log_probs + _gumbel(self.log_probs, generator)).argmax(-1)

    def log_prob(self, choice: Int[Tensor, "X ..."]) -> Float[Tensor, "X ..."]:
        """Return the log-probability of a choice."""
        return self.log_probs.gather(-1, choice[..., None])[..., 0]

    def entropy(self) -> Float[Tensor, "X ..."]:
        """Return the entropy."""
        return _entropy(self.log_probs)

    def kl(self, other: MaskedCategorical) -> Float[Tensor, "X ..."]:
        """Return KL(self || other), both under the same mask."""
        return (self.log_probs.exp() * (self.log_probs - other.log_probs)).sum(-1)


class ComponentDistribution:
    """X decisions, each of several categorical components under an action mask.

    With `arguments`, the first component is the action type and selects which components are read:
    log p(a) = log p(type) + Σ_{c in arguments[type]} log p(c), and the entropy is H(type) + Σ_type p(type) Σ_c H(c).
    Without, all components are read and independent.

    Args:
        logits: [X, A], the components' logits one after another.
        action_mask: [X, A], True where the choice is legal; None if all are.

    Raises:
        ValueError: if the shapes do not fit the spec, or a component that a legal action type reads has no legal
            choice; the message names component and decision.
    """

    def __init__(self, logits: Float[Tensor, "X A"], action_mask: Bool[Tensor, "X A"] | None, spec: ActionSpec) -> None:
        if logits.shape[-1] != spec.mask_size:
            raise ValueError(f"expected logits of {spec.mask_size} choices, got {logits.shape[-1]}")
        self._spec = spec
        if action_mask is not None:
            self._check_mask(action_mask, logits)
            logits = logits.masked_fill(~action_mask, torch.finfo(logits.dtype).min)
        self.log_probs = [F.log_softmax(part, -1) for part in logits.split(list(spec.component_sizes), -1)]

    def _check_mask(self, action_mask: Tensor, logits: Tensor) -> None:
        if action_mask.shape != logits.shape:
            raise ValueError(f"expected an action mask of shape {tuple(logits.shape)}, got {tuple(action_mask.shape)}")
        parts = action_mask.split(list(self._spec.component_sizes), -1)
        stuck = torch.stack([~part.any(-1) for part in parts], -1)
        if self._spec.arguments is not None:
            read = parts[0].to(logits.dtype) @ self._used(logits.device).to(logits.dtype) > 0
            read[:, 0] = True
            stuck = stuck & read
        if stuck.any():
            decision, component = stuck.nonzero()[0].tolist()
            raise ValueError(
                f"action component {component} of decision {decision} has no legal choice; forbid the action types "
                "that read it, and leave decisions without legal choices out of the batch"
            )

    def sample(self, generator: torch.Generator | None = None) -> Int[Tensor, "X D"]:
        """Return a draw of each component, by the Gumbel-max trick."""
        return torch.stack([(part + _gumbel(part, generator)).argmax(-1) for part in self.log_probs], -1)

    def mode(self) -> Int[Tensor, "X D"]:
        """Return each component's most likely choice."""
        return torch.stack([part.argmax(-1) for part in self.log_probs], -1)

    def log_prob(self, action: Int[Tensor, "X D"]) -> Float[Tensor, " X"]:
        """Return log p(action); components that the action's type does not read do not count."""
        chosen = self.component_log_probs(action)
        if self._spec.arguments is None:
            return chosen.sum(-1)
        return torch.where(self.read(action), chosen, 0.0).sum(-1)

    def component_log_probs(self, action: Int[Tensor, "X D"]) -> Float[Tensor, "X D"]:
        """Return the log-probability of each component's choice, those of components that are not read included."""
        return torch.stack([part.gather(-1, action[:, c : c + 1])[:, 0] for c, part in enumerate(self.log_probs)], -1)

    def read(self, action: Int[Tensor, "X D"]) -> Bool[Tensor, "X D"]:
        """Return which components each action's type reads."""
        if self._spec.arguments is None:
            return torch.ones_like(action, dtype=torch.bool)
        return self._used(action.device)[action[:, 0]]

    def entropy(self) -> Float[Tensor, " X"]:
        """Return the exact entropy of the joint distribution."""
        return self._expectation([_entropy(part) for part in self.log_probs])

    def kl(self, other: ComponentDistribution) -> Float[Tensor, " X"]:
        """Return KL(self || other), exact, both under the same action mask."""
        divergences = [
            (mine.exp() * (mine - theirs)).sum(-1) for mine, theirs in zip(self.log_probs, other.log_probs, strict=True)
        ]
        return self._expectation(divergences)

    def _expectation(self, per_component: list[Tensor]) -> Tensor:
        """Sum a per-component quantity, each argument weighted by the probability that it is read."""
        values = torch.stack(per_component, -1)
        if self._spec.arguments is None:
            return values.sum(-1)
        read = self.log_probs[0].exp() @ self._used(values.device).to(values.dtype)
        return (read * values).sum(-1)

    def _used(self, device: torch.device) -> Tensor:
        """Return [types, components], True where a type reads a component; every type reads the first."""
        assert self._spec.arguments is not None
        used = torch.zeros(len(self._spec.arguments), len(self._spec.component_sizes), dtype=torch.bool)
        used[:, 0] = True
        for action_type, components in enumerate(self._spec.arguments):
            used[action_type, list(components)] = True
        return used.to(device)


def _entropy(log_probs: Tensor) -> Tensor:
    """Return H [...] of log-probabilities [..., A]; the clamp keeps gradients of masked choices from 0 times inf."""
    return -(log_probs.exp() * log_probs.clamp_min(-1e4)).sum(-1)


def _gumbel(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return standard Gumbel noise; the clamp keeps -log(-log(u)) finite."""
    uniform = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    return -torch.log(-torch.log(uniform.clamp_(1e-20, 1 - 1e-7)))


class GaussianDistribution:
    """X decisions, each a vector of independent normal components."""

    def __init__(self, mean: Float[Tensor, "X D"], log_std: Float[Tensor, " D"]) -> None:
        self.mean = mean
        self.log_std = log_std.expand_as(mean)

    def sample(self, generator: torch.Generator | None = None) -> Float[Tensor, "X D"]:
        """Return a draw."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + noise * self.log_std.exp()

    def mode(self) -> Float[Tensor, "X D"]:
        """Return the mean."""
        return self.mean

    def log_prob(self, action: Float[Tensor, "X D"]) -> Float[Tensor, " X"]:
        """Return the log-density of each action."""
        z = (action - self.mean) * torch.exp(-self.log_std)
        return (-0.5 * z.square() - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Float[Tensor, " X"]:
        """Return the differential entropy of each decision."""
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def kl(self, other: GaussianDistribution) -> Float[Tensor, " X"]:
        """Return KL(self || other)."""
        variance_ratio = torch.exp(2 * (self.log_std - other.log_std))
        distance = ((self.mean - other.mean) * torch.exp(-other.log_std)).square()
        return 0.5 * (variance_ratio + distance - 1 - variance_ratio.log()).sum(-1)
