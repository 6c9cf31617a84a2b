"""What a replay tells of its players: who they were, how it ended, z."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.starcraft2.human_statistics import HumanStatistic
from envs.starcraft2.names import RACE_NAMES
from envs.starcraft2.progress import PlayerProgress

OUTCOMES = {1: 1, 2: -1, 3: 0}
"""Of victory, defeat and tie (sc2api.proto, Result); other results are not known."""
_WON = {1: True, 2: False}


@dataclass(frozen=True)
class PlayerView:
    """One player of a replay.

    Attributes:
        info: the game's answer (sc_pb.ResponseReplayInfo).
        side: which of its players, 0 or 1.
        source: where it is from, such as the name of the file.
        version: facts of the game's version (`version.GameVersion.facts`).
    """

    info: Any
    side: int
    source: str
    version: Mapping[str, Any]

    def facts(self) -> dict[str, Any]:
        """Return what the manifest of a recording tells of the player's game."""
        player, opponent = self._players()
        result = player.player_result.result
        return {
            "player": _name(player),
            "opponent": _name(opponent),
            "side": self.side,
            "outcome": OUTCOMES.get(result, 0),
            "seed": 0,  # a replay does not tell the game's
            "terminated": result in OUTCOMES,
            "truncated": result not in OUTCOMES,
            "mmr": max(0, player.player_mmr),
            "map": self.info.map_name,
            "source": self.source,
        }

    def statistic(self, progress: PlayerProgress) -> HumanStatistic:
        """Return z of the player's game, given what was built."""
        player, opponent = self._players()
        return HumanStatistic(
            race=_race(player),
            opponent_race=_race(opponent),
            map_name=self.info.map_name,
            build_order=tuple(progress.log.steps),
            unit_types=frozenset(progress.log.unit_types),
            upgrades=frozenset(progress.log.upgrades),
            effects=frozenset(progress.effects),
            mmr=max(0, player.player_mmr),
            won=_WON.get(player.player_result.result),
            game_version=str(self.version["game_version"]),
            source=f"{self.source}, player {player.player_info.player_id}",
        )

    def _players(self) -> tuple[Any, Any]:
        return self.info.player_info[self.side], self.info.player_info[1 - self.side]


def _name(player: Any) -> str:
    return player.player_info.player_name or f"player {player.player_info.player_id}"


def _race(player: Any) -> str:
    return RACE_NAMES.get(player.player_info.race_actual or player.player_info.race_requested, "unknown")
