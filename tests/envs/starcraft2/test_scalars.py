from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import starcraft2_frames as frames
from envs.starcraft2 import scalars
from envs.starcraft2.conditioning import Statistic, encode_build_order
from envs.starcraft2.functions import FUNCTIONS
from envs.starcraft2.scalars import NUM_SCALARS, SCALAR_PART_SIZES, SCALAR_SLICES, LastAction
from envs.starcraft2.tables import unit_type_index, upgrade_index
from tests.envs.starcraft2.pysc2_features import features, transform


@pytest.fixture
def empty() -> NDArray[np.float32]:
    return np.full(NUM_SCALARS, 7, np.float32)


def part(values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    return values[SCALAR_SLICES[name]]


@pytest.mark.parametrize("seed", range(4))
def test_player_and_score_equal_those_of_pysc2(seed: int) -> None:
    message = frames.observation(np.random.default_rng(seed), num_units=3)
    theirs = transform(frames.game_info(np.random.default_rng(0)).start_raw.map_size)(message)
    player = scalars.player_vector(message.observation)
    np.testing.assert_array_equal(player, np.asarray(theirs["player"]))
    assert player.dtype == np.int32
    score = [np.asarray(theirs[name]).ravel() for name in ("score_cumulative", "score_by_category", "score_by_vital")]
    # pysc2 cuts floats off where it keeps integers.
    np.testing.assert_array_equal(scalars.score_vector(message.observation).astype(np.int32), np.concatenate(score))


def test_parts_fill_the_scalars_without_gaps() -> None:
    ends = [part.stop for part in SCALAR_SLICES.values()]
    assert [part.start for part in SCALAR_SLICES.values()] == [0, *ends[:-1]]
    assert ends[-1] == NUM_SCALARS
    assert SCALAR_PART_SIZES["last_function"] == len(FUNCTIONS)
    assert [player.name for player in features.Player] == list(scalars.PLAYER_NAMES)


def write_state(values: NDArray[np.float32], **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "player": np.asarray([1, 50, 0, 12, 15, 0, 12, 1, 0, 0, 3], np.int32),
        "upgrades": np.asarray([15, 9999], np.int32),
        "unit_type_indices": unit_type_index([48, 48, 48, 48, 18, 104, 341, 4000]),
        "alliances": np.asarray([1, 1, 1, 1, 1, 4, 3, 4]),
        "score": np.arange(77.0),
        "game_loop": 2240,
    }
    scalars.write_game_state(values, **{**arguments, **changes})


def test_the_game_state_is_written_in_logarithms_roots_and_flags(empty: NDArray[np.float32]) -> None:
    write_state(empty)
    np.testing.assert_allclose(part(empty, "statistics")[:2], [np.log(51), 0], rtol=1e-6)
    np.testing.assert_allclose(part(empty, "free_food"), np.log(4), rtol=1e-6)
    marine, hatched, drone = unit_type_index([48, 18, 104])
    own, enemy = part(empty, "own_unit_counts"), part(empty, "enemy_unit_counts")
    assert (own[marine], own[hatched], own.sum()) == (2, 1, 3)
    assert (enemy[drone], enemy[0], enemy.sum()) == (1, 1, 2)
    flags = part(empty, "upgrades")
    assert flags[[0, upgrade_index([15])[0]]].tolist() == [1, 1]
    assert flags.sum() == 2
    np.testing.assert_allclose(part(empty, "score"), np.log1p(np.arange(77)), rtol=1e-6)
    np.testing.assert_allclose(part(empty, "minutes_div_10"), 2240 / 22.4 / 600)


def test_writing_twice_leaves_nothing_of_the_first(empty: NDArray[np.float32]) -> None:
    once = np.full(NUM_SCALARS, 7, np.float32)
    write_state(once, upgrades=np.asarray([], np.int32))
    write_state(empty)
    write_state(empty, upgrades=np.asarray([], np.int32))
    np.testing.assert_array_equal(empty, once)


def test_more_supply_used_than_there_is_leaves_none_free(empty: NDArray[np.float32]) -> None:
    write_state(empty, player=np.asarray([1, 0, 0, 30, 15, 0, 0, 0, 0, 0, 0], np.int32), score=np.full(77, -5.0))
    assert part(empty, "free_food") == 0
    assert not part(empty, "score").any()


def test_time_is_the_code_of_transformers() -> None:
    code = np.empty(scalars.TIME_SIZE, np.float32)
    scalars.write_time(code, 100)
    assert code.shape == (scalars.TIME_SIZE,)
    for pair in (0, 5, 31):
        angle = 100 / 10000 ** (2 * pair / scalars.TIME_SIZE)
        np.testing.assert_allclose(code[[pair, 32 + pair]], [np.sin(angle), np.cos(angle)], atol=1e-6)


def test_a_hidden_race_is_all_zeros(empty: NDArray[np.float32]) -> None:
    scalars.write_races(empty, 1, 0)
    assert part(empty, "home_race").tolist() == [0, 1, 0, 0, 0]
    assert not part(empty, "away_race").any()
    with pytest.raises(ValueError, match="away_race: expected 0 to 4"):
        scalars.write_races(empty, 1, 5)


def test_the_last_action_is_one_hot(empty: NDArray[np.float32]) -> None:
    scalars.write_last_action(empty, LastAction(function=563, delay=127, queued=1, repeat=2))
    for name, number in (("last_function", 563), ("last_delay", 127), ("last_queued", 1), ("last_repeat", 2)):
        assert part(empty, name).sum() == part(empty, name)[number] == 1
    scalars.write_last_action(empty, None)
    assert not any(part(empty, name).any() for name in ("last_function", "last_delay", "last_queued", "last_repeat"))
    with pytest.raises(ValueError, match="last_delay: expected 0 to 127, got 128"):
        scalars.write_last_action(empty, LastAction(delay=128))


def test_flags_tell_which_parts_of_z_are_given() -> None:
    values = np.zeros(NUM_SCALARS, np.float32)
    tail = slice(SCALAR_SLICES["build_order_given"].start, None)
    values[tail] = scalars.encode_statistic(Statistic(build_order=(1, 2)))
    assert (part(values, "build_order_given"), part(values, "cumulative_given")) == (1, 0)
    np.testing.assert_array_equal(part(values, "build_order"), encode_build_order((1, 2)))
    values[tail] = scalars.encode_statistic(Statistic(upgrades=()))
    assert (part(values, "build_order_given"), part(values, "cumulative_given")) == (0, 1)
    assert not scalars.encode_statistic(Statistic()).any()


def test_value_functions_see_the_opponent_where_it_is_known(empty: NDArray[np.float32]) -> None:
    write_state(empty)
    seen = scalars.value_scalars(empty)
    assert seen.shape == (scalars.NUM_VALUE_SCALARS,)
    assert seen[0] == 1
    np.testing.assert_array_equal(seen[1:], empty[: SCALAR_SLICES["score"].stop])
    assert not scalars.value_scalars(None).any()
