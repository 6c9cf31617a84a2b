"""Which row of a batch is which player of which game."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class RowTable:
    """The rows of a batch, game by game, player 0 before player 1.

    Attributes:
        ais: for each game the AI of player 0 and of player 1, None where the player is controlled.
        game: int [rows], the game of each row.
        player: int [rows], which player of that game the row is.
    """

    ais: tuple[tuple[str | None, str | None], ...]
    game: NDArray[np.intp]
    player: NDArray[np.intp]

    @classmethod
    def of_games(cls, opponents: Sequence[str | None], agent_players: Sequence[int] | None = None) -> RowTable:
        """Return the table for these opponents; None as an opponent means that both players are controlled.

        Raises:
            ValueError: if there is no game, or agent_players has another length or something else than 0 and 1.
        """
        if isinstance(opponents, str) or not len(opponents):
            raise ValueError(f"opponents must be a sequence with one name or None for each game, got {opponents!r}")
        players = [0] * len(opponents) if agent_players is None else list(agent_players)
        if len(players) != len(opponents):
            raise ValueError(
                f"agent_players must have one entry for each of {len(opponents)} games, got {len(players)}"
            )
        wrong = [player for player in players if player not in (0, 1)]
        if wrong:
            raise ValueError(f"agent_players must be 0 or 1, got {wrong[0]}")
        ais = tuple(
            (None, None) if ai is None else ((None, ai) if player == 0 else (ai, None))
            for ai, player in zip(opponents, players, strict=True)
        )
        rows = [(game, player) for game, pair in enumerate(ais) for player in (0, 1) if pair[player] is None]
        game, player = np.asarray(rows, np.intp).T
        return cls(ais, game, player)

    def meeting(self, opponents: Sequence[str | None], games: NDArray[np.bool_]) -> RowTable:
        """Return the table with other AIs in some games.

        Args:
            opponents: for each game the name of its new AI, or None to leave it as it is.
            games: bool [games], the games that it is about; the others keep theirs.

        Raises:
            ValueError: if opponents has another length, or names an AI for a game without one.
        """
        if isinstance(opponents, str) or len(opponents) != self.num_games:
            raise ValueError(
                f"opponents must have a name or None for each of {self.num_games} games, got {opponents!r}"
            )
        ais = list(self.ais)
        for game, (name, is_meant) in enumerate(zip(opponents, games, strict=True)):
            if name is None or not is_meant:
                continue
            if ais[game] == (None, None):
                raise ValueError(f"game {game} has no AI, both its players are controlled: expected None, got {name!r}")
            ais[game] = (None, name) if ais[game][0] is None else (name, None)
        return replace(self, ais=tuple(ais))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.game)

    @property
    def num_games(self) -> int:
        """Number of games."""
        return len(self.ais)

    def chosen_games(self, reset_mask: ArrayLike | None) -> NDArray[np.bool_]:
        """Return which games a reset is for, [games]: all without a mask, else those of its rows.

        Raises:
            ValueError: if the mask is not bool [rows], or names only one of the two rows of a game.
        """
        if reset_mask is None:
            return np.ones(self.num_games, np.bool_)
        mask = np.asarray(reset_mask)
        if mask.shape != (len(self),) or mask.dtype != np.bool_:
            raise ValueError(f"reset_mask must be bool ({len(self)},), got {mask.dtype} {mask.shape}")
        return self.games_of_rows(mask)

    def games_of_rows(self, row_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which games the rows of `row_mask` [rows] make up, [games].

        Raises:
            ValueError: if only one of the two rows of a game is chosen.
        """
        games = np.zeros(self.num_games, np.bool_)
        games[self.game[row_mask]] = True
        half = np.flatnonzero(games[self.game] & ~row_mask)
        if len(half):
            both = np.flatnonzero(self.game == self.game[half[0]]).tolist()
            raise ValueError(
                f"rows {both} are the two players of one game: reset both or neither, got only one of them"
            )
        return games
