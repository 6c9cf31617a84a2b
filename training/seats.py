"""Who plays whom: the games behind the rows that an agent learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.environment_config import NO_OPPONENT, SELF_PLAY


@dataclass(frozen=True)
class Seats:
    """The rows of an agent, and the games that they are in.

    Attributes:
        opponents: of each game its AI, or None where both players are controlled.
        players: of each game which player the agent is; 0 where both are controlled.
        names: of each of the agent's rows the opponent.
        sides: int [rows], which player of its game a row is.
        games: int [rows], the game of each row.
    """

    opponents: tuple[str | None, ...]
    players: tuple[int, ...]
    names: tuple[str, ...]
    sides: NDArray[np.intp]
    games: NDArray[np.intp]

    @classmethod
    def of(cls, names: Sequence[str], sides: Sequence[int] = (0, 1)) -> Seats:
        """Return the seats of rows against these opponents; two rows of self-play are the two sides of one game.

        Args:
            names: the opponent of each row.
            sides: those that the agent plays against AIs, in turn.

        Raises:
            ValueError: if rows of self-play do not come in pairs.
        """
        opponents: list[str | None] = []
        players, of_rows = [], []
        row = 0
        while row < len(names):
            name, side = names[row], sides[row % len(sides)]
            both = name == SELF_PLAY
            if both and list(names[row : row + 2]) != [SELF_PLAY] * 2:
                raise ValueError(
                    f"a game of {SELF_PLAY} takes two rows one after the other, got {list(names)}; let "
                    "actors.games_per_actor be even"
                )
            of_rows += [(len(opponents), player) for player in ((0, 1) if both else (side,))]
            opponents.append(None if both else name)
            players.append(0 if both else side)
            row += 2 if both else 1
        games, row_sides = np.asarray(of_rows, np.intp).reshape(-1, 2).T
        return cls(tuple(opponents), tuple(players), tuple(names), row_sides, games)

    @property
    def has_ai(self) -> NDArray[np.bool_]:
        """Which rows play against an AI, [rows]."""
        return np.array([name not in (SELF_PLAY, NO_OPPONENT) for name in self.names], np.bool_)
