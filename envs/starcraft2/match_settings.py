"""What all games of a batch have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from envs.starcraft2.game_maps import GameMap
from envs.starcraft2.process import GameProcess
from envs.starcraft2.settings import StarCraft2Settings, made_directory
from envs.starcraft2.version import VersionGuard


@dataclass(frozen=True, kw_only=True)
class MatchSettings:
    """What all games of a batch have in common.

    Attributes:
        game_map: the map.
        map_data: contents of its file.
        races: of player 0, and of player 1 or the opponent.
        start_process: starts the game's program (see `ProcessSettings.starter`).
        max_game_loops: game loops after which an episode is truncated.
        load_timeout_seconds: how long creating and joining an episode may take.
        episodes_per_process: episodes after which the program is started anew.
        replay_directory: where replays are written; None saves none.
        replay_interval: every how many episodes of a game one is saved.
        replay_label: who plays as player 0.
        version_guard: refuses games of another version.
    """

    game_map: GameMap
    map_data: bytes = field(repr=False)
    races: tuple[str, str]
    start_process: Callable[..., GameProcess]
    max_game_loops: int
    load_timeout_seconds: float
    episodes_per_process: int
    replay_directory: Path | None
    replay_interval: int
    replay_label: str
    version_guard: VersionGuard

    @classmethod
    def of(cls, settings: StarCraft2Settings, game_map: GameMap, directory: Path) -> MatchSettings:
        """Return the settings of matches on a map, with the game in `directory`.

        Raises:
            UnknownNameError: if there is no such release.
            GameNotFoundError: if its build is not installed.
            OSError: if the folder for replays cannot be made.
        """
        return cls(
            game_map=game_map,
            map_data=(directory / "Maps" / game_map.path).read_bytes(),
            races=(settings.race, settings.opponent_race),
            start_process=settings.process.starter(directory),
            max_game_loops=settings.max_game_loops or game_map.max_game_loops,
            load_timeout_seconds=settings.process.start_timeout_seconds,
            episodes_per_process=settings.process.episodes_per_process,
            replay_directory=made_directory(settings.replay_directory),
            replay_interval=settings.replay_interval,
            replay_label=settings.replay_label,
            version_guard=settings.process.version_guard(),
        )
