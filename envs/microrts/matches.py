"""Games between two of the game's own AIs, played in Java from start to end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.microrts.ais import ai_factory
from envs.microrts.installation import resolve_map
from envs.microrts.jvm import crashes_reported, java_class, unit_type_table

_STEPS_PER_CALL = 50  # Python sees Ctrl-C between the calls


@dataclass(frozen=True, kw_only=True)
class MatchResults:
    """How games ended.

    Attributes:
        outcomes: int8 [games], +1 where the first AI won, 0 for a draw, -1 where it lost.
        game_steps: int32 [games], how long each game took.
    """

    outcomes: NDArray[np.int8]
    game_steps: NDArray[np.int32]


def play_ai_games(
    map_path: str, ai: str, opponent: str, *, num_games: int, player: int = 0, max_steps: int = 2000, seed: int = 0
) -> MatchResults:
    """Return the results of `num_games` games between two AIs, seen by the first of them.

    Args:
        map_path: a map's name or file, as for `MicroRTSVectorEnv`.
        ai: name of the AI whose results these are.
        opponent: name of the other one.
        player: which player the first AI is, 0 or 1.
        max_steps: game steps after which a game is a draw.
        seed: of the AIs' random choices; two AIs that make none play the same game each time.

    Raises:
        UnknownNameError: if the map or an AI does not exist.
        GameCrashedError: if an AI fails.
        ValueError: if an argument is out of its range.
    """
    if num_games < 0 or max_steps < 1 or player not in (0, 1):
        raise ValueError(
            f"expected num_games >= 0, max_steps >= 1 and player 0 or 1, got {num_games}, {max_steps} and {player}"
        )
    names = (ai, opponent) if player == 0 else (opponent, ai)
    table = unit_type_table()
    makers = java_class("perceiverstar.AiFactory")[:]([ai_factory(name) for name in names])
    path = resolve_map(map_path)
    outcomes = np.zeros(num_games, np.int8)
    game_steps = np.zeros(num_games, np.int32)
    with crashes_reported(f"in a match of {ai} against {opponent}"):
        start = java_class("rts.PhysicalGameState").load(str(path), table)
        game = java_class("perceiverstar.Game")(start, table, makers, max_steps)
        for index, game_seed in enumerate(np.random.SeedSequence(seed).generate_state(num_games, np.uint64)):
            game.setSeed(int(game_seed.view(np.int64)))
            game.reset()
            while not game.play(_STEPS_PER_CALL):
                pass
            winner = int(game.winner())
            outcomes[index] = 0 if winner < 0 else (1 if winner == player else -1)
            game_steps[index] = int(game.time())
    return MatchResults(outcomes=outcomes, game_steps=game_steps)
