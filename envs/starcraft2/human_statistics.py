"""The statistic z of human games, kept in JSON files: how it is read, written and drawn."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from envs.starcraft2.conditioning import (
    BUILD_ORDER_LENGTH,
    Statistic,
    hide_parts,
    unit_build_item,
    upgrade_build_item,
)
from envs.starcraft2.rewards import BuildOrder

FORMAT = "perceiver-star-z"
FORMAT_VERSION = 1

HIDE_BUILD_ORDER_PROBABILITY = 0.2
HIDE_CUMULATIVE_PROBABILITY = 0.5
"""AlphaStar's supervised pseudocode keeps the build order with 0.8 and the units with 0.5; its paper hides z in 0.1."""


@dataclass(frozen=True)
class BuildStep:
    """One thing that was begun.

    Attributes:
        kind: "unit" or "upgrade".
        game_id: the game's id of the unit type or the upgrade.
        game_loop: when.
        position: world x and y, None where it has no place.
    """

    kind: str
    game_id: int
    game_loop: int
    position: tuple[float, float] | None = None

    @property
    def item(self) -> int:
        """Its number in build orders, 0 for what no ability makes."""
        return unit_build_item(self.game_id) if self.kind == "unit" else upgrade_build_item(self.game_id)


def build_order_of(steps: Sequence[BuildStep], length: int = BUILD_ORDER_LENGTH) -> BuildOrder:
    """Return the first `length` steps for comparison."""
    steps = steps[:length]
    return BuildOrder(tuple(step.item for step in steps), tuple(step.position for step in steps))


@dataclass(frozen=True, kw_only=True)
class HumanStatistic:
    """z of one player's game.

    Attributes:
        race, opponent_race: "terran", "zerg" or "protoss".
        map_name: the map.
        build_order: what was begun, in order.
        unit_types, upgrades: the game's ids of what the game had at all.
        effects: ids of the effects it had, None where that is not known (replays do not tell without the game).
        mmr: the player's rating, 0 where it is not known.
        won: whether the player won, None where it is not known.
        game_version: release and build of the game, such as 4.10.0.75689.
        source: where it is from, such as the name of a replay.
    """

    race: str
    opponent_race: str
    map_name: str
    build_order: tuple[BuildStep, ...]
    unit_types: frozenset[int]
    upgrades: frozenset[int]
    effects: frozenset[int] | None = None
    mmr: int = 0
    won: bool | None = None
    game_version: str = ""
    source: str = field(default="", compare=False)

    def target_build_order(self, length: int = BUILD_ORDER_LENGTH) -> BuildOrder:
        """Return the beginning of its build order for comparison."""
        return build_order_of(self.build_order, length)

    def conditioning(self) -> Statistic:
        """Return z as the scalars show it to the agent."""
        return Statistic(
            build_order=self.target_build_order().items,
            unit_types=sorted(self.unit_types),
            upgrades=sorted(self.upgrades),
            effects=None if self.effects is None else sorted(self.effects),
        )


def _plain_title(map_name: str) -> str:
    """Return what "Cyber Forest LE", as replays have it, and "CyberForest", pysc2's name of the map, have in common."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[LTR]E$", "", map_name.strip()).casefold())


def sample_statistic(
    statistics: Sequence[HumanStatistic],
    generator: np.random.Generator,
    *,
    race: str,
    opponent_race: str | None = None,
    map_name: str | None = None,
) -> HumanStatistic:
    """Return a random z of a race, of the same opponent's race and map where there is any.

    Raises:
        ValueError: if there is none of the race.
    """
    found = [statistic for statistic in statistics if statistic.race == race]
    if not found:
        races = sorted({statistic.race for statistic in statistics})
        raise ValueError(f"no statistic of the race {race!r} among {len(statistics)}, there are those of {races}")
    found = [statistic for statistic in found if statistic.opponent_race == opponent_race] or found
    if map_name is not None:
        title = _plain_title(map_name)
        found = [statistic for statistic in found if _plain_title(statistic.map_name) == title] or found
    return found[int(generator.integers(len(found)))]


def sample_shown(
    statistic: HumanStatistic,
    generator: np.random.Generator,
    *,
    hide_build_order: float = HIDE_BUILD_ORDER_PROBABILITY,
    hide_cumulative: float = HIDE_CUMULATIVE_PROBABILITY,
) -> Statistic:
    """Return what the agent is shown of z, each part hidden with its probability."""
    return hide_parts(
        statistic.conditioning(),
        generator,
        build_order_probability=hide_build_order,
        cumulative_probability=hide_cumulative,
    )


def write_statistics(path: Path, statistics: Sequence[HumanStatistic]) -> None:
    """Write statistics to a JSON file."""
    content = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "statistics": [statistic_to_json(each) for each in statistics],
    }
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def read_statistics(path: Path) -> tuple[HumanStatistic, ...]:
    """Return the statistics of a JSON file.

    Raises:
        ValueError: if the file is none of `write_statistics`, or of another version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is no file of statistics: it is not JSON ({error}); make one with envs.starcraft2.build_orders"
        ) from error
    found = (content.get("format"), content.get("version")) if isinstance(content, dict) else (None, None)
    if found != (FORMAT, FORMAT_VERSION):
        raise ValueError(
            f"{path} is no file of statistics: expected format {FORMAT!r} version {FORMAT_VERSION}, got {found}; "
            "make one with envs.starcraft2.build_orders"
        )
    try:
        return tuple(statistic_from_json(entry) for entry in content["statistics"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds a broken statistic: {type(error).__name__}: {error}") from error


def statistic_to_json(statistic: HumanStatistic) -> dict[str, Any]:
    """Return a statistic as plain values for JSON."""
    return {
        "race": statistic.race,
        "opponent_race": statistic.opponent_race,
        "map_name": statistic.map_name,
        "build_order": [
            [step.kind, step.game_id, step.game_loop, *(step.position or ())] for step in statistic.build_order
        ],
        "unit_types": sorted(statistic.unit_types),
        "upgrades": sorted(statistic.upgrades),
        "effects": None if statistic.effects is None else sorted(statistic.effects),
        "mmr": statistic.mmr,
        "won": statistic.won,
        "game_version": statistic.game_version,
        "source": statistic.source,
    }


def statistic_from_json(entry: Mapping[str, Any]) -> HumanStatistic:
    """Return the statistic of `statistic_to_json`.

    Raises:
        KeyError, TypeError, ValueError: if it is none.
    """
    effects = entry["effects"]
    steps = (_step_from_json(*values) for values in entry["build_order"])
    return HumanStatistic(
        race=str(entry["race"]),
        opponent_race=str(entry["opponent_race"]),
        map_name=str(entry["map_name"]),
        build_order=tuple(steps),
        unit_types=frozenset(int(number) for number in entry["unit_types"]),
        upgrades=frozenset(int(number) for number in entry["upgrades"]),
        effects=None if effects is None else frozenset(int(number) for number in effects),
        mmr=int(entry["mmr"]),
        won=entry["won"],
        game_version=str(entry["game_version"]),
        source=str(entry["source"]),
    )


def _step_from_json(kind: str, game_id: int, game_loop: int, *position: float) -> BuildStep:
    if kind not in ("unit", "upgrade") or len(position) not in (0, 2):
        raise ValueError(
            f"expected unit or upgrade, id, game loop and x, y, got {[kind, game_id, game_loop, *position]}"
        )
    return BuildStep(kind, int(game_id), int(game_loop), (position[0], position[1]) if position else None)
