"""Build orders and statistics z of human games from replays, without the game.

The tracker's events name unit types and upgrades; what players clicked is not needed, and the abilities of those clicks
are numbered anew in every build. Structures and warped-in units count when they are begun, other units when they
appear, changes of type (a Lair) and upgrades when they are done.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from envs.starcraft2.conditioning import BUILD_UPGRADES
from envs.starcraft2.human_statistics import HumanStatistic
from envs.starcraft2.progress import BUILT_TYPES, BuildLog
from envs.starcraft2.replay_files import ReplayError, ReplayFile, ReplayHeader
from envs.starcraft2.tables import UNIT_TYPE_IDS, UNIT_TYPE_NAMES, UPGRADE_IDS, UPGRADE_NAMES

# The game's own names where pysc2 has others; stableid.json of the game.
_GAME_UNIT_NAMES = {"HellionTank": 484, "SwarmHostMP": 494, "LurkerMP": 502, "LurkerDenMP": 504}
_GAME_UPGRADE_NAMES = {
    "TerranBuildingArmor": 6,
    "ShieldWall": 16,
    "PunisherGrenades": 17,
    "HighCapacityBarrels": 19,
    "BansheeCloak": 20,
    "RavenCorvidReactor": 22,
    "ObserverGraviticBooster": 48,
    "PsiStormTech": 52,
    "overlordspeed": 62,
    "zerglingattackspeed": 65,
    "zerglingmovementspeed": 66,
    "InfestorEnergyUpgrade": 74,
    "BattlecruiserEnableSpecializations": 76,
    "BlinkTech": 87,
    "PhoenixRangeUpgrade": 99,
    "DrillClaws": 122,
    "AdeptPiercingAttack": 130,
    "EvolveGroovedSpines": 134,
    "EvolveMuscularAugments": 135,
    "BansheeSpeed": 136,
    "DarkTemplarBlinkUpgrade": 141,
    "CycloneLockOnDamageUpgrade": 144,
    "DiggingClaws": 293,
}

_logger = logging.getLogger(__name__)


def _ids(names: Iterable[str], ids: Iterable[int], wanted: Iterable[int], game_names: dict[str, int]) -> dict[str, int]:
    wanted, renamed = set(wanted), set(game_names.values())
    pinned = {name: number for name, number in zip(names, ids, strict=True) if number in wanted - renamed}
    return {**pinned, **{name: number for name, number in game_names.items() if number in wanted}}


UNIT_ID_OF_GAME_NAME = _ids(UNIT_TYPE_NAMES, UNIT_TYPE_IDS, BUILT_TYPES, _GAME_UNIT_NAMES)
"""Ids of the unit types that are built, by the game's own name."""
UPGRADE_ID_OF_GAME_NAME = _ids(UPGRADE_NAMES, UPGRADE_IDS, BUILD_UPGRADES, _GAME_UPGRADE_NAMES)
"""Ids of the upgrades that are researched, by the game's own name."""


class ReplayStatistics(NamedTuple):
    """The statistics of many replays.

    Attributes:
        statistics: one of each player, replay by replay.
        skipped: how many replays could not be used, by reason.
    """

    statistics: tuple[HumanStatistic, ...]
    skipped: Counter[str]


def build_logs(events: Iterable[dict[str, Any]]) -> dict[int, BuildLog]:
    """Return what each player (1 and 2) began, from the tracker's events."""
    logs = {1: BuildLog(), 2: BuildLog()}
    owners: dict[tuple[int, int], int] = {}
    for event in events:
        kind, game_loop = event["kind"], int(event["_gameloop"])
        if kind == "Upgrade":
            upgrade = UPGRADE_ID_OF_GAME_NAME.get(_text(event["m_upgradeTypeName"]), 0)
            if event["m_playerId"] in logs:
                logs[event["m_playerId"]].see_upgrade(upgrade, game_loop)
            continue
        if kind not in ("UnitInit", "UnitBorn", "UnitTypeChange") or _is_hallucination(event):
            continue
        key = (event["m_unitTagIndex"], event["m_unitTagRecycle"])
        if kind != "UnitTypeChange":
            owners[key] = event["m_controlPlayerId"]
        log = logs.get(owners.get(key, 0))
        unit_type = UNIT_ID_OF_GAME_NAME.get(_text(event["m_unitTypeName"]))
        if log is not None and unit_type is not None:
            place = (float(event["m_x"]), float(event["m_y"])) if "m_x" in event else None
            log.see_unit(key, unit_type, game_loop, place, at_start=game_loop == 0)
    return logs


def replay_statistics(path: Path) -> tuple[HumanStatistic, HumanStatistic]:
    """Return z of both players of a replay.

    Raises:
        ReplayError: if the replay cannot be used.
    """
    replay = ReplayFile(path)
    logs = build_logs(replay.tracker_events())
    first, second = (_statistic(replay.header, index, logs[index + 1], path.name) for index in (0, 1))
    return first, second


def read_replays(paths: Iterable[Path]) -> ReplayStatistics:
    """Return z of all players of the replays; those that cannot be used are skipped and counted."""
    found: list[HumanStatistic] = []
    skipped: Counter[str] = Counter()
    for path in paths:
        try:
            found.extend(replay_statistics(path))
        except ReplayError as error:
            skipped[error.reason] += 1
            _logger.warning("%s is skipped: %s", path.name, error)
    return ReplayStatistics(tuple(found), skipped)


def _statistic(header: ReplayHeader, index: int, log: BuildLog, source: str) -> HumanStatistic:
    player, opponent = header.players[index], header.players[1 - index]
    return HumanStatistic(
        race=player.race,
        opponent_race=opponent.race,
        map_name=header.map_name,
        build_order=tuple(log.steps),
        unit_types=frozenset(log.unit_types),
        upgrades=frozenset(log.upgrades),
        mmr=player.mmr,
        won=player.won,
        game_version=header.game_version,
        source=f"{source}, player {player.player_id}",
    )


def _is_hallucination(event: dict[str, Any]) -> bool:
    return _text(event.get("m_creatorAbilityName") or "").startswith("Hallucination")


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
