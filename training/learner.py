"""One optimiser update from a batch of unrolls, and the learner's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from agent.agent import Agent
from agent.interface import AgentInput
from training.learner_config import LearnerConfig
from training.objective import Batch, loss_and_metrics
from training.teacher import TeacherMemory
from training.trajectory import Trajectory, select_sequences
from training.value_scale import ValueScale


class Learner:
    """Update an agent from trajectories.

    Args:
        agent: moved to `device` and updated in place.
        config: see `LearnerConfig`.
        device: where the update runs.
        seed: of the minibatch order.
        teacher: an agent that `teacher_kl_cost` holds the policy to; frozen.
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
        if not config.has_teacher:
            teacher = None
        elif teacher is None:
            raise ValueError(
                "teacher_kl_cost is set but there is no teacher: name one by --teacher or --init, or set the cost to 0"
            )
        if teacher is not None and teacher.spec != agent.spec:
            raise ValueError("the teacher was made for other observations or actions: choose one of the same game")
        if (
            teacher is not None
            and agent.spec.action.function_call
            and teacher.config.selection != agent.config.selection
        ):
            raise ValueError(
                f"the teacher selects units by {teacher.config.selection}, the agent by {agent.config.selection}: a "
                "divergence needs one agent.selection for both"
            )
        for name, values in (
            ("discounts", config.discounts),
            ("trace_decay", config.trace_decays),
            ("final_term_weights", config.final_term_weights),
        ):
            if len(values) not in (1, len(agent.spec.reward_terms)):
                raise ValueError(
                    f"expected 1 or {len(agent.spec.reward_terms)} {name}, one per reward term "
                    f"{agent.spec.reward_terms}, got {values}"
                )
        self.agent, self.config = agent.to(device), config
        self.teacher = None if teacher is None else teacher.to(device).eval().requires_grad_(False)
        self.teacher_memory = None if self.teacher is None else TeacherMemory(self.teacher)
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
            progress: share of the training that is done, 0 to 1: step size and weights of the losses follow it.
        """
        if self.teacher_memory is not None:
            trajectories = [self.teacher_memory.watch(trajectory) for trajectory in trajectories]
        steps: list[dict[str, float]] = []
        num_sequences = sum(trajectory.num_sequences for trajectory in trajectories)
        num_parts = min(self.config.num_minibatches, num_sequences)
        for _ in range(self.config.num_epochs):
            for part in np.array_split(self.generator.permutation(num_sequences), num_parts):
                steps.append(self._step(select_sequences(trajectories, part), progress))
        self.num_updates += 1
        means = {name: float(np.mean([step[name] for step in steps])) for name in steps[0]}
        return {**means, "charts/learning_rate": self.config.learning_rate_at(progress)}

    def _step(self, trajectory: Trajectory, progress: float) -> dict[str, float]:
        """Take one optimiser step and return its losses."""
        learning_rate = self.config.learning_rate_at(progress)
        for group, step_size in zip(
            self.optimiser.param_groups, self.value_scale.step_sizes(learning_rate), strict=False
        ):
            group["lr"] = step_size
        inputs = AgentInput.from_packed(trajectory.observations, self.device)
        batch = Batch.from_trajectory(trajectory, self.config, self.device)
        output = self.agent.unroll(
            inputs,
            batch.initial_state,
            batch.is_first,
            batch.action,
            teacher=self.teacher,
            teacher_state=batch.teacher_state,
        )
        loss, metrics = loss_and_metrics(
            output, inputs, batch, self.config, progress=progress, value_scale=self.value_scale.current
        )
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


def _plain(state: Any) -> Any:
    """Return NumPy's generator state with its 128-bit integers as text, which a checkpoint can hold."""
    if isinstance(state, Mapping):
        return {key: _plain(value) for key, value in state.items()}
    return str(state) if isinstance(state, int) else state


def _from_plain(state: Any) -> Any:
    if isinstance(state, Mapping):
        return {key: _from_plain(value) for key, value in state.items()}
    return int(state) if isinstance(state, str) and state.lstrip("-").isdigit() else state
