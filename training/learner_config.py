"""How the learner learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

_AT_LEAST_ONE = ("num_epochs", "num_minibatches")
_POSITIVE = ("learning_rate", "adam_epsilon", "max_grad_norm", "rho_clip", "c_clip", "clip_epsilon", "huber_delta")
_NOT_NEGATIVE = (
    "final_learning_rate",
    "value_cost",
    "entropy_cost",
    "final_entropy_cost",
    "upgo_cost",
    "teacher_kl_cost",
    "final_teacher_kl_cost",
    "advantage_floor",
    "term_weights",
    "final_term_weights",
)


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How the learner turns experience into a better policy."""

    learning_rate: float = 5e-4
    """Adam's step size at the start."""
    final_learning_rate: float = 5e-5
    """Adam's step size at the end of training; all such changes are linear in the share of training that is done."""
    adam_epsilon: float = 1e-5
    """Added to Adam's denominator."""
    max_grad_norm: float = 0.5
    """Gradients are scaled down to this norm."""
    num_epochs: int = 2
    """Passes over each batch."""
    num_minibatches: int = 4
    """Parts of a batch, cut between sequences; one optimiser step each."""
    discounts: tuple[float, ...] = (0.99,)
    """Discount per game step of each reward term; one value holds for all."""
    term_weights: tuple[float, ...] = (1.0,)
    """What each reward term counts in the policy's advantages at the start; one value holds for all."""
    final_term_weights: tuple[float, ...] = (1.0,)
    """The same at the end of training. Shaped rewards that have done their work can step back behind winning."""
    trace_decay: float | tuple[float, ...] = 0.95
    """Lambda of V-trace and TD(lambda): one for all reward terms, or one for each."""
    rho_clip: float = 1.0
    """Upper bound of V-trace's importance weights."""
    c_clip: float = 1.0
    """Upper bound of V-trace's trace cutting weights."""
    policy_loss: Literal["clipped", "policy_gradient"] = "clipped"
    """PPO's clipped objective (allows several epochs), or V-trace's policy gradient."""
    rho_weighted_advantages: bool = True
    """Whether the clipped objective's advantages carry V-trace's rho, beside the ratio of the objective itself."""
    clip_epsilon: float = 0.2
    """How far the clipped objective lets a decision's probability move, as a ratio."""
    value_cost: float = 0.5
    """Weight of the value loss."""
    huber_delta: float | None = 1.0
    """Where the value loss turns linear; None for the squared error."""
    normalise_values: bool = False
    """Learn values in units of their targets' running size; for games whose returns are far from 1."""
    entropy_cost: float = 0.01
    """Weight of the entropy bonus at the start."""
    final_entropy_cost: float | None = None
    """The same at the end of training; None = as at the start."""
    upgo_cost: float = 0.0
    """Weight of the UPGO policy loss (Vinyals et al. 2019)."""
    teacher_kl_cost: float = 0.0
    """Weight of the KL divergence to the teacher at the start; the teacher is the run that --init names if --teacher
    names no other."""
    final_teacher_kl_cost: float | None = None
    """The same at the end of training; None = as at the start."""
    normalise_advantages: bool = True
    """Scale each minibatch's advantages to mean 0 and variance 1."""
    advantage_floor: float = 0.0
    """Advantages that spread less than this share of the value targets' size are noise, and not scaled up further."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}")
        for name in _NOT_NEGATIVE:
            if not all(0 <= value < math.inf for value in _values(getattr(self, name))):
                raise ValueError(f"{name} must be 0 or more and finite, got {getattr(self, name)}")
        for name in ("discounts", "trace_decay"):
            if not all(0 <= value <= 1 for value in _values(getattr(self, name))):
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for_terms = (self.discounts, self.term_weights, self.final_term_weights, _values(self.trace_decay))
        if not all(for_terms):
            raise ValueError(
                "discounts, term_weights, final_term_weights and trace_decay need at least one value, which then holds "
                "for all terms"
            )
        if len({len(self.term_weights), len(self.final_term_weights)} - {1}) > 1:
            raise ValueError(
                f"expected as many term_weights as final_term_weights, or one for all, got {self.term_weights} and "
                f"{self.final_term_weights}"
            )
        if self.policy_loss == "policy_gradient" and self.num_epochs > 1:
            raise ValueError("policy_loss='policy_gradient' does not bound how far the policy moves: use num_epochs=1")

    @property
    def trace_decays(self) -> tuple[float, ...]:
        """Lambda of each reward term, or one for all."""
        return _values(self.trace_decay)

    def learning_rate_at(self, progress: float) -> float:
        """Return Adam's step size when a share `progress` of the training is done."""
        return self.learning_rate + progress * (self.final_learning_rate - self.learning_rate)

    def entropy_cost_at(self, progress: float) -> float:
        """Return the weight of the entropy bonus."""
        return _between(self.entropy_cost, self.final_entropy_cost, progress)

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher counts at any time of the training."""
        return self.teacher_kl_cost > 0 or (self.final_teacher_kl_cost or 0) > 0

    def teacher_kl_cost_at(self, progress: float) -> float:
        """Return the weight of the KL divergence to the teacher."""
        return _between(self.teacher_kl_cost, self.final_teacher_kl_cost, progress)

    def term_weights_at(self, progress: float) -> tuple[float, ...]:
        """Return what each reward term, or every one, counts in the policy's advantages."""
        number = max(len(self.term_weights), len(self.final_term_weights))
        first, final = (_repeated(weights, number) for weights in (self.term_weights, self.final_term_weights))
        return tuple(_between(start, end, progress) for start, end in zip(first, final, strict=True))


def _repeated(weights: tuple[float, ...], number: int) -> tuple[float, ...]:
    return weights * number if len(weights) == 1 else weights


def _between(first: float, final: float | None, progress: float) -> float:
    return first if final is None else first + progress * (final - first)


def _values(setting: float | tuple[float, ...] | None) -> tuple[float, ...]:
    if setting is None:
        return ()
    return setting if isinstance(setting, tuple) else (setting,)
