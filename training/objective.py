"""What the learner minimises: V-trace targets, policy, value and entropy losses of one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from agent.interface import AgentInput, UnrollOutput
from training import losses
from training.learner_config import LearnerConfig
from training.returns import upgo_returns, vtrace
from training.trajectory import Trajectory


@dataclass(frozen=True)
class Batch:
    """A trajectory's dense arrays as tensors, [B, T...]; the learner's maths is time-major."""

    initial_state: Tensor
    teacher_state: Tensor
    is_first: Tensor
    action: Tensor
    behaviour_log_prob: Tensor
    rewards: Float[Tensor, "T B K"]
    discounts: Float[Tensor, "T B K"]
    trace_continues: Tensor
    loss_mask: Tensor

    @classmethod
    def from_trajectory(cls, trajectory: Trajectory, config: LearnerConfig, device: torch.device) -> Batch:
        """Return the dense arrays of a trajectory on a device."""
        ended = trajectory.terminated | trajectory.truncated

        def tensor(array: Any) -> Tensor:
            return torch.as_tensor(array, device=device)

        elapsed = tensor(trajectory.elapsed_steps.T)[..., None]
        gamma = torch.tensor(config.discounts, device=device).expand(trajectory.rewards.shape[-1])
        return cls(
            initial_state=tensor(trajectory.initial_state),
            teacher_state=tensor(trajectory.teacher_state),
            is_first=tensor(trajectory.is_first),
            action=tensor(trajectory.observations.decision["action"]),
            behaviour_log_prob=tensor(trajectory.observations.decision["behaviour_log_prob"]),
            rewards=tensor(trajectory.rewards).transpose(0, 1),
            discounts=gamma**elapsed * tensor(~trajectory.terminated.T)[..., None],
            trace_continues=tensor((~ended & trajectory.loss_mask).T),
            loss_mask=tensor(trajectory.loss_mask.T),
        )


def loss_and_metrics(
    output: UnrollOutput,
    inputs: AgentInput,
    batch: Batch,
    config: LearnerConfig,
    *,
    progress: float = 0.0,
    value_scale: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the total loss and its parts.

    The importance ratio of V-trace is that of all decisions of an observation together; the policy losses are per
    decision, each with the advantage of its observation. The value loss is that of errors in units of `value_scale`.
    """
    everywhere = torch.ones_like(output.log_prob, dtype=torch.bool)
    values = output.values.transpose(0, 1)
    returns = _returns(output, inputs, batch, config, progress)
    policy_loss = _policy_loss(output, _per_decision(returns.advantages, returns, batch, inputs, config), batch, config)
    value_loss = losses.value_loss(
        values[:-1] / value_scale, returns.targets / value_scale, batch.loss_mask, huber_delta=config.huber_delta
    )
    entropy_loss = losses.entropy_loss(output.entropy, everywhere)
    total = policy_loss + config.value_cost * value_loss + config.entropy_cost_at(progress) * entropy_loss
    behaviour = (output.log_prob, batch.behaviour_log_prob, everywhere)
    metrics = {
        "losses/policy_loss": policy_loss,
        "losses/value_loss": value_loss,
        "losses/value_target_spread": target_spread(returns.targets, batch.loss_mask),
        "losses/entropy": -entropy_loss,
        "losses/approx_kl": losses.approximate_kl(*behaviour),
        "losses/clip_fraction": losses.clip_fraction(*behaviour, clip_epsilon=config.clip_epsilon),
        "losses/explained_variance": losses.explained_variance(
            values[:-1].sum(-1), returns.targets.sum(-1), batch.loss_mask
        ),
    }
    if config.upgo_cost:
        advantages = _per_decision(returns.upgo_advantages, returns, batch, inputs, config)
        upgo_loss = losses.policy_gradient_loss(output.log_prob, advantages, everywhere)
        total = total + config.upgo_cost * upgo_loss
        metrics["losses/upgo_loss"] = upgo_loss
    if output.kl is not None:
        teacher_kl = losses.teacher_kl_loss(output.kl, everywhere)
        total = total + config.teacher_kl_cost_at(progress) * teacher_kl
        metrics["losses/teacher_kl"] = teacher_kl
    return total, {name: value.detach() for name, value in metrics.items()}


@dataclass(frozen=True)
class _Returns:
    """What the values and the policy are moved towards; advantages are weighted sums over the reward terms."""

    targets: Float[Tensor, "T B K"]
    advantages: Float[Tensor, "T B"]
    upgo_advantages: Float[Tensor, "T B"]
    smallest_spread: Tensor
    """Advantages that spread less are not scaled up to 1."""


def _returns(
    output: UnrollOutput, inputs: AgentInput, batch: Batch, config: LearnerConfig, progress: float
) -> _Returns:
    num_rows = batch.is_first.shape[1]
    log_ratio = (output.log_prob.detach() - batch.behaviour_log_prob).clamp(-20, 20)
    joint = log_ratio.new_zeros(inputs.size).index_add(0, inputs.decision_sample, log_ratio)
    ratios = joint.clamp(max=20).exp().view(-1, num_rows).T[:-1]
    values = output.values.detach().transpose(0, 1)
    arguments = (values[:-1], values[1:], batch.rewards, batch.discounts, batch.trace_continues)
    decays = config.trace_decays
    lambda_ = decays[0] if len(decays) == 1 else values.new_tensor(decays)
    is_asked = _is_asked(inputs, values.shape[1])[:-1]
    targets, advantages = vtrace(
        *arguments, ratios, rho_clip=config.rho_clip, c_clip=config.c_clip, lambda_=lambda_, is_decision=is_asked
    )
    if config.policy_loss == "clipped" and not config.rho_weighted_advantages:
        # A decision that became unlikely would otherwise count less twice, and never be corrected.
        advantages = advantages / ratios.clamp(1e-6, config.rho_clip)[..., None]
    upgo_advantages = torch.zeros_like(advantages)
    if config.upgo_cost:
        upgo_advantages = ratios.clamp(max=1.0)[..., None] * (
            upgo_returns(*arguments, is_decision=is_asked) - values[:-1]
        )
    term_weights = values.new_tensor(config.term_weights_at(progress))
    weighted_targets = (targets * term_weights).sum(-1)[batch.loss_mask]
    return _Returns(
        targets=targets,
        advantages=(advantages * term_weights).sum(-1),
        upgo_advantages=(upgo_advantages * term_weights).sum(-1),
        smallest_spread=config.advantage_floor * weighted_targets.square().mean().sqrt(),
    )


def _policy_loss(output: UnrollOutput, advantages: Tensor, batch: Batch, config: LearnerConfig) -> Tensor:
    everywhere = torch.ones_like(output.log_prob, dtype=torch.bool)
    if config.policy_loss == "policy_gradient":
        return losses.policy_gradient_loss(output.log_prob, advantages, everywhere)
    return losses.clipped_policy_loss(
        output.log_prob, batch.behaviour_log_prob, advantages, everywhere, clip_epsilon=config.clip_epsilon
    )


def _per_decision(
    advantages: Float[Tensor, "T B"], returns: _Returns, batch: Batch, inputs: AgentInput, config: LearnerConfig
) -> Float[Tensor, " X"]:
    """Return each decision's advantage: that of its observation, normalised unless they spread too little."""
    if config.normalise_advantages and len(inputs.decision_sample):
        # Where no decision was asked, as of one side of a game of two, there is nothing to be good or bad at.
        taken = advantages[batch.loss_mask & _is_asked(inputs, advantages.shape[1])[:-1]]
        spread = torch.maximum(taken.std(unbiased=False), returns.smallest_spread)
        advantages = (advantages - taken.mean()) / (spread + 1e-8)
    # Bootstrap rows hold no decisions; a zero row keeps the flat index of the others.
    padded = torch.cat([advantages, advantages.new_zeros(1, advantages.shape[1])])
    return padded.T.reshape(-1)[inputs.decision_sample]


def _is_asked(inputs: AgentInput, batch_size: int) -> Bool[Tensor, "T1 B"]:
    """Return which observations ask for a decision, the last row's, which only bootstrap, included."""
    asked = torch.zeros(inputs.size, dtype=torch.bool, device=inputs.decision_sample.device)
    return asked.index_fill(0, inputs.decision_sample, True).view(batch_size, -1).T


def target_spread(targets: Float[Tensor, "T B K"], loss_mask: Tensor) -> Tensor:
    """Return the standard deviation of the targets that count, as root mean square over the terms."""
    taken = targets[loss_mask]
    if not len(taken):
        return targets.new_zeros(())
    # At least a twentieth of their size: where all goes well they hardly differ, and one failure would be a shock.
    return torch.maximum(taken.var(0, unbiased=False), (0.05 * taken).square().mean(0)).mean().sqrt()
