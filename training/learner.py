"""One optimiser update from a batch of unrolls, and the learner's state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from agent.agent import Agent
from agent.interface import AgentInput, UnrollOutput
from training import losses
from training.returns import upgo_returns, vtrace
from training.trajectory import Trajectory, select_sequences
from training.value_scale import ValueScale

_NOT_NEGATIVE = (
    "final_learning_rate",
    "value_cost",
    "entropy_cost",
    "upgo_cost",
    "teacher_kl_cost",
    "advantage_floor",
)


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How the learner turns experience into a better policy."""

    learning_rate: float = 5e-4
    """Adam's step size at the start."""
    final_learning_rate: float = 5e-5
    """Adam's step size at the end of training; it falls linearly."""
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
    trace_decay: float = 0.95
    """Lambda of V-trace and TD(lambda)."""
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
    """Weight of the entropy bonus."""
    upgo_cost: float = 0.0
    """Weight of the UPGO policy loss (Vinyals et al. 2019)."""
    teacher_kl_cost: float = 0.0
    """Weight of the KL divergence to the teacher."""
    normalise_advantages: bool = True
    """Scale each minibatch's advantages to mean 0 and variance 1."""
    advantage_floor: float = 0.0
    """Advantages that spread less than this share of the value targets' size are noise, and not scaled up further."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("num_epochs", "num_minibatches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "adam_epsilon", "max_grad_norm", "rho_clip", "c_clip", "clip_epsilon"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more and finite, got {getattr(self, name)}")
        if not self.discounts or not all(0 <= value <= 1 for value in (*self.discounts, self.trace_decay)):
            raise ValueError(
                f"discounts and trace_decay must lie in [0, 1], got {self.discounts} and {self.trace_decay}"
            )
        if self.huber_delta is not None and not self.huber_delta > 0:
            raise ValueError(f"huber_delta must be positive, or None for the squared error, got {self.huber_delta}")
        if self.policy_loss == "policy_gradient" and self.num_epochs > 1:
            raise ValueError("policy_loss='policy_gradient' does not bound how far the policy moves: use num_epochs=1")


class Learner:
    """Update an agent from trajectories.

    Args:
        agent: moved to `device` and updated in place.
        config: see `LearnerConfig`.
        device: where the update runs.
        seed: of the minibatch order.
        teacher: an agent that `teacher_kl_cost` holds the policy to; frozen. Its memory begins anew at each unroll.
    """

    def __init__(
        self,
        agent: Agent,
        config: LearnerConfig,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        teacher: Agent | None = None,
    ) -> None:
        if config.teacher_kl_cost and teacher is None:
            raise ValueError("teacher_kl_cost is set but there is no teacher: name one, or set the cost to 0")
        if teacher is not None and teacher.spec != agent.spec:
            raise ValueError("the teacher was made for other observations or actions: choose one of the same game")
        if len(config.discounts) not in (1, len(agent.spec.reward_terms)):
            raise ValueError(
                f"expected 1 or {len(agent.spec.reward_terms)} discounts, one per reward term "
                f"{agent.spec.reward_terms}, got {config.discounts}"
            )
        self.agent, self.config = agent.to(device), config
        self.teacher = None if teacher is None else teacher.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)
        self.value_scale = ValueScale(config.normalise_values)
        self.optimiser = torch.optim.Adam(
            self.value_scale.parameter_groups(agent), lr=config.learning_rate, eps=config.adam_epsilon, fused=True
        )
        self.generator = np.random.default_rng(seed)
        self.num_updates = 0

    def update(self, trajectories: Sequence[Trajectory], progress: float = 0.0) -> dict[str, float]:
        """Return the losses of one update: `num_epochs` passes over all sequences of the trajectories.

        Args:
            trajectories: unrolls of one length; their sequences are pooled.
            progress: share of the training that is done, 0 to 1, for the learning rate schedule.
        """
        learning_rate = self.config.learning_rate + progress * (
            self.config.final_learning_rate - self.config.learning_rate
        )
        steps: list[dict[str, float]] = []
        num_sequences = sum(trajectory.num_sequences for trajectory in trajectories)
        num_parts = min(self.config.num_minibatches, num_sequences)
        for _ in range(self.config.num_epochs):
            for part in np.array_split(self.generator.permutation(num_sequences), num_parts):
                steps.append(self._step(select_sequences(trajectories, part), learning_rate))
        self.num_updates += 1
        means = {name: float(np.mean([step[name] for step in steps])) for name in steps[0]}
        return {**means, "charts/learning_rate": learning_rate}

    def _step(self, trajectory: Trajectory, learning_rate: float) -> dict[str, float]:
        """Take one optimiser step and return its losses."""
        for group, step_size in zip(
            self.optimiser.param_groups, self.value_scale.step_sizes(learning_rate), strict=False
        ):
            group["lr"] = step_size
        inputs = AgentInput.from_packed(trajectory.observations, self.device)
        batch = _Batch.from_trajectory(trajectory, self.config, self.device)
        output = self.agent.unroll(inputs, batch.initial_state, batch.is_first, batch.action, teacher=self.teacher)
        loss, metrics = loss_and_metrics(output, inputs, batch, self.config, value_scale=self.value_scale.current)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.agent.parameters(), self.config.max_grad_norm)
        if not torch.isfinite(norm):
            values = {name: float(value) for name, value in metrics.items()}
            raise FloatingPointError(f"the gradient is not finite at update {self.num_updates}: {values}")
        self.optimiser.step()
        self.value_scale.follow(float(metrics["losses/value_target_spread"]))
        return {name: float(value) for name, value in {**metrics, "losses/gradient_norm": norm}.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs beside the weights."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "num_updates": self.num_updates,
            "value_scale": self.value_scale.state_dict(),
            "generator": _plain(self.generator.bit_generator.state),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.num_updates = int(state["num_updates"])
        self.value_scale.load_state_dict(state["value_scale"])
        self.generator.bit_generator.state = _from_plain(state["generator"])


@dataclass(frozen=True)
class _Batch:
    """A trajectory's dense arrays as tensors, [B, T...]; the learner's maths is time-major."""

    initial_state: Tensor
    is_first: Tensor
    action: Tensor
    behaviour_log_prob: Tensor
    rewards: Float[Tensor, "T B K"]
    discounts: Float[Tensor, "T B K"]
    trace_continues: Tensor
    loss_mask: Tensor

    @classmethod
    def from_trajectory(cls, trajectory: Trajectory, config: LearnerConfig, device: torch.device) -> _Batch:
        ended = trajectory.terminated | trajectory.truncated

        def tensor(array: Any) -> Tensor:
            return torch.as_tensor(array, device=device)

        elapsed = tensor(trajectory.elapsed_steps.T)[..., None]
        gamma = torch.tensor(config.discounts, device=device).expand(trajectory.rewards.shape[-1])
        return cls(
            initial_state=tensor(trajectory.initial_state),
            is_first=tensor(trajectory.is_first),
            action=tensor(trajectory.observations.decision["action"]),
            behaviour_log_prob=tensor(trajectory.observations.decision["behaviour_log_prob"]),
            rewards=tensor(trajectory.rewards).transpose(0, 1),
            discounts=gamma**elapsed * tensor(~trajectory.terminated.T)[..., None],
            trace_continues=tensor((~ended & trajectory.loss_mask).T),
            loss_mask=tensor(trajectory.loss_mask.T),
        )


def loss_and_metrics(
    output: UnrollOutput, inputs: AgentInput, batch: _Batch, config: LearnerConfig, *, value_scale: float = 1.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the total loss and its parts.

    The importance ratio of V-trace is that of all decisions of an observation together; the policy losses are per
    decision, each with the advantage of its observation. The value loss is that of errors in units of `value_scale`.
    """
    num_rows = batch.is_first.shape[1]
    log_ratio = (output.log_prob.detach() - batch.behaviour_log_prob).clamp(-20, 20)
    joint = log_ratio.new_zeros(inputs.size).index_add(0, inputs.decision_sample, log_ratio)
    ratios = joint.clamp(max=20).exp().view(-1, num_rows).T[:-1]
    values = output.values.transpose(0, 1)
    arguments = (values[:-1].detach(), values[1:].detach(), batch.rewards, batch.discounts, batch.trace_continues)
    targets, advantages = vtrace(
        *arguments,
        ratios,
        rho_clip=config.rho_clip,
        c_clip=config.c_clip,
        lambda_=config.trace_decay,
    )
    if config.policy_loss == "clipped" and not config.rho_weighted_advantages:
        # A decision that became unlikely would otherwise count less twice, and never be corrected.
        advantages = advantages / ratios.clamp(1e-6, config.rho_clip)[..., None]
    smallest = config.advantage_floor * targets.sum(-1)[batch.loss_mask].square().mean().sqrt()
    policy_advantages = _per_decision(advantages.sum(-1), smallest, batch, inputs, config)
    everywhere = torch.ones_like(output.log_prob, dtype=torch.bool)
    if config.policy_loss == "clipped":
        policy_loss = losses.clipped_policy_loss(
            output.log_prob, batch.behaviour_log_prob, policy_advantages, everywhere, clip_epsilon=config.clip_epsilon
        )
    else:
        policy_loss = losses.policy_gradient_loss(output.log_prob, policy_advantages, everywhere)
    value_loss = losses.value_loss(
        values[:-1] / value_scale, targets / value_scale, batch.loss_mask, huber_delta=config.huber_delta
    )
    entropy_loss = losses.entropy_loss(output.entropy, everywhere)
    total = policy_loss + config.value_cost * value_loss + config.entropy_cost * entropy_loss
    metrics = {
        "losses/policy_loss": policy_loss,
        "losses/value_loss": value_loss,
        "losses/value_target_spread": _spread(targets, batch.loss_mask),
        "losses/entropy": -entropy_loss,
        "losses/approx_kl": losses.approximate_kl(output.log_prob, batch.behaviour_log_prob, everywhere),
        "losses/explained_variance": losses.explained_variance(values[:-1].sum(-1), targets.sum(-1), batch.loss_mask),
    }
    if config.upgo_cost:
        upgo_advantages = ratios.clamp(max=1.0) * (upgo_returns(*arguments) - values[:-1].detach()).sum(-1)
        upgo_loss = losses.policy_gradient_loss(
            output.log_prob, _per_decision(upgo_advantages, smallest, batch, inputs, config), everywhere
        )
        total = total + config.upgo_cost * upgo_loss
        metrics["losses/upgo_loss"] = upgo_loss
    if config.teacher_kl_cost:
        assert output.kl is not None
        teacher_kl = losses.teacher_kl_loss(output.kl, everywhere)
        total = total + config.teacher_kl_cost * teacher_kl
        metrics["losses/teacher_kl"] = teacher_kl
    return total, {name: value.detach() for name, value in metrics.items()}


def _per_decision(
    advantages: Float[Tensor, "T B"], smallest: Tensor, batch: _Batch, inputs: AgentInput, config: LearnerConfig
) -> Float[Tensor, " X"]:
    """Return each decision's advantage: that of its observation, normalised unless its spread is below `smallest`."""
    if config.normalise_advantages:
        taken = advantages[batch.loss_mask]
        advantages = (advantages - taken.mean()) / (torch.maximum(taken.std(unbiased=False), smallest) + 1e-8)
    # Bootstrap rows hold no decisions; a zero row keeps the flat index of the others.
    padded = torch.cat([advantages, advantages.new_zeros(1, advantages.shape[1])])
    return padded.T.reshape(-1)[inputs.decision_sample]


def _spread(targets: Float[Tensor, "T B K"], loss_mask: Tensor) -> Tensor:
    """Return the standard deviation of the targets that count, as root mean square over the terms."""
    taken = targets[loss_mask]
    if not len(taken):
        return targets.new_zeros(())
    # At least a twentieth of their size: where all goes well they hardly differ, and one failure would be a shock.
    return torch.maximum(taken.var(0, unbiased=False), (0.05 * taken).square().mean(0)).mean().sqrt()


def _plain(state: Any) -> Any:
    """Return NumPy's generator state with its 128-bit integers as text, which a checkpoint can hold."""
    if isinstance(state, Mapping):
        return {key: _plain(value) for key, value in state.items()}
    return str(state) if isinstance(state, int) else state


def _from_plain(state: Any) -> Any:
    if isinstance(state, Mapping):
        return {key: _from_plain(value) for key, value in state.items()}
    return int(state) if isinstance(state, str) and state.lstrip("-").isdigit() else state
