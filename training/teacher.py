"""What a teacher remembers of games that others play."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from agent.agent import Agent
from agent.interface import AgentInput
from training.trajectory import Trajectory


class TeacherMemory:
    """A teacher's core state along every stream of unrolls, as if it had watched each episode from its first step.

    Actors know nothing of the teacher: the unrolls of a stream come one after another, so the learner can watch them.
    A stream that is begun anew, as by an actor that replaces another, begins with a first step and needs no state.

    Args:
        teacher: frozen, on the device where it watches.
    """

    def __init__(self, teacher: Agent) -> None:
        self._teacher = teacher
        self._device = teacher.value_bias.device
        self._states: dict[int, Tensor] = {}

    @torch.no_grad()
    def watch(self, trajectory: Trajectory) -> Trajectory:
        """Return an unroll with the teacher's state before it, and remember the state after it."""
        if self._teacher.config.core == "none":
            return trajectory
        new = self._teacher.initial_state(1)[0]
        before = torch.stack([self._states.get(stream, new) for stream in trajectory.stream.tolist()])
        inputs = AgentInput.from_packed(trajectory.observations, self._device)
        is_first = torch.as_tensor(trajectory.is_first, device=self._device)
        # The last row is seen again as the first of the next unroll.
        after = self._teacher.remember(inputs, before, is_first, trajectory.unroll_length)
        self._states.update(zip(trajectory.stream.tolist(), after, strict=True))
        return replace(trajectory, teacher_state=np.asarray(before.cpu()))
