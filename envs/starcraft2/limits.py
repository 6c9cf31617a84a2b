"""How often an agent may act, so that it wins by what it does and not by how fast."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

GAME_LOOPS_PER_SECOND = 22.4
"""At the speed called "faster", at which people play."""


@dataclass(frozen=True, kw_only=True)
class ActionLimits:
    """What a fair agent keeps to.

    Attributes:
        max_actions: orders in any window; AlphaStar's limit is 22 in five seconds (Vinyals et al. 2019, Methods,
            "Interface"). None sets no limit. Calls of no_op are no orders.
        window_game_loops: length of the window; 112 game loops are five seconds.
        min_delay: least game loops between two decisions.
    """

    max_actions: int | None = 22
    window_game_loops: int = 112
    min_delay: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        values = {"window_game_loops": self.window_game_loops, "min_delay": self.min_delay}
        if self.max_actions is not None:
            values["max_actions"] = self.max_actions
        for name, value in values.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


class ActionBudget:
    """Counts the orders of one player in an episode against its limits."""

    def __init__(self, limits: ActionLimits) -> None:
        self.limits = limits
        self._game_loops: deque[int] = deque()

    def allows_order(self, game_loop: int) -> bool:
        """Return whether one more order may be given now: fewer than the limit in the window that ends here."""
        while self._game_loops and self._game_loops[0] <= game_loop - self.limits.window_game_loops:
            self._game_loops.popleft()
        return self.limits.max_actions is None or len(self._game_loops) < self.limits.max_actions

    def record(self, game_loop: int) -> None:
        """Count an order that is given now."""
        if self.limits.max_actions is not None:
            self._game_loops.append(game_loop)

    def next_decision(self, game_loop: int, delay: int) -> int:
        """Return the game loop of the next decision, `delay` loops on or as soon as the limits let it be."""
        return game_loop + max(delay, self.limits.min_delay)
