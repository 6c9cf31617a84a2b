"""The scalars: statistics of the player, races, upgrades, time, unit counts, score, last action, and z."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.conditioning import (
    BUILD_ORDER_SIZE,
    CUMULATIVE_SIZE,
    Statistic,
    encode_build_order,
    encode_cumulative,
)
from envs.starcraft2.tables import UNIT_TYPE_IDS, UPGRADE_IDS, upgrade_index

PLAYER_NAMES = (
    "player_id",
    "minerals",
    "vespene",
    "food_used",
    "food_cap",
    "food_army",
    "food_workers",
    "idle_worker_count",
    "army_count",
    "warp_gate_count",
    "larva_count",
)
"""pysc2's player vector."""
SCORE_NAMES = (
    "score",
    "idle_production_time",
    "idle_worker_time",
    "total_value_units",
    "total_value_structures",
    "killed_value_units",
    "killed_value_structures",
    "collected_minerals",
    "collected_vespene",
    "collection_rate_minerals",
    "collection_rate_vespene",
    "spent_minerals",
    "spent_vespene",
)
"""pysc2's score_cumulative."""
_BY_CATEGORY = (
    *("food_used", "killed_minerals", "killed_vespene", "lost_minerals", "lost_vespene"),
    *("friendly_fire_minerals", "friendly_fire_vespene", "used_minerals", "used_vespene"),
    *("total_used_minerals", "total_used_vespene"),
)
_CATEGORIES = ("none", "army", "economy", "technology", "upgrade")
_BY_VITAL = ("total_damage_dealt", "total_damage_taken", "total_healed")
_VITALS = ("life", "shields", "energy")
SCORE_DETAIL_NAMES = (
    *(f"{name}.{category}" for name in _BY_CATEGORY for category in _CATEGORIES),
    *(f"{name}.{vital}" for name in _BY_VITAL for vital in _VITALS),
)
"""pysc2's score_by_category [11, 5] and score_by_vital [3, 3], row by row."""

RACE_NAMES = ("none", "terran", "zerg", "protoss", "random")
TIME_SIZE = 64
NUM_FUNCTIONS = 564
NUM_DELAYS = 128
NUM_REPEATS = 3
GAME_LOOPS_PER_MINUTE = 22.4 * 60

SCALAR_PART_SIZES = {
    "statistics": len(PLAYER_NAMES) - 1,
    "free_food": 1,
    "upgrades": 1 + len(UPGRADE_IDS),
    "own_unit_counts": 1 + len(UNIT_TYPE_IDS),
    "enemy_unit_counts": 1 + len(UNIT_TYPE_IDS),
    "score": len(SCORE_NAMES) + len(SCORE_DETAIL_NAMES),
    "home_race": len(RACE_NAMES),
    "away_race": len(RACE_NAMES),
    "time": TIME_SIZE,
    "minutes_div_10": 1,
    "last_function": NUM_FUNCTIONS,
    "last_delay": NUM_DELAYS,
    "last_queued": 2,
    "last_repeat": NUM_REPEATS,
    "build_order_given": 1,
    "build_order": BUILD_ORDER_SIZE,
    "cumulative_given": 1,
    "cumulative": CUMULATIVE_SIZE,
}
"""Parts of the scalars in their order. Statistics, free food and score are log(1 + x); unit counts are square roots, by
unit type index; races, the last action and the build order are
one-hot (all zeros where there is none); time is the sinusoidal code of a transformer at the game loop."""


def _slices(sizes: dict[str, int]) -> dict[str, slice]:
    ends = np.cumsum(list(sizes.values())).tolist()
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


SCALAR_SLICES = _slices(SCALAR_PART_SIZES)
NUM_SCALARS = sum(SCALAR_PART_SIZES.values())
_LAST_ACTION = slice(SCALAR_SLICES["last_function"].start, SCALAR_SLICES["last_repeat"].stop)
SHARED_SIZE = SCALAR_SLICES["score"].stop
"""The first scalars, those of statistics to score, are what the opponent's value functions see too."""
NUM_VALUE_SCALARS = 1 + SHARED_SIZE

_player = attrgetter(*PLAYER_NAMES)
_score_details = attrgetter(*SCORE_NAMES[1:])
_by_category, _categories = attrgetter(*_BY_CATEGORY), attrgetter(*_CATEGORIES)
_by_vital, _vitals = attrgetter(*_BY_VITAL), attrgetter(*_VITALS)
_PLAYER_COLUMN = {name: column for column, name in enumerate(PLAYER_NAMES)}
_TIME_FREQUENCIES = 10000.0 ** (-np.arange(0, TIME_SIZE, 2) / TIME_SIZE)


class LastAction(NamedTuple):
    """The decision before this observation, entries of an action (`envs.function_calls`), with the units' tags."""

    function: int = 0
    delay: int = 0
    queued: int = 0
    repeat: int = 0
    selected_tags: tuple[int, ...] = ()
    target_tag: int = 0


def player_vector(observation: Any) -> NDArray[np.int32]:
    """Return pysc2's player vector int32 [11] of an `Observation` message."""
    return np.asarray(_player(observation.player_common), np.int64).astype(np.int32)


def score_vector(observation: Any) -> NDArray[np.float64]:
    """Return the score and its details as in `SCORE_NAMES` and `SCORE_DETAIL_NAMES`, float64 [77]."""
    details = observation.score.score_details
    by_category = chain.from_iterable(map(_categories, _by_category(details)))
    by_vital = chain.from_iterable(map(_vitals, _by_vital(details)))
    return np.asarray((observation.score.score, *_score_details(details), *by_category, *by_vital), np.float64)


def write_time(code: NDArray[np.float32], game_loop: int) -> None:
    """Fill `code` [TIME_SIZE] with the sines, then cosines, of a game loop (Vaswani et al. 2017, section 3.5)."""
    angles = game_loop * _TIME_FREQUENCIES
    code[: TIME_SIZE // 2], code[TIME_SIZE // 2 :] = np.sin(angles), np.cos(angles)


def write_game_state(
    scalars: NDArray[np.float32],
    *,
    player: NDArray[np.int32],
    upgrades: NDArray[np.int32],
    unit_type_indices: NDArray[np.int32],
    alliances: NDArray[np.int64],
    score: NDArray[np.float64],
    game_loop: int,
) -> None:
    """Fill the parts of `scalars` [NUM_SCALARS] that the game tells anew at every step.

    Args:
        player: the player vector [11].
        upgrades: ids of the player's upgrades.
        unit_type_indices, alliances: of every unit seen and every own passenger [N].
        score: as `score_vector` returns it.
    """
    part = SCALAR_SLICES
    scalars[part["statistics"]] = np.log1p(player[1:])
    free_food = player[_PLAYER_COLUMN["food_cap"]] - player[_PLAYER_COLUMN["food_used"]]
    scalars[part["free_food"]] = np.log1p(max(free_food, 0))
    scalars[part["upgrades"]] = 0
    scalars[part["upgrades"]][upgrade_index(upgrades)] = 1
    for name, alliance in (("own_unit_counts", 1), ("enemy_unit_counts", 4)):
        indices = unit_type_indices[alliances == alliance]
        scalars[part[name]] = np.sqrt(np.bincount(indices, minlength=SCALAR_PART_SIZES[name]))
    scalars[part["score"]] = np.log1p(np.maximum(score, 0))
    write_time(scalars[part["time"]], game_loop)
    scalars[part["minutes_div_10"]] = game_loop / (10 * GAME_LOOPS_PER_MINUTE)


def write_races(scalars: NDArray[np.float32], home_race: int, away_race: int) -> None:
    """Fill the races, numbered as `RACE_NAMES`; 0 leaves a race hidden (AlphaStar hides the opponent's in 10 %).

    Raises:
        ValueError: if a number is none of a race.
    """
    for name, race in (("home_race", home_race), ("away_race", away_race)):
        if not 0 <= race < len(RACE_NAMES):
            raise ValueError(f"{name}: expected 0 to {len(RACE_NAMES) - 1} for {RACE_NAMES}, got {race}")
        scalars[SCALAR_SLICES[name]] = 0
        scalars[SCALAR_SLICES[name]][race] = race > 0


def write_last_action(scalars: NDArray[np.float32], action: LastAction | None) -> None:
    """Fill the last action; None, before the first one, is all zeros.

    Raises:
        ValueError: if an entry is out of range.
    """
    scalars[_LAST_ACTION] = 0
    for name, number in (
        ("last_function", action and action.function),
        ("last_delay", action and action.delay),
        ("last_queued", action and action.queued),
        ("last_repeat", action and action.repeat),
    ):
        if number is not None:
            if not 0 <= number < SCALAR_PART_SIZES[name]:
                raise ValueError(f"{name}: expected 0 to {SCALAR_PART_SIZES[name] - 1}, got {number}")
            scalars[SCALAR_SLICES[name]][number] = 1


def encode_statistic(statistic: Statistic) -> NDArray[np.float32]:
    """Return the scalars' last parts, from build_order_given on, for a statistic z; hidden parts are zero."""
    cumulative = statistic.unit_types, statistic.upgrades, statistic.effects
    given = any(part is not None for part in cumulative)
    build_order = np.zeros(BUILD_ORDER_SIZE, np.float32)
    if statistic.build_order is not None:
        build_order = encode_build_order(statistic.build_order)
    flag = np.float32(statistic.build_order is not None)
    return np.concatenate([[flag], build_order, [np.float32(given)], encode_cumulative(statistic)])


def value_scalars(opponent_scalars: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return what only value functions see, float32 [NUM_VALUE_SCALARS]: whether the opponent is known, and its state.

    Args:
        opponent_scalars: the scalars of the opponent's own observation, None where it isn't ours to ask.
    """
    seen = np.zeros(NUM_VALUE_SCALARS, np.float32)
    if opponent_scalars is not None:
        seen[0] = 1
        seen[1:] = opponent_scalars[:SHARED_SIZE]
    return seen
