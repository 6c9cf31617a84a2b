"""Who plays whom: the games behind the rows that an agent learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.environment_config import NO_OPPONENT, PAST_SELF, SELF_PLAY

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Seats:
    """The rows that an agent learns from, and the games that they are in.

    An environment has a row for each controlled player (see `envs.rows`). Against a past self two are controlled, and
    the agent learns from one of them.

    Attributes:
        opponents: of each game its AI, or None where both players are controlled.
        players: of each game which player the agent is; 0 where it is both.
        names: of each of the agent's rows the opponent.
        sides: int [rows], which player of its game a row is.
        games: int [rows], the game of each row.
        environment_rows: int [rows], which row of the environment each is.
        past_rows: int [past selves], which rows of the environment past selves play.
        rivals: int [past selves], the agent's row in the same game.
    """

    opponents: tuple[str | None, ...]
    players: tuple[int, ...]
    names: tuple[str, ...]
    sides: Indices
    games: Indices
    environment_rows: Indices
    past_rows: Indices
    rivals: Indices

    @classmethod
    def of(cls, names: Sequence[str], sides: Sequence[int] = (0, 1), *, first_row: int = 0) -> Seats:
        """Return the seats of rows against these opponents; two rows of self-play are the two sides of one game.

        Args:
            names: the opponent of each row.
            sides: those that the agent plays against AIs, in turn; against past selves it plays both.
            first_row: rows of the actors before this one, so that sides come in turn over all of them.

        Raises:
            ValueError: if rows of self-play do not come in pairs.
        """
        opponents: list[str | None] = []
        players, seats, past_rows = [], [], []
        row = environment_row = 0
        while row < len(names):
            name = names[row]
            if name == SELF_PLAY and list(names[row : row + 2]) != [SELF_PLAY] * 2:
                raise ValueError(
                    f"a game of {SELF_PLAY} takes two rows one after the other, got {list(names)}; let "
                    "actors.games_per_actor be even"
                )
            turn = first_row + row
            side = 0 if name == SELF_PLAY else turn % 2 if name == PAST_SELF else sides[turn % len(sides)]
            has_ai = name not in (SELF_PLAY, PAST_SELF)
            mine = (0, 1) if name == SELF_PLAY else (side,)
            seats += [(player, len(opponents), environment_row + (0 if has_ai else player)) for player in mine]
            if name == PAST_SELF:
                past_rows.append((environment_row + 1 - side, row))
            opponents.append(name if has_ai else None)
            players.append(side)
            row += len(mine)
            environment_row += 1 if has_ai else 2
        columns = np.asarray(seats, np.intp).reshape(-1, 3).T
        return cls(tuple(opponents), tuple(players), tuple(names), *columns, *_columns(past_rows))

    @property
    def num_environment_rows(self) -> int:
        """Number of rows of the environment, those of past selves included."""
        return len(self.environment_rows) + len(self.past_rows)

    @property
    def has_ai(self) -> NDArray[np.bool_]:
        """Which rows play against an AI, [rows]."""
        return np.array([name not in (SELF_PLAY, PAST_SELF, NO_OPPONENT) for name in self.names], np.bool_)


def _columns(pairs: Sequence[tuple[int, int]]) -> Indices:
    return np.asarray(pairs, np.intp).reshape(-1, 2).T
