"""How sure a win rate is."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass


def wilson_interval(wins: int, games: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a win probability, (low, high); (0, 1) without games.

    (p + z²/2n ± z √(p (1 - p)/n + z²/4n²)) / (1 + z²/n)                  (Wilson 1927)

    Unlike the textbook's p ± z √(p (1 - p)/n) it stays within 0 and 1 and is honest at 0 and n wins.

    Args:
        wins: games won, 0 to games.
        games: games played.
        confidence: share of such intervals that cover the true probability.

    Raises:
        ValueError: if wins does not lie between 0 and games, or confidence between 0 and 1.
    """
    if not 0 <= wins <= games:
        raise ValueError(f"expected 0 <= wins <= games, got {wins} wins in {games} games")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}; 0.95 is usual")
    if games == 0:
        return 0.0, 1.0
    z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
    rate, shrink = wins / games, 1 + z * z / games
    centre = (rate + z * z / (2 * games)) / shrink
    half_width = z * math.sqrt(rate * (1 - rate) / games + z * z / (4 * games * games)) / shrink
    # At the ends the interval touches 0 or 1 exactly; rounding may not.
    return (0.0 if wins == 0 else centre - half_width), (1.0 if wins == games else centre + half_width)


@dataclass(frozen=True)
class WinRate:
    """Outcomes of games between the same two sides.

    Attributes:
        games: games played.
        wins: games won; a draw is no win.
        draws: games that nobody won.
        losses: games lost.
        confidence: of the interval.

    Raises:
        ValueError: if a count is negative or they do not add up.
    """

    games: int
    wins: int
    draws: int
    losses: int
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Check the counts."""
        if min(self.wins, self.draws, self.losses) < 0 or self.wins + self.draws + self.losses != self.games:
            raise ValueError(
                f"expected wins, draws and losses that add up to games, got {self.wins} + {self.draws} + {self.losses} "
                f"for {self.games} games"
            )

    @property
    def win_rate(self) -> float:
        """Wins over games; nan without games."""
        return self.wins / self.games if self.games else math.nan

    @property
    def low(self) -> float:
        """Lower end of the Wilson interval."""
        return wilson_interval(self.wins, self.games, self.confidence)[0]

    @property
    def high(self) -> float:
        """Upper end of the Wilson interval."""
        return wilson_interval(self.wins, self.games, self.confidence)[1]

    def to_row(self) -> dict[str, int | float | None]:
        """Return counts, win rate (None without games) and interval for a table or JSON."""
        return {
            "games": self.games,
            "wins": self.wins,
            "draws": self.draws,
            "losses": self.losses,
            "win_rate": self.win_rate if self.games else None,
            "low": self.low,
            "high": self.high,
        }
