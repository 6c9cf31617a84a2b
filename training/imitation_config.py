"""What is imitated, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent.config import AgentConfig

IMITATION_KEY = "imitation"
"""Where these settings stand in config.json."""
_DEFAULT_WAIT_SHARE = 0.25
_AT_LEAST_ONE = ("passes", "streams", "unroll_length", "held_out_steps", "patience")


@dataclass(frozen=True, kw_only=True)
class ImitationConfig:
    """Whose decisions an agent learns to make, and how it goes through them."""

    data: str
    """The recording, a folder that `record` has written."""
    players: tuple[str, ...] = ()
    """Whose decisions are imitated; everybody's by default."""
    outcome_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """What a decision counts in games that its player won, drew and lost: 1 0 0 imitates winners only. Games that count
    nothing still teach the value functions, unless learner.value-cost is 0."""
    passes: int = 5
    """Times that the recording is gone through, if nothing ends it before."""
    streams: int = 64
    """Games that are read side by side; an optimiser step takes a piece of each."""
    unroll_length: int = 8
    """Steps of such a piece. The core's state is carried on to a game's next piece; its gradient is not."""
    wait_share: float | None = None
    """Share of the steps at which a player does nothing but wait that are read, each counting so much more; by default
    a quarter, or all for an agent with memory, which must not miss them."""
    wait_weight: float = 1.0
    """What decisions at such steps count, beside 1 at others: less makes an agent learn sooner when to order something,
    and order it too often."""
    held_out_share: float = 0.1
    """Share of the games that are kept to measure on."""
    held_out_steps: int = 20_000
    """Steps of them that are measured on, in whole games, every --checkpoint-interval-updates."""
    patience: int = 5
    """Measurements without a lower loss on held-out games after which the run ends, with the best weights."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.held_out_share < 1:
            raise ValueError(f"held_out_share must lie between 0 and 1, got {self.held_out_share}")
        if self.wait_share is not None and not 0 < self.wait_share <= 1:
            raise ValueError(f"wait_share must be above 0 and at most 1, got {self.wait_share}")
        if not 0 < self.wait_weight < math.inf:
            raise ValueError(f"wait_weight must be positive and finite, got {self.wait_weight}")
        weights = self.outcome_weights
        if len(weights) != 3 or not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise ValueError(
                f"outcome_weights are three numbers, for games won, drawn and lost, at least one above 0, got {weights}"
            )

    def wait_share_of(self, agent: AgentConfig) -> float:
        """Return the share of waits that an agent reads.

        Raises:
            ValueError: if an agent with memory is to miss some.
        """
        has_memory = agent.core != "none"
        if self.wait_share is None:
            return 1.0 if has_memory else _DEFAULT_WAIT_SHARE
        if has_memory and self.wait_share < 1:
            raise ValueError(
                f"wait_share is {self.wait_share}, but an agent with memory has to see every step: leave it out"
            )
        return self.wait_share

    def weight_of(self, outcome: int) -> float:
        """Return what decisions count in a game of this outcome: +1 won, 0 drawn, -1 lost."""
        return self.outcome_weights[1 - outcome]
