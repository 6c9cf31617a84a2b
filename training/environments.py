"""Environment configs -> batched environments."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from agent.interface import AgentSpec
from envs.errors import GameVersionError
from training.environment_config import (
    NO_OPPONENT,
    PAST_SELF,
    SELF_PLAY,
    EnvironmentConfig,
    GymnasiumConfig,
    MicroRTSConfig,
    StarCraft2Config,
)
from training.league import League, LeagueConfig
from training.rollout import BatchedEnvironment
from training.seats import Seats
from training.starcraft2_games import check_starcraft2_opponents, make_starcraft2, mark_of, starcraft2_build

_logger = logging.getLogger(__name__)


def make_environment(
    config: EnvironmentConfig,
    num_games: int,
    *,
    seed: int,
    opponents: Sequence[str] | None = None,
    agent_players: Sequence[int] | None = None,
) -> BatchedEnvironment:
    """Return a batch of games.

    Args:
        config: what is played.
        num_games: how many games are stepped together; two of self-play are the two rows of one.
        seed: of the games.
        opponents: the opponent in each game; default: the config's, dealt out in turn.
        agent_players: the side (0 or 1) that the agent plays in each game of µRTS; default: in turn, each opponent on
            both sides.
    """
    if opponents is None:
        opponents = opponents_of(config, num_games)
    seats = seats_of(config, opponents)
    match config:
        case GymnasiumConfig():
            from envs.gymnasium_adapter import GymnasiumVectorEnv

            adapted: BatchedEnvironment = GymnasiumVectorEnv(config.env_id, num_games, seed=seed)
            return adapted
        case StarCraft2Config():
            return make_starcraft2(config, seats, seed=seed)
        case MicroRTSConfig():
            return _make_microrts(config, seats, agent_players or seats.players, seed)


def _make_microrts(config: MicroRTSConfig, seats: Seats, agent_players: Sequence[int], seed: int) -> BatchedEnvironment:
    from envs.microrts.vector_env import MicroRTSVectorEnv

    games: BatchedEnvironment = MicroRTSVectorEnv(
        map_path=config.map_path,
        opponents=seats.opponents,
        agent_players=agent_players,
        max_steps=config.max_steps,
        reward_weights=config.reward_weights,
        skip_idle_steps=config.skip_idle_steps,
        seed=seed,
    )
    return games


def opponents_of(config: EnvironmentConfig, num_games: int, *, first_game: int = 0) -> list[str]:
    """Return the opponent in each game of a batch: the config's, dealt out in turn to pairs of games, one a side.

    Args:
        config: what is played.
        num_games: games of the batch.
        first_game: games of the batches before it, so that all together are dealt out evenly.
    """
    if isinstance(config, GymnasiumConfig):
        return [NO_OPPONENT] * num_games
    games = range(first_game, first_game + num_games)
    return [config.opponents[game // 2 % len(config.opponents)] for game in games]


def seats_of(config: EnvironmentConfig, opponents: Sequence[str], *, first_game: int = 0) -> Seats:
    """Return who plays whom in a batch whose rows have these opponents, after `first_game` rows of other batches.

    Raises:
        ValueError: if rows of self-play do not come in pairs.
    """
    sides = (0,) if isinstance(config, GymnasiumConfig) else config.sides
    return Seats.of(opponents, sides, first_row=first_game)


def check_seats(config: EnvironmentConfig, games_per_actor: int, num_actors: int, by_need: bool) -> None:
    """Check that the games of every actor can be dealt; warn of opponents for whom there are too few.

    Args:
        config: what is played.
        games_per_actor: rows of each batch.
        num_actors: batches.
        by_need: whether the AIs share their games among them, whoever has which at first.

    Raises:
        ValueError: if a game of self-play would have its sides in two actors.
    """
    dealt: set[str] = set()
    for first_game in range(0, num_actors * games_per_actor, games_per_actor):
        opponents = opponents_of(config, games_per_actor, first_game=first_game)
        seats_of(config, opponents)
        dealt.update(opponents)
    if isinstance(config, GymnasiumConfig):
        return
    selves = {SELF_PLAY, PAST_SELF}
    unmet = [name for name in dict.fromkeys(config.opponents) if name not in dealt]
    if by_need and not dealt <= selves:
        unmet = [name for name in unmet if name in selves]
    if unmet:
        _logger.warning(
            "nobody plays against %s: %d games are too few for %d entries of environment.opponents, two games each; "
            "give more --actors.games-per-actor or --actors, or fewer opponents",
            ", ".join(unmet),
            num_actors * games_per_actor,
            len(config.opponents),
        )


def league_of(config: EnvironmentConfig, league: LeagueConfig) -> League:
    """Return the league of those that the config names."""
    if isinstance(config, GymnasiumConfig):
        return League(league, ())
    ais = [name for name in config.opponents if name not in (SELF_PLAY, PAST_SELF, NO_OPPONENT)]
    return League(league, ais, config.sides, with_past_selves=PAST_SELF in config.opponents)


def check_opponents(config: EnvironmentConfig, opponents: Sequence[str] | None = None) -> None:
    """Check that all opponents exist: those of the config, or the given ones, against which strength is measured.

    Raises:
        UnknownNameError: for the first that does not, with close matches.
        ValueError: if there are none, or the environment knows no opponents.
    """
    if isinstance(config, GymnasiumConfig):
        if opponents:
            raise ValueError(f"{config.env_id} has no opponents, got {', '.join(opponents)}")
        return
    are_given = opponents is not None
    if opponents is None:
        opponents = config.opponents
        if not opponents:
            raise ValueError("environment.opponents is empty: name at least one AI")
    if isinstance(config, StarCraft2Config):
        check_starcraft2_opponents(opponents, ais_only=are_given)
        return
    from envs.microrts.ais import ai_factory

    for opponent in dict.fromkeys(opponents):
        if opponent not in (SELF_PLAY, PAST_SELF):
            ai_factory(opponent)
        elif are_given:
            raise ValueError(f"{opponent} is met in training only: expected an AI of the game, such as CoacAI")


def spec_of(environment: BatchedEnvironment) -> AgentSpec:
    """Return the agent's view of an environment."""
    return AgentSpec.from_spaces(
        environment.single_observation_space, environment.single_action_space, environment.reward_term_names
    )


def game_build(config: EnvironmentConfig) -> dict[str, Any]:
    """Return what identifies the game: name, version, map."""
    match config:
        case GymnasiumConfig():
            return {"name": config.env_id, "gymnasium": importlib.metadata.version("gymnasium")}
        case StarCraft2Config():
            return starcraft2_build(config)
        case MicroRTSConfig():
            from envs.microrts import game_version

            return {"name": "microrts", "map": config.map_path, **game_version()}


def check_same_game(environment: BatchedEnvironment, expected: Mapping[str, Any]) -> None:
    """Check that games which have begun are of the build that the run has, on whatever machine they are played.

    Args:
        environment: tells its `version` where it can be another one than that of its files.
        expected: of `game_build`.

    Raises:
        GameVersionError: naming every entry that differs.
    """
    found: Mapping[str, Any] = getattr(environment, "version", {})
    different = [name for name, value in found.items() if name in expected and expected[name] != value]
    if different:
        listed = ", ".join(f"{name} is {found[name]!r}, expected {expected[name]!r}" for name in different)
        raise GameVersionError(
            f"the games of an actor are of another version than the run's: {listed}; install the same"
        )


def place_of(config: EnvironmentConfig) -> str:
    """Return what a table of results says was played on: the map, and whether the game is only a stand-in."""
    mark = mark_of(game_build(config)) if isinstance(config, StarCraft2Config) else ""
    return f"{config.map_name} ({mark})" if mark else config.map_name
