"""One optimiser update from a batch of unrolls, and the learner's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from agent.agent import Agent
from agent.interface import AgentInput
from training.agent_learner import AgentLearner
from training.learner_config import LearnerConfig
from training.objective import Batch, loss_and_metrics
from training.teacher import TeacherMemory
from training.trajectory import Trajectory, select_sequences


class Learner(AgentLearner):
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
        super().__init__(agent, config, device=device)
        self.teacher = None if teacher is None else teacher.to(device).eval().requires_grad_(False)
        self.teacher_memory = None if self.teacher is None else TeacherMemory(self.teacher)
        self.generator = np.random.default_rng(seed)

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
        norm = self.descend(loss, metrics, progress)
        return {name: float(value) for name, value in {**metrics, "losses/gradient_norm": norm}.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs beside the weights."""
        return {**super().state_dict(), "generator": _plain(self.generator.bit_generator.state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
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
