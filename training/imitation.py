"""Behaviour cloning: the policy learns recorded decisions, the value functions what came of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from agent.action_spec import ActionSpec
from agent.agent import Agent
from agent.interface import AgentInput, UnrollOutput
from training import losses
from training.agent_learner import AgentLearner
from training.demonstration_streams import DemonstrationBatch
from training.learner_config import LearnerConfig
from training.objective import target_spread

Figures = dict[str, tuple[Tensor, Tensor]]
"""Sums by name, each with the number of what was summed."""


@dataclass(frozen=True)
class ImitationTargets:
    """A batch as tensors: what was decided, what it counts, and what came of it.

    Attributes:
        is_first, loss_mask: [B, T].
        returns: [B, T, K].
        action: [X, action_size] of each decision.
        weights: [X] of each decision.
        orders: [X] which decisions order something; None in games in which there is always something done.
    """

    is_first: Bool[Tensor, "B T"]
    loss_mask: Bool[Tensor, "B T"]
    returns: Float[Tensor, "B T K"]
    action: Tensor
    weights: Float[Tensor, " X"]
    orders: Bool[Tensor, " X"] | None

    @classmethod
    def from_batch(cls, batch: DemonstrationBatch, inputs: AgentInput, spec: ActionSpec) -> ImitationTargets:
        """Return the tensors of a batch, on the device of its observations."""
        device = inputs.decision_sample.device
        action = torch.as_tensor(batch.observations.decision["action"], device=device)
        return cls(
            is_first=torch.as_tensor(batch.is_first, device=device),
            loss_mask=torch.as_tensor(batch.loss_mask, device=device),
            returns=torch.as_tensor(batch.returns, device=device),
            action=action,
            weights=torch.as_tensor(batch.weights, device=device).flatten()[inputs.decision_sample],
            orders=action[:, 0] != 0 if spec.has_waits else None,
        )


def imitation_loss(
    output: UnrollOutput, targets: ImitationTargets, config: LearnerConfig, *, value_scale: float = 1.0
) -> tuple[Float[Tensor, ""], Figures]:
    """Return what is minimised, and figures of the batch.

    The policy's loss is the mean of -log π(a|s) over decisions, weighted by what each counts; that of the values is the
    learner's, with returns to go as targets, in units of `value_scale`.
    """
    counted, weight = targets.weights > 0, targets.weights.sum()
    policy_loss = losses.behaviour_cloning_loss(output.log_prob, counted, targets.weights, count=weight)
    value_loss = losses.value_loss(
        output.values / value_scale, targets.returns / value_scale, targets.loss_mask, huber_delta=config.huber_delta
    )
    steps = targets.loss_mask.sum()
    figures = {"policy_loss": (policy_loss * weight, weight), "value_loss": (value_loss * steps, steps)}
    figures |= part_figures(output, targets)
    constants = {name: (total.detach(), number) for name, (total, number) in figures.items()}
    return policy_loss + config.value_cost * value_loss, constants


def part_figures(output: UnrollOutput, targets: ImitationTargets) -> Figures:
    """Return accuracy of whole actions, and cross-entropy and accuracy of each part, weighted by what decisions count.

    A part is right if the policy's most likely choice, given the parts before it, is what was done. Where most units
    wait most of the time, accuracy hardly sees a policy that does nothing else: that of orders leaves waits out.
    """
    figures: Figures = {}
    weights = targets.weights
    right = torch.ones_like(weights, dtype=torch.bool)
    for name, part in output.parts.items():
        asked = torch.where(part.read, weights, 0.0)
        entropy = torch.where(asked > 0, -part.log_prob, 0.0)
        figures[f"cross_entropy/{name}"] = ((asked * entropy).sum(), asked.sum())
        figures[f"accuracy/{name}"] = ((asked * part.likeliest).sum(), asked.sum())
        right = right & (part.likeliest | ~part.read)
    if output.parts:
        figures["accuracy"] = ((weights * right).sum(), weights.sum())
        if targets.orders is not None:
            ordered = torch.where(targets.orders, weights, 0.0)
            figures["order_accuracy"] = ((ordered * right).sum(), ordered.sum())
    return figures


class Tally:
    """Adds figures up over batches."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, list[Tensor]] = defaultdict(list)
        self._numbers: defaultdict[str, list[Tensor]] = defaultdict(list)

    def add(self, figures: Figures) -> None:
        """Take in the figures of a batch."""
        for name, (total, number) in figures.items():
            self._sums[name].append(total)
            self._numbers[name].append(number)

    def take_means(self) -> dict[str, float]:
        """Return the mean of each figure since the last call; those of which there was nothing are left out."""
        numbers = {name: float(torch.stack(values).sum()) for name, values in self._numbers.items()}
        means = {
            name: float(torch.stack(values).double().sum()) / numbers[name]
            for name, values in self._sums.items()
            if numbers[name]
        }
        self._sums.clear()
        self._numbers.clear()
        return means


class ImitationLearner(AgentLearner):
    """Makes an agent decide as was recorded.

    The core's state is carried from each piece of a stream to the next.

    Args:
        agent: moved to `device` and updated in place.
        config: step sizes, weight of the value loss, discounts.
        num_streams: of the training.
        device: where the update runs.
    """

    def __init__(
        self, agent: Agent, config: LearnerConfig, *, num_streams: int, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(agent, config, device=device)
        self.core_states = agent.initial_state(num_streams).detach()

    def update(self, batch: DemonstrationBatch, progress: float = 0.0) -> Figures:
        """Take one optimiser step and return the batch's figures.

        Args:
            batch: the next steps of the streams.
            progress: share of the training that is done, 0 to 1: the step size follows it.
        """
        output, targets = self._unroll(batch, self.core_states)
        loss, figures = imitation_loss(output, targets, self.config, value_scale=self.value_scale.current)
        spread = target_spread(targets.returns.transpose(0, 1), targets.loss_mask.T)
        norm = self.descend(loss, {"losses/value_target_spread": spread, "loss": loss.detach()}, progress)
        self.num_updates += 1
        return {**figures, "gradient_norm": (norm, torch.ones_like(norm))}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[DemonstrationBatch], num_streams: int) -> dict[str, float]:
        """Return the means of the figures over batches of other games, from their first steps on."""
        tally, core_states = Tally(), self.agent.initial_state(num_streams)
        values, returns = [], []
        for batch in batches:
            output, targets = self._unroll(batch, core_states)
            tally.add(imitation_loss(output, targets, self.config, value_scale=self.value_scale.current)[1])
            values.append(output.values[targets.loss_mask].sum(-1))
            returns.append(targets.returns[targets.loss_mask].sum(-1))
        everywhere = torch.ones(sum(len(rows) for rows in values), dtype=torch.bool, device=self.device)
        explained = losses.explained_variance(torch.cat(values), torch.cat(returns), everywhere)
        return {**tally.take_means(), "explained_variance": float(explained)}

    def _unroll(self, batch: DemonstrationBatch, core_states: Tensor) -> tuple[UnrollOutput, ImitationTargets]:
        """Return what the agent makes of a batch, and carry the states of its streams on."""
        inputs = AgentInput.from_packed(batch.observations, self.device)
        targets = ImitationTargets.from_batch(batch, inputs, self.agent.spec.action)
        streams = torch.as_tensor(batch.streams, device=self.device)
        output = self.agent.unroll(inputs, core_states[streams], targets.is_first, targets.action, with_parts=True)
        assert output.state is not None
        core_states[streams] = output.state
        return output, targets

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs beside the weights."""
        return {**super().state_dict(), "core_states": self.core_states.cpu()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.core_states = state["core_states"].to(self.device)
