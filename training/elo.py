"""Ratings on one scale, from games between two players."""

from __future__ import annotations

from collections.abc import Mapping

START = 1000.0
_STEP = 8.0
"""How far one game moves a rating at most: a compromise between following the agent and chance."""


def expected_score(rating: float, other: float) -> float:
    """Return the score that a player is to expect against another: 1 / (1 + 10^((other - rating) / 400))."""
    return 1 / (1 + 10 ** ((other - rating) / 400))


class Elo:
    """Ratings that follow the games; what one player wins, the other loses."""

    def __init__(self) -> None:
        self._ratings: dict[str, float] = {}

    def rating(self, player: str) -> float:
        """Return a player's rating; 1000 before its first game."""
        return self._ratings.get(player, START)

    def add(self, player: str, other: str, score: float) -> None:
        """Take in a game: score 1 where the player won, 0.5 for a draw, 0 where the other won."""
        change = _STEP * (score - expected_score(self.rating(player), self.rating(other)))
        self._ratings[player], self._ratings[other] = self.rating(player) + change, self.rating(other) - change

    def copy(self, player: str, new: str) -> None:
        """Let a new player begin with the rating of another."""
        self._ratings[new] = self.rating(player)

    def forget(self, player: str) -> None:
        """Drop a player."""
        self._ratings.pop(player, None)

    def state_dict(self) -> dict[str, float]:
        """Return all ratings."""
        return dict(self._ratings)

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Restore what `state_dict` returned."""
        self._ratings = dict(state)
