"""The maps of StarCraft II: those that pysc2 knows by name, and any other that is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from envs.errors import GameNotFoundError, UnknownNameError
from envs.starcraft2 import compatibility
from envs.starcraft2.installation import MAPS_REMEDY, game_directory, list_maps
from envs.starcraft2.names import MINI_GAMES

_DEFAULT_MAX_GAME_LOOPS = 28_800
"""pysc2's limit for a melee game: 30 minutes at 16 loops a second."""


@dataclass(frozen=True, kw_only=True)
class GameMap:
    """One map.

    Attributes:
        name: what it is called, such as Simple64.
        path: its file below the game's folder Maps.
        players: how many players it is for; 1 for a mini-game.
        max_game_loops: game loops after which an episode is truncated unless another limit is given; mini-games end by
            themselves, theirs is a safeguard.
    """

    name: str
    path: str
    players: int
    max_game_loops: int = _DEFAULT_MAX_GAME_LOOPS

    @property
    def is_scored(self) -> bool:
        """Whether the map gives a score of its own, which is then the reward."""
        return self.players == 1


def known_maps() -> dict[str, GameMap]:
    """Return the maps that pysc2 knows by name, installed or not."""
    return {name: _from_pysc2(name, kind()) for name, kind in compatibility.maps.get_maps().items()}


def find_map(name: str, directory: Path | None = None) -> GameMap:
    """Return an installed map: by pysc2's name, or by its path below the game's folder Maps.

    Raises:
        UnknownNameError: if there is no such map; close matches are in the message.
        GameNotFoundError: if pysc2 knows the map but it is not installed, or the game is not.
    """
    directory = directory or game_directory()
    installed, known = list_maps(directory), known_maps()
    if name in known:
        game_map = known[name]
        for path in (game_map.path, str(_with_players(game_map))):
            if path in installed:
                return GameMap(name=name, path=path, players=game_map.players, max_game_loops=game_map.max_game_loops)
        raise GameNotFoundError(
            f"the map {name} is not installed at {directory / 'Maps' / game_map.path}; {MAPS_REMEDY}"
        )
    for path in installed:
        if name in (path, path.removesuffix(".SC2Map"), PurePosixPath(path).stem):
            return GameMap(name=PurePosixPath(path).stem, path=path, players=_players_of_file(path))
    raise UnknownNameError("map of StarCraft II", name, {*known, *installed})


def _from_pysc2(name: str, entry: Any) -> GameMap:
    limit = int(entry.game_steps_per_episode) or _DEFAULT_MAX_GAME_LOOPS
    # On Windows, pysc2 joins with the other slash.
    path = str(entry.path).replace("\\", "/")
    return GameMap(name=name, path=path, players=int(entry.players or 2), max_game_loops=limit)


def _with_players(game_map: GameMap) -> PurePosixPath:
    path = PurePosixPath(game_map.path)
    return path.with_name(f"({game_map.players}){path.name}")


def _players_of_file(path: str) -> int:
    """Return for how many players a map is that pysc2 does not know, by the (4) that its file may begin with."""
    name = PurePosixPath(path).name
    if name.startswith("(") and name[1:2].isdigit():
        return int(name[1])
    return 1 if PurePosixPath(path).stem in MINI_GAMES or "mini_games" in path else 2
