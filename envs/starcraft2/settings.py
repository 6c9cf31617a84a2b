"""The settings of games of StarCraft II: what they must be, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.rows import RowTable
from envs.starcraft2.entity_columns import MAX_ENTITIES
from envs.starcraft2.functions import FUNCTION_BY_ABILITY, FUNCTIONS
from envs.starcraft2.game_maps import GameMap
from envs.starcraft2.guidance import HumanGuidance
from envs.starcraft2.limits import ActionLimits
from envs.starcraft2.names import NO_OPPONENT, RACES, check_name
from envs.starcraft2.process_settings import ProcessSettings
from envs.starcraft2.rewards import REWARD_TERM_NAMES, WIN_LOSS
from envs.starcraft2.scalars import SCORE_DETAIL_NAMES, SCORE_NAMES


@dataclass(frozen=True, kw_only=True)
class StarCraft2Settings:
    """What games of StarCraft II are like; nothing in it needs the game to be installed.

    Attributes:
        map_name: a name of `known_maps()` such as Simple64, or a map's path below the game's folder Maps.
        race: of player 0.
        opponent_race: of player 1 or of the AIs that do not name theirs.
        max_game_loops: game loops after which an episode is truncated; None for the map's own limit.
        reward_weights: weight of each term of the reward; None for 1 each.
        max_entities: entity slots of a row; where there are more, own units come first, then the nearest enemies.
        guidance: human statistics z that the rows are asked to follow; adds the pseudo-rewards to the reward's terms.
        functions: names of pysc2's raw functions that an agent may call, beside no_op; by default all.
        score_terms: entries of the game's score (`scalars.SCORE_NAMES` and `SCORE_DETAIL_NAMES`) whose growth, in
            thousands, are further terms of the reward.
        limits: how often an agent may act.
        hide_opponent_race: probability that an episode does not tell a player its opponent's race (AlphaStar's
            training: 0.1).
        process: how the game's processes are started, watched and renewed.
        replay_directory: where replays are saved; None saves none.
        replay_interval: every how many episodes of a game one is saved.
        replay_label: who plays as player 0, for names and records of replays.

    Raises:
        UnknownNameError: if there is no such race, function or entry of the score.
        ValueError: if a setting is out of its range.
    """

    map_name: str = "Simple64"
    race: str = "random"
    opponent_race: str = "random"
    max_game_loops: int | None = None
    reward_weights: Sequence[float] | None = None
    max_entities: int = MAX_ENTITIES
    guidance: HumanGuidance | None = None
    functions: Sequence[str] = ()
    score_terms: Sequence[str] = ()
    limits: ActionLimits = field(default_factory=ActionLimits)
    hide_opponent_race: float = 0.0
    process: ProcessSettings = field(default_factory=ProcessSettings)
    replay_directory: str | Path | None = None
    replay_interval: int = 1
    replay_label: str = ""

    def __post_init__(self) -> None:
        """Check everything that needs no game."""
        for name in ("max_game_loops", "max_entities", "replay_interval"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not 0 <= self.hide_opponent_race <= 1:
            raise ValueError(f"hide_opponent_race must be a probability from 0 to 1, got {self.hide_opponent_race}")
        for race in (self.race, self.opponent_race):
            check_name("race", race, RACES)
        allowed_functions(self.functions)
        score_term_columns(self.score_terms)

    def reward_term_names(self, game_map: GameMap) -> tuple[str, ...]:
        """Return the terms of the reward, those of the score last.

        Raises:
            ValueError: if the map is scored by itself and there is a guidance.
        """
        if self.guidance is None:
            return ("score" if game_map.is_scored else WIN_LOSS, *self.score_terms)
        if game_map.is_scored:
            raise ValueError(f"{game_map.name} is scored by the map itself: leave guidance out")
        return (*REWARD_TERM_NAMES, *self.score_terms)

    def check_guidance(self, *, both_players: bool) -> None:
        """Check that there are human statistics for the races of the players that are controlled.

        Raises:
            ValueError: if there is none of a race.
        """
        if self.guidance is not None:
            for race in (self.race, *([self.opponent_race] if both_players else [])):
                self.guidance.check_race(race)


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


def checked_weights(weights: Sequence[float] | None, names: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the weights float32 of the reward's terms, all 1 for None.

    Raises:
        ValueError: if they are not finite or not one for each.
    """
    array = np.ones(len(names), np.float32) if weights is None else np.asarray(weights, np.float32)
    if array.shape != (len(names),) or not np.isfinite(array).all():
        raise ValueError(f"reward_weights must be finite and one for each of {names}, got {weights!r}")
    return array
