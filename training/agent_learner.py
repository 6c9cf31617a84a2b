"""What every learner of an agent has: the optimiser, its step, and their state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from agent.agent import Agent
from training.learner_config import LearnerConfig
from training.value_scale import ValueScale


class AgentLearner:
    """Descends losses of an agent.

    Args:
        agent: moved to `device` and updated in place.
        config: see `LearnerConfig`.
        device: where the update runs.
    """

    def __init__(self, agent: Agent, config: LearnerConfig, *, device: torch.device | str = "cpu") -> None:
        for name, values in (
            ("discounts", config.discounts),
            ("trace_decay", config.trace_decays),
            ("term_weights", config.term_weights),
            ("final_term_weights", config.final_term_weights),
        ):
            if len(values) not in (1, len(agent.spec.reward_terms)):
                raise ValueError(
                    f"expected 1 or {len(agent.spec.reward_terms)} {name}, one per reward term "
                    f"{agent.spec.reward_terms}, got {values}"
                )
        self.agent, self.config = agent.to(device), config
        self.device = torch.device(device)
        self.value_scale = ValueScale(config.normalise_values)
        self.optimiser = torch.optim.Adam(
            self.value_scale.parameter_groups(agent), lr=config.learning_rate, eps=config.adam_epsilon, fused=True
        )
        self.num_updates = 0

    def descend(self, loss: Tensor, metrics: Mapping[str, Tensor], progress: float) -> Tensor:
        """Take one optimiser step and return the norm of the gradient before clipping.

        Args:
            loss: what is to become less.
            metrics: told where the gradient is not finite; the spread of the value targets is among them.
            progress: share of the training that is done.

        Raises:
            FloatingPointError: if the gradient is not finite; the agent is as it was.
        """
        learning_rate = self.config.learning_rate_at(progress)
        for group, step_size in zip(
            self.optimiser.param_groups, self.value_scale.step_sizes(learning_rate), strict=False
        ):
            group["lr"] = step_size
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.agent.parameters(), self.config.max_grad_norm)
        if not torch.isfinite(norm):
            values = {name: float(value) for name, value in metrics.items()}
            raise FloatingPointError(
                f"the gradient is not finite at update {self.num_updates}: {values}; a smaller learning rate may help"
            )
        self.optimiser.step()
        if self.value_scale.enabled:
            self.value_scale.follow(float(metrics["losses/value_target_spread"]))
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs beside the weights."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "num_updates": self.num_updates,
            "value_scale": self.value_scale.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; Adam's epsilon stays that of the config."""
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            group["eps"] = self.config.adam_epsilon
        self.num_updates = int(state["num_updates"])
        self.value_scale.load_state_dict(state["value_scale"])
