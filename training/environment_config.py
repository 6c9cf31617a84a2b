"""What can be played."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class MicroRTSConfig:
    """Games of the real µRTS."""

    kind: tyro.conf.Suppress[Literal["microrts"]] = "microrts"
    """Tells the kinds of environment apart in config.json."""
    map_path: str = "maps/8x8/basesWorkers8x8A.xml"
    """A map of the game, or the file of one of your own."""
    opponents: tuple[str, ...] = ("RandomBiasedAI",)
    """Built-in AIs, dealt out over pairs of games in turn; name one twice to meet it twice as often. self_play is the
    agent itself: the pair is then one game, and both its sides learn. past_self is the agent as it once was."""
    max_steps: int = 2000
    """Game steps after which a game is truncated."""
    skip_idle_steps: bool = True
    """Advance a game until a unit of ours can be given an order."""
    reward_weights: tuple[float, ...] = (10.0, 1.0, 1.0, 0.2, 1.0, 4.0)
    """Weights of win_loss, resource_gather, produce_worker, produce_building, attack and produce_combat_unit."""

    @property
    def map_name(self) -> str:
        """The map."""
        return self.map_path

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides that an agent can be given."""
        return (0, 1)


SELF_PLAY, PAST_SELF, NO_OPPONENT = "self_play", "past_self", "none"
"""Stand for the opponent where the agent plays against itself, an earlier checkpoint of itself, and nobody."""


@dataclass(frozen=True, kw_only=True)
class StarCraft2Config:
    """Games of StarCraft II through pysc2. Its steps are game loops, 22.4 a second; a decision spans several."""

    kind: tyro.conf.Suppress[Literal["starcraft2"]] = "starcraft2"
    """Tells the kinds of environment apart in config.json."""
    map_name: str = "Simple64"
    """A map that pysc2 knows, or the path of an installed one below the game's folder Maps."""
    race: str = "random"
    """Of the agent: terran, zerg, protoss or random."""
    opponents: tuple[str, ...] = ("very_easy",)
    """Built-in AIs, very_easy to cheat_insane, alone or with a build and a race as in hard:macro:zerg; self_play is the
    agent itself, past_self the agent as it once was, none is for maps with one player. Dealt out over pairs of games
    in turn."""
    opponent_race: str = "random"
    """Of opponents that do not name theirs."""
    max_steps: int = 28_800
    """Game loops after which a game is truncated."""
    max_entities: int = 512
    """Entity slots; where there are more, own units come first, then the nearest enemies."""
    reward_weights: tuple[float, ...] = ()
    """Weight of each of the game's reward terms; without any, 1 for all."""
    functions: tuple[str, ...] = ()
    """Names of pysc2's raw functions that the agent may call, beside no_op; by default all."""
    score_terms: tuple[str, ...] = ()
    """Entries of the game's score whose growth, in thousands, are reward terms of their own, such as
    killed_value_units or total_damage_dealt.life."""
    human_statistics: str | None = None
    """A file of human statistics z; then pseudo-rewards for following them are terms of their own."""
    max_actions: int | None = 22
    """Orders in any five seconds; None for no limit."""
    min_delay: int = 1
    """Least game loops between two decisions."""
    hide_opponent_race: float = 0.1
    """Probability that an episode of training does not tell the opponent's race; games that measure strength do."""
    release: str | None = None
    """Of the game, such as 4.10.0; by default the newest that is installed."""
    episodes_per_process: int = 100
    """Episodes after which a game's process is started anew, before its memory grows too far."""
    request_timeout_seconds: float = 60.0
    """A game that does not answer for so long is killed and started anew."""
    replay_directory: str | None = None
    """Where replays are saved, if anywhere."""
    replay_interval: int = 100
    """Every how many episodes of a game one is saved."""
    replay_label: str = ""
    """Who plays, for the names of replays; evaluation puts agent and mode there."""

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides that an agent can be given; the game draws where on the map it begins."""
        return (0,)


@dataclass(frozen=True, kw_only=True)
class GymnasiumConfig:
    """Any Gymnasium environment."""

    kind: tyro.conf.Suppress[Literal["gymnasium"]] = "gymnasium"
    """Tells the kinds of environment apart in config.json."""
    env_id: Annotated[str, tyro.conf.arg(aliases=("--env-id",))] = "CartPole-v1"
    """Registered id; that of another package as module:Name-v0."""

    @property
    def map_name(self) -> str:
        """What is played."""
        return self.env_id


MatchConfig = MicroRTSConfig | StarCraft2Config
"""Games, against opponents unless they are played for a score."""
EnvironmentConfig = MatchConfig | GymnasiumConfig


def as_measured(config: EnvironmentConfig, player: str, mode: str) -> EnvironmentConfig:
    """Return what is played to measure a player's strength: replays are named after it, and no race is hidden."""
    if isinstance(config, StarCraft2Config):
        return replace(config, hide_opponent_race=0.0, replay_label=f"{player}-{mode}")
    return config


def is_scored(config: EnvironmentConfig) -> bool:
    """Return whether there are no opponents: what counts is the return."""
    if isinstance(config, StarCraft2Config):
        return set(config.opponents) == {NO_OPPONENT}
    return isinstance(config, GymnasiumConfig)
