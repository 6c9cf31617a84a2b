"""The arguments of `StarCraft2VectorEnv`: what they must be, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.rows import RowTable
from envs.starcraft2.functions import FUNCTION_BY_ABILITY, FUNCTIONS
from envs.starcraft2.game_maps import GameMap
from envs.starcraft2.guidance import HumanGuidance
from envs.starcraft2.names import NO_OPPONENT, RACES, check_name
from envs.starcraft2.rewards import REWARD_TERM_NAMES, WIN_LOSS
from envs.starcraft2.scalars import SCORE_DETAIL_NAMES, SCORE_NAMES


def table_of_rows(game_map: GameMap, opponents: Sequence[str | None]) -> RowTable:
    """Return which row is which player of which game.

    Raises:
        ValueError: if there is no game, or an opponent on a map for one player.
    """
    if not game_map.is_scored:
        return RowTable.of_games(opponents)
    wrong = [opponent for opponent in opponents if opponent not in (None, NO_OPPONENT)]
    if wrong:
        raise ValueError(
            f"{game_map.name} is a map for one player: expected the opponent {NO_OPPONENT!r}, got {wrong[0]!r}"
        )
    return RowTable.of_games([NO_OPPONENT] * len(opponents))


def names_of_terms(
    game_map: GameMap, guidance: HumanGuidance | None, score_terms: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the terms of the reward, those of the score last.

    Raises:
        ValueError: if the map is scored by itself and there is a guidance.
    """
    if guidance is None:
        return ("score" if game_map.is_scored else WIN_LOSS, *score_terms)
    if game_map.is_scored:
        raise ValueError(f"{game_map.name} is scored by the map itself: leave guidance out")
    return (*REWARD_TERM_NAMES, *score_terms)


def allowed_functions(names: Sequence[str]) -> NDArray[np.int8]:
    """Return a mask int8 [F] of the named functions and no_op; of all functions where none is named.

    Raises:
        UnknownNameError: for the first that is no function; close matches are in the message.
        ValueError: for the first that no agent is offered, whatever it names: the camera, and specific functions.
    """
    known = {function.name: function.index for function in FUNCTIONS}
    for name in names:
        check_name("function", name, known, hint="pysc2 lists its RAW_FUNCTIONS in pysc2.lib.actions")
        function = FUNCTIONS[known[name]]
        if function.kind == "camera":
            raise ValueError(f"functions: {name} changes nothing of what the raw interface shows; leave it out")
        if function.general_id:
            general = FUNCTION_BY_ABILITY.get((function.general_id, function.kind))
            remedy = f"name the general {general.name}" if general else "leave it out"
            raise ValueError(f"functions: {name} is one of several that a general function stands for; {remedy}")
    allowed = np.full(len(FUNCTIONS), not names, np.int8)
    allowed[[known["no_op"], *(known[name] for name in names)]] = 1
    return allowed


def score_term_columns(names: Sequence[str]) -> list[int]:
    """Return which entries of the game's score the names are.

    Raises:
        UnknownNameError: for the first that is none; close matches are in the message.
        ValueError: if one stands twice.
    """
    known = (*SCORE_NAMES, *SCORE_DETAIL_NAMES)
    for name in names:
        check_name("entry of the score", name, known)
    if len(set(names)) != len(names):
        raise ValueError(f"score_terms must differ, got {tuple(names)}")
    return [known.index(name) for name in names]


def made_directory(path: str | Path | None) -> Path | None:
    """Return a folder for replays, made where it is missing; None for None.

    Raises:
        OSError: if it cannot be made.
    """
    if path is None:
        return None
    directory = Path(path)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def require_positive(**values: float) -> None:
    """Check that all values are greater than 0.

    Raises:
        ValueError: for the first that is not, by name.
    """
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")


def checked_weights(weights: ArrayLike | None, names: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the weights float32 of the reward's terms, all 1 for None.

    Raises:
        ValueError: if they are not finite or not one for each.
    """
    array = np.ones(len(names), np.float32) if weights is None else np.asarray(weights, np.float32)
    if array.shape != (len(names),) or not np.isfinite(array).all():
        raise ValueError(f"reward_weights must be finite and one for each of {names}, got {weights!r}")
    return array


def check_races(race: str, opponent_race: str, opponents: Sequence[str | None], guidance: HumanGuidance | None) -> None:
    """Check the races, and that there are human statistics for those of the controlled players.

    Raises:
        UnknownNameError: if there is no such race.
        ValueError: if a guidance has no statistic of a race.
    """
    for each in (race, opponent_race):
        check_name("race", each, RACES)
    if guidance is not None:
        for each in (race, *([opponent_race] if None in opponents else [])):
            guidance.check_race(each)
