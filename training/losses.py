"""Losses and their diagnostics: pure functions from tensors to one scalar tensor.

Rows may have any shape (`[T, B]` when unrolled, `[N]` for shuffled minibatches). `loss_mask` is True for the rows that
count; whatever stands in the others, a NaN included, changes neither a loss nor a gradient, and a mask without any True
gives 0. Gradients reach only the learner's own outputs (`target_log_prob`, `values`, `entropies`, `divergences`):
advantages, targets and behaviour log-probabilities are taken as constants.

Every loss is a mean over the real rows; that of behaviour cloning may be divided by another `count`.
"""

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

_MOST_LOG_RATIO = 20.0


def masked_mean(
    x: Float[Tensor, "*rows"], loss_mask: Bool[Tensor, "*rows"], count: Real[Tensor, ""] | None = None
) -> Float[Tensor, ""]:
    """Return the sum of `x` over rows with a True mask, divided by `count` (their number by default); 0 for no rows.

    Raises:
        ValueError: if the mask is not a boolean tensor of the shape of x.
    """
    _check_rows(loss_mask, x=x)
    if count is None:
        count = loss_mask.sum()
    return torch.where(loss_mask, x, 0.0).sum() / torch.where(count > 0, count, 1)


def policy_gradient_loss(
    target_log_prob: Float[Tensor, "*rows"], advantages: Float[Tensor, "*rows"], loss_mask: Bool[Tensor, "*rows"]
) -> Float[Tensor, ""]:
    """Return -mean(A log π(a|s)), whose gradient is the policy gradient.

    Args:
        target_log_prob: log-probability of the taken actions under the policy being learnt.
        advantages: how much better than expected each action was, with their importance ratios: those of V-trace and
            UPGO have them.
        loss_mask: True for rows that hold a decision.

    Raises:
        ValueError: if shapes differ, naming each shape.
    """
    _check_rows(loss_mask, target_log_prob=target_log_prob, advantages=advantages)
    # Masked before multiplying: 0 * NaN would put a NaN into the gradient.
    weights, log_prob = _real(advantages.detach(), loss_mask), _real(target_log_prob, loss_mask)
    return -masked_mean(weights * log_prob, loss_mask)


def clipped_policy_loss(
    target_log_prob: Float[Tensor, "*rows"],
    behaviour_log_prob: Float[Tensor, "*rows"],
    advantages: Float[Tensor, "*rows"],
    loss_mask: Bool[Tensor, "*rows"],
    *,
    clip_epsilon: float,
) -> Float[Tensor, ""]:
    """Return PPO's loss, -mean(min(ratio A, clip(ratio, 1 - ε, 1 + ε) A))      (Schulman et al. 2017, eq. 7).

    Args:
        target_log_prob: log-probability of the taken actions under the policy being learnt.
        behaviour_log_prob: the same under the policy that acted.
        advantages: how much better than expected each action was, normalised by the caller if at all.
        loss_mask: True for rows that hold a decision.
        clip_epsilon: how far the ratio may move from 1 before its gradient stops.

    Raises:
        ValueError: if shapes differ (naming each shape) or clip_epsilon is not positive.
    """
    _check_rows(loss_mask, advantages=advantages)
    # One decision that was all but impossible must not make the loss infinite.
    ratios = _log_ratio(target_log_prob, behaviour_log_prob, loss_mask).clamp(max=_MOST_LOG_RATIO).exp()
    weights = _real(advantages.detach(), loss_mask)
    clipped_ratios = ratios.clamp(*_clip_range(clip_epsilon))
    return -masked_mean(torch.minimum(ratios * weights, clipped_ratios * weights), loss_mask)


def value_loss(
    values: Float[Tensor, "*values"],
    targets: Float[Tensor, "*values"],
    loss_mask: Bool[Tensor, "*rows"],
    *,
    huber_delta: float | None = None,
) -> Float[Tensor, ""]:
    """Return the mean over rows of 0.5 (V - target)² or of Huber's loss, added up over several value functions.

    Args:
        values: one value per row, or K per row (`[..., K]`) for K reward terms.
        targets: what they should have been, taken as constants.
        loss_mask: True for rows that count, without the K dimension.
        huber_delta: if given, errors above it count linearly: δ (|e| - δ/2) (Huber 1964).

    Raises:
        ValueError: if shapes differ (naming each shape) or huber_delta is not positive.
    """
    if huber_delta is not None and huber_delta <= 0:
        raise ValueError(f"huber_delta must be positive, got {huber_delta}; leave it out for the squared error")
    has_terms = values.ndim == loss_mask.ndim + 1
    selected = loss_mask.unsqueeze(-1).expand(values.shape) if has_terms else loss_mask
    _check_rows(selected, values=values, targets=targets)
    errors = _real(values, selected) - _real(targets.detach(), selected)
    losses = 0.5 * errors.square()
    if huber_delta is not None:
        linear = huber_delta * (errors.abs() - 0.5 * huber_delta)
        losses = torch.where(errors.abs() <= huber_delta, losses, linear)
    return masked_mean(losses.sum(-1) if has_terms else losses, loss_mask)


def entropy_loss(entropies: Float[Tensor, "*rows"], loss_mask: Bool[Tensor, "*rows"]) -> Float[Tensor, ""]:
    """Return minus the mean entropy, in nats: descending it keeps the policy exploring (Williams & Peng 1991)."""
    return -masked_mean(entropies, loss_mask)


def teacher_kl_loss(divergences: Float[Tensor, "*rows"], loss_mask: Bool[Tensor, "*rows"]) -> Float[Tensor, ""]:
    """Return the mean of KL(target policy || teacher), which keeps the policy near what it was taught.

    Args:
        divergences: KL divergence of each row in nats, from the policies' distributions.
        loss_mask: True for rows that hold a decision.

    Raises:
        ValueError: if shapes differ, naming each shape.
    """
    return masked_mean(divergences, loss_mask)


def behaviour_cloning_loss(
    target_log_prob: Float[Tensor, "*rows"],
    loss_mask: Bool[Tensor, "*rows"],
    row_weights: Float[Tensor, "*rows"] | None = None,
    *,
    count: Real[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood of demonstrated actions, in nats.

    Args:
        target_log_prob: log-probability of the demonstrated actions under the policy being learnt.
        loss_mask: True for rows that hold a demonstrated action.
        row_weights: weight of each row; all 1 by default.
        count: what to divide by, in place of the number of real rows: the sum of their weights, say.

    Raises:
        ValueError: if shapes differ, naming each shape.
    """
    _check_rows(loss_mask, target_log_prob=target_log_prob)
    log_prob = _real(target_log_prob, loss_mask)
    if row_weights is not None:
        _check_rows(loss_mask, row_weights=row_weights)
        log_prob = log_prob * _real(row_weights.detach(), loss_mask)
    return -masked_mean(log_prob, loss_mask, count)


def approximate_kl(
    target_log_prob: Float[Tensor, "*rows"],
    behaviour_log_prob: Float[Tensor, "*rows"],
    loss_mask: Bool[Tensor, "*rows"],
) -> Float[Tensor, ""]:
    """Return an estimate of KL(behaviour || target) in nats from actions of the behaviour policy; carries no gradient.

    mean((ratio - 1) - log ratio): unbiased, never negative, of low variance (Schulman 2020, "Approximating KL
    Divergence", estimator k3).

    Raises:
        ValueError: if shapes differ, naming each shape.
    """
    log_ratios = _log_ratio(target_log_prob.detach(), behaviour_log_prob, loss_mask)
    return masked_mean(torch.expm1(log_ratios) - log_ratios, loss_mask)


def clip_fraction(
    target_log_prob: Float[Tensor, "*rows"],
    behaviour_log_prob: Float[Tensor, "*rows"],
    loss_mask: Bool[Tensor, "*rows"],
    *,
    clip_epsilon: float,
) -> Float[Tensor, ""]:
    """Return the share of rows whose ratio lies outside 1 ± ε of `clipped_policy_loss`; carries no gradient.

    Raises:
        ValueError: if shapes differ (naming each shape) or clip_epsilon is not positive.
    """
    low, high = _clip_range(clip_epsilon)
    ratios = _log_ratio(target_log_prob.detach(), behaviour_log_prob, loss_mask).exp()
    return masked_mean(((ratios < low) | (ratios > high)).to(ratios.dtype), loss_mask)


def explained_variance(
    values: Float[Tensor, "*rows"], targets: Float[Tensor, "*rows"], loss_mask: Bool[Tensor, "*rows"]
) -> Float[Tensor, ""]:
    """Return 1 - Var(target - V) / Var(target): 1 is perfect, 0 as good as a constant; carries no gradient.

    Gives 0 where the targets do not vary, as there is nothing to explain then.

    Raises:
        ValueError: if shapes differ, naming each shape.
    """
    _check_rows(loss_mask, values=values, targets=targets)
    targets, errors = targets.detach(), (targets - values).detach()
    spread = masked_mean((targets - masked_mean(targets, loss_mask)).square(), loss_mask)
    unexplained = masked_mean((errors - masked_mean(errors, loss_mask)).square(), loss_mask)
    return torch.where(spread > 0, 1.0 - unexplained / torch.where(spread > 0, spread, 1.0), 0.0)


def _real(x: Tensor, loss_mask: Tensor) -> Tensor:
    return torch.where(loss_mask, x, 0.0)


def _log_ratio(target_log_prob: Tensor, behaviour_log_prob: Tensor, loss_mask: Tensor) -> Tensor:
    """Return log(target / behaviour), 0 in rows that do not count so that exp cannot overflow there."""
    _check_rows(loss_mask, target_log_prob=target_log_prob, behaviour_log_prob=behaviour_log_prob)
    return _real(target_log_prob, loss_mask) - _real(behaviour_log_prob.detach(), loss_mask)


def _clip_range(clip_epsilon: float) -> tuple[float, float]:
    if not clip_epsilon > 0:
        raise ValueError(f"clip_epsilon must be positive, got {clip_epsilon}; PPO's usual choices are 0.1 to 0.2")
    return 1.0 - clip_epsilon, 1.0 + clip_epsilon


def _check_rows(loss_mask: Tensor, **tensors: Tensor) -> None:
    if loss_mask.dtype == torch.bool and all(tensor.shape == loss_mask.shape for tensor in tensors.values()):
        return
    described = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
    raise ValueError(
        f"expected tensors of the same shape as a boolean loss_mask, got loss_mask {list(loss_mask.shape)} "
        f"({loss_mask.dtype}) with {described}; one entry per row is needed"
    )
