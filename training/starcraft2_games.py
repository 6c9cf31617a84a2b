"""StarCraft II as training sees it: a batch of games from a config, and which game it is."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.environment_config import NO_OPPONENT, PAST_SELF, SELF_PLAY, StarCraft2Config
from training.rollout import BatchedEnvironment
from training.seats import Seats

if TYPE_CHECKING:
    from envs.starcraft2.settings import StarCraft2Settings


def make_starcraft2(config: StarCraft2Config, seats: Seats, *, seed: int) -> BatchedEnvironment:
    """Return a batch of games.

    Raises:
        ValueError: if there are two players on a map for one, or a setting is out of its range.
        GameNotFoundError: if the game, the map or pysc2 is not installed.
    """
    from envs.starcraft2.vector_env import StarCraft2VectorEnv

    games: BatchedEnvironment = StarCraft2VectorEnv(starcraft2_settings(config), seats.opponents, seed=seed)
    if games.num_envs != seats.num_environment_rows:
        games.close()
        raise ValueError(
            f"{config.map_name} is a map for one player: expected the opponent {NO_OPPONENT}, got "
            f"{', '.join(dict.fromkeys(seats.names))}"
        )
    return games


def starcraft2_settings(config: StarCraft2Config) -> StarCraft2Settings:
    """Return the settings of the games that a config asks for.

    Raises:
        UnknownNameError: if a race, a function or an entry of the score does not exist.
        ValueError: if a setting is out of its range, or the file of human statistics is none.
    """
    from envs.starcraft2.guidance import HumanGuidance
    from envs.starcraft2.limits import ActionLimits
    from envs.starcraft2.settings import StarCraft2Settings

    return StarCraft2Settings(
        map_name=config.map_name,
        race=config.race,
        opponent_race=config.opponent_race,
        max_game_loops=config.max_steps,
        reward_weights=config.reward_weights or None,
        max_entities=config.max_entities,
        guidance=None if config.human_statistics is None else HumanGuidance.from_file(Path(config.human_statistics)),
        functions=config.functions,
        score_terms=config.score_terms,
        limits=ActionLimits(max_actions=config.max_actions, min_delay=config.min_delay),
        hide_opponent_race=config.hide_opponent_race,
        process=_process_settings(config),
        replay_directory=config.replay_directory,
        replay_interval=config.replay_interval,
        replay_label=config.replay_label,
    )


def on_map(config: StarCraft2Config, map_name: str) -> StarCraft2Config:
    """Return the same games on another map: without opponents where it is for one player, with some where it is not.

    Raises:
        UnknownNameError: if there is no such map.
        GameNotFoundError: if the game or the map is not installed.
    """
    from envs.starcraft2.game_maps import find_map

    if find_map(map_name).is_scored:
        return replace(config, map_name=map_name, opponents=(NO_OPPONENT,))
    opponents = tuple(name for name in config.opponents if name != NO_OPPONENT)
    return replace(config, map_name=map_name, opponents=opponents or StarCraft2Config().opponents)


def check_starcraft2_opponents(opponents: Sequence[str], *, ais_only: bool = False) -> None:
    """Check that all opponents exist.

    Args:
        opponents: their names.
        ais_only: whether they must be AIs: against itself or nobody an agent wins nothing.

    Raises:
        UnknownNameError: for the first that does not, with close matches.
    """
    from envs.starcraft2.names import parse_opponent

    for opponent in dict.fromkeys(opponents):
        if ais_only or opponent not in (SELF_PLAY, PAST_SELF, NO_OPPONENT):
            parse_opponent(opponent)


def starcraft2_build(config: StarCraft2Config) -> dict[str, Any]:
    """Return what identifies the game: name, map, layout and, as the game itself says, version and data version."""
    return {
        "name": "starcraft2",
        "map": config.map_name,
        **_running_version(config.release),
    }


def mark_of(build: Mapping[str, Any]) -> str:
    """Return what every table must say of a game that is not what its name promises; empty where it is."""
    if build.get("name") == "starcraft2" and build.get("game") != "starcraft2":
        return f"{build['game']} {build['data_version']}, not StarCraft II"
    return ""


@functools.cache
def _running_version(release: str | None) -> dict[str, Any]:
    """Start the game once and ask; what its folder says need not be true."""
    from envs.starcraft2.process_settings import game_version

    return dict(game_version(_process_settings(StarCraft2Config(release=release))))


def _process_settings(config: StarCraft2Config) -> Any:
    from envs.starcraft2.process_settings import ProcessSettings

    return ProcessSettings(
        release=config.release,
        episodes_per_process=config.episodes_per_process,
        request_timeout_seconds=config.request_timeout_seconds,
    )
