"""Returns and advantages of sampled trajectories: pure functions of time-major tensors.

Every function takes `[T, B]` tensors, or `[T, B, K]` for K reward terms with a value function each; `[T, B]` discounts
and importance ratios then hold for all K terms. Two conventions are shared by all of them:

* `discounts[t]` is already gamma ** elapsed_steps * (1 - terminated): the value after a terminal step counts nothing.
* `trace_continues[t]` says that row t + 1 is the next decision of the same episode. Where it is False (an episode
  ended, was truncated, or row t holds no decision) no later row is read, not even a NaN there: the return goes on with
  `next_values[t]`, the value of the true successor. The last row always goes on with `next_values[T - 1]`.

Where only some rows ask for a decision, as on either side of a game of two, the others are steps on the way of the
decision before them: traces do not decay there, and no return is cut off.

Results are constants: no gradient flows through them.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class VTrace(NamedTuple):
    """V-trace's value targets and policy-gradient advantages, both shaped like `values`."""

    targets: Float[Tensor, "T B *K"]
    advantages: Float[Tensor, "T B *K"]


def vtrace(
    values: Float[Tensor, "T B *K"],
    next_values: Float[Tensor, "T B *K"],
    rewards: Float[Tensor, "T B *K"],
    discounts: Float[Tensor, "T B *#K"],
    trace_continues: Bool[Tensor, "T B"],
    importance_ratios: Float[Tensor, "T B *#K"],
    *,
    rho_clip: float = 1.0,
    c_clip: float = 1.0,
    lambda_: float | Float[Tensor, " K"] = 1.0,
    is_decision: Bool[Tensor, "T B"] | None = None,
) -> VTrace:
    """Return V-trace targets and policy-gradient advantages.

    v_s = V(x_s) + Σ_{t≥s} γ^{t-s} (Π_{s≤i<t} c_i) ρ_t (r_t + γ V(x_{t+1}) - V(x_t))    (Espeholt et al. 2018, eq. 1)
    with ρ_t = min(rho_clip, ratio_t) and c_t = λ min(c_clip, ratio_t) (their remark 2). The advantage is
    ρ_t (r_t + γ v_{t+1} - V(x_t)) (their section 4.2), where a λ below 1 mixes v_{t+1} with V(x_{t+1}) as TD(λ) does,
    so that on-policy advantages are the generalised advantages of Schulman et al. 2016.

    Args:
        values: V(x_t) under the learner's parameters.
        next_values: value of the true successor of row t, also where the episode was truncated.
        rewards: reward of the action at row t.
        discounts: gamma ** elapsed_steps * (1 - terminated).
        trace_continues: False where row t + 1 does not continue row t; no trace crosses it.
        importance_ratios: target policy's probability over behaviour policy's, not clipped.
        rho_clip: upper bound of ρ; decides which policy's value function is learnt.
        c_clip: upper bound of c; decides how far corrections travel.
        lambda_: decay of the traces, 0 to 1; one for all, or one for each of the K reward terms.
        is_decision: which rows ask for a decision; None for all.

    Raises:
        ValueError: if shapes differ (naming each shape), lambda_ is outside [0, 1] or a clip is not positive.
    """
    _check_lambda(lambda_, values)
    if not (rho_clip > 0 and c_clip > 0):
        raise ValueError(
            f"rho_clip and c_clip must be positive, got {rho_clip} and {c_clip}; the usual choice is 1.0 for both"
        )
    _check_shapes(
        values,
        trace_continues,
        next_values=next_values,
        rewards=rewards,
        discounts=discounts,
        importance_ratios=importance_ratios,
    )
    with torch.no_grad():
        continues, discounts = _per_term(trace_continues, values), _per_term(discounts, values)
        ratios = _per_term(importance_ratios, values)
        rhos = ratios.clamp(max=rho_clip)
        if is_decision is not None:
            decay = torch.as_tensor(lambda_, dtype=values.dtype, device=values.device)
            lambda_ = torch.where(_per_term(_is_followed_by(is_decision), values), decay, torch.ones_like(decay))
        decays = discounts * lambda_ * ratios.clamp(max=c_clip)
        errors = rhos * (rewards + discounts * next_values - values)
        corrections = torch.empty_like(errors)  # v_t - V(x_t)
        later_corrections = torch.empty_like(errors)  # v_{t+1} - V(x_{t+1}), zero where the trace ends
        correction = torch.zeros_like(errors[0]) if len(errors) else errors
        for t in reversed(range(len(errors))):
            later_corrections[t] = torch.where(continues[t], correction, 0.0)
            correction = errors[t] + decays[t] * later_corrections[t]
            corrections[t] = correction
        bootstraps = next_values + lambda_ * later_corrections
        return VTrace(targets=values + corrections, advantages=rhos * (rewards + discounts * bootstraps - values))


def upgo_returns(
    values: Float[Tensor, "T B *K"],
    next_values: Float[Tensor, "T B *K"],
    rewards: Float[Tensor, "T B *K"],
    discounts: Float[Tensor, "T B *#K"],
    trace_continues: Bool[Tensor, "T B"],
    *,
    is_decision: Bool[Tensor, "T B"] | None = None,
) -> Float[Tensor, "T B *K"]:
    """Return the self-imitation returns of UPGO, which follow the trajectory only while it does better than expected.

    G_t = r_t + γ G_{t+1}        if r_{t+1} + γ V(s_{t+2}) >= V(s_{t+1})
    G_t = r_t + γ V(s_{t+1})     otherwise                             (Vinyals et al. 2019, Methods, upgoing updates)

    Args:
        values: V(s_t) under the learner's parameters.
        next_values: value of the true successor of row t, also where the episode was truncated.
        rewards: reward of the action at row t.
        discounts: gamma ** elapsed_steps * (1 - terminated).
        trace_continues: False where row t + 1 does not continue row t.
        is_decision: which rows ask for a decision; None for all. A decision's reward is then that until the next one.

    Raises:
        ValueError: if shapes differ, naming each shape.
    """
    _check_shapes(values, trace_continues, next_values=next_values, rewards=rewards, discounts=discounts)
    with torch.no_grad():
        continues, discounts = _per_term(trace_continues, values), _per_term(discounts, values)
        if is_decision is None:
            is_decision = torch.ones_like(trace_continues)
        on_the_way = (continues & ~_per_term(_is_followed_by(is_decision), values)).expand_as(rewards)
        until_next_decision = torch.empty_like(rewards)
        following = torch.zeros_like(rewards[0]) if len(rewards) else rewards
        for t in reversed(range(len(rewards))):
            following = rewards[t] + discounts[t] * torch.where(on_the_way[t], following, next_values[t])
            until_next_decision[t] = following
        better_than_expected = until_next_decision >= values
        # The row after the last is unknown, so the last row bootstraps.
        follows = on_the_way.clone()
        follows[:-1] |= continues[:-1] & better_than_expected[1:]
        returns = torch.empty_like(rewards)
        following = torch.zeros_like(rewards[0]) if len(rewards) else rewards
        for t in reversed(range(len(rewards))):
            following = rewards[t] + discounts[t] * torch.where(follows[t], following, next_values[t])
            returns[t] = following
        return returns


def lambda_returns(
    rewards: Float[Tensor, "T B *K"],
    discounts: Float[Tensor, "T B *#K"],
    next_values: Float[Tensor, "T B *K"],
    trace_continues: Bool[Tensor, "T B"],
    lambda_: float | Float[Tensor, " K"] = 1.0,
) -> Float[Tensor, "T B *K"]:
    """Return TD(λ) targets.

    G_t = r_t + γ ((1 - λ) V(s_{t+1}) + λ G_{t+1})                       (Sutton & Barto 2018, eq. 12.18)

    Args:
        rewards: reward of the action at row t.
        discounts: gamma ** elapsed_steps * (1 - terminated).
        next_values: value of the true successor of row t, also where the episode was truncated.
        trace_continues: False where row t + 1 does not continue row t.
        lambda_: 0 gives one-step targets, 1 Monte-Carlo returns; one for all, or one for each of the K reward terms.

    Raises:
        ValueError: if shapes differ (naming each shape) or lambda_ is outside [0, 1].
    """
    _check_lambda(lambda_, rewards)
    _check_shapes(rewards, trace_continues, next_values=next_values, discounts=discounts)
    with torch.no_grad():
        continues, discounts = _per_term(trace_continues, rewards), _per_term(discounts, rewards)
        returns = torch.empty_like(rewards)
        following = next_values[-1] if len(rewards) else rewards
        for t in reversed(range(len(rewards))):
            later = torch.where(continues[t], following, next_values[t])
            following = rewards[t] + discounts[t] * ((1.0 - lambda_) * next_values[t] + lambda_ * later)
            returns[t] = following
        return returns


def generalised_advantages(
    values: Float[Tensor, "T B *K"],
    next_values: Float[Tensor, "T B *K"],
    rewards: Float[Tensor, "T B *K"],
    discounts: Float[Tensor, "T B *#K"],
    trace_continues: Bool[Tensor, "T B"],
    lambda_: float | Float[Tensor, " K"] = 0.95,
) -> Float[Tensor, "T B *K"]:
    """Return generalised advantages, Σ_l (γλ)^l δ_{t+l}  (Schulman et al. 2016, eq. 16).

    They are TD(λ) targets less the values, and computed as such; the targets of the value function are therefore
    `generalised_advantages(...) + values`.

    Args:
        values: V(s_t).
        next_values: value of the true successor of row t, also where the episode was truncated.
        rewards: reward of the action at row t.
        discounts: gamma ** elapsed_steps * (1 - terminated).
        trace_continues: False where row t + 1 does not continue row t.
        lambda_: 0 gives one-step errors, 1 Monte-Carlo advantages; one for all, or one for each of the K terms.

    Raises:
        ValueError: if shapes differ (naming each shape) or lambda_ is outside [0, 1].
    """
    _check_shapes(values, trace_continues, next_values=next_values, rewards=rewards, discounts=discounts)
    return lambda_returns(rewards, discounts, next_values, trace_continues, lambda_) - values.detach()


def _is_followed_by(is_decision: Tensor) -> Tensor:
    """Return [T, B] whether row t + 1 asks for a decision; the one after the last is taken for one."""
    return torch.cat([is_decision[1:], torch.ones_like(is_decision[:1])])


def _per_term(rows: Tensor, like: Tensor) -> Tensor:
    """Return `[T, B]` rows as `[T, B, 1]` where `like` is `[T, B, K]`."""
    return rows.unsqueeze(-1) if rows.ndim < like.ndim else rows


def _check_lambda(lambda_: float | Tensor, values: Tensor) -> None:
    if isinstance(lambda_, Tensor):
        if values.ndim != 3 or lambda_.shape not in (values.shape[2:], (1,)):
            raise ValueError(
                f"lambda_: expected one value, or one for each reward term of tensors [T, B, K], got "
                f"{list(lambda_.shape)} for {list(values.shape)}"
            )
        in_range = bool(((lambda_ >= 0) & (lambda_ <= 1)).all())
    else:
        in_range = 0.0 <= lambda_ <= 1.0
    if not in_range:
        raise ValueError(f"lambda_ must lie between 0 and 1, got {lambda_}; it mixes returns of different lengths")


def _check_shapes(reference: Tensor, trace_continues: Tensor, **tensors: Tensor) -> None:
    rows, full = tuple(reference.shape[:2]), tuple(reference.shape)
    shared = ("discounts", "importance_ratios")  # may be given once for all reward terms
    fits = all(
        tuple(tensor.shape) == full or (name in shared and tuple(tensor.shape) in (rows, (*rows, 1)))
        for name, tensor in tensors.items()
    )
    if (
        reference.ndim in (2, 3)
        and tuple(trace_continues.shape) == rows
        and trace_continues.dtype == torch.bool
        and fits
    ):
        return
    shapes = {"trace_continues": trace_continues, **tensors}
    described = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in shapes.items())
    raise ValueError(
        f"expected time-major [T, B] or [T, B, K] tensors shaped like the first one, {list(full)}, [T, B] booleans "
        f"for trace_continues and [T, B] or [T, B, K] for discounts and importance_ratios; got {described} "
        f"(trace_continues is {trace_continues.dtype}). Transpose batch-major tensors first"
    )
