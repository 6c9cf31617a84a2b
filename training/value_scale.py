"""How far the targets of the value functions spread, so that they can be learnt in units of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from agent.agent import Agent

_DECAY = 0.99
# Where nothing is ever won, the scale must not shrink until noise looks like reward.
_SMALLEST = 0.1


@dataclass
class ValueScale:
    """Running standard deviation of the value targets.

    Value errors are divided by it, and the last layer of the values takes steps of that size. That is what PopArt does
    by rescaling the layer (van Hasselt et al. 2016), without its shift: Adam's steps do not depend on the gradient's
    size, so a layer behind a factor moves as one without it whose steps are multiplied by the factor.

    Attributes:
        current: the scale; 1 until the first targets are seen, or for ever where values are not normalised.
    """

    enabled: bool
    current: float = 1.0
    started: bool = False

    def follow(self, spread: float) -> None:
        """Take in the standard deviation of a minibatch's targets."""
        if not self.enabled:
            return
        share = _DECAY if self.started else 0.0
        self.current = max(math.sqrt(share * self.current**2 + (1 - share) * spread**2), _SMALLEST)
        self.started = True

    def parameter_groups(self, agent: Agent) -> list[dict[str, Any]]:
        """Return all of the agent's parameters, the last layer of the values in a second group if it is scaled."""
        if not self.enabled:
            return [{"params": list(agent.parameters())}]
        last = {"value_weight", "value_bias"}
        return [
            {"params": [parameter for name, parameter in agent.named_parameters() if name not in last]},
            {"params": [parameter for name, parameter in agent.named_parameters() if name in last]},
        ]

    def step_sizes(self, learning_rate: float) -> tuple[float, float]:
        """Return the step size of each parameter group."""
        return learning_rate, learning_rate * self.current

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs."""
        return {"current": self.current, "started": self.started}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.current, self.started = float(state["current"]), bool(state["started"])
