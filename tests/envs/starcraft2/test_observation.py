from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks import starcraft2_frames as frames
from envs.spaces import ACTION_MASK, OBSERVATION_KEYS, VALUE_SCALARS
from envs.starcraft2 import entities, native_library, observation
from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.conditioning import Statistic
from envs.starcraft2.observation import EncodedObservation, ObservationEncoder, layout_sha256, observation_space
from envs.starcraft2.scalars import NUM_VALUE_SCALARS, SCALAR_SLICES, LastAction

LAST = LastAction(function=2, delay=7, queued=1, selected_tags=(1,))


def assert_equal(first: EncodedObservation, second: EncodedObservation) -> None:
    for field in dataclasses.fields(first):
        if field.name != "arrays":
            np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name), field.name)
    for key, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[key], key)


@settings(max_examples=15, deadline=None)
@example(1, 900, (168, 184))
@example(2, 1300, (216, 88))
@given(st.integers(0, 2**32), st.integers(0, 80), st.sampled_from([(168, 184), (216, 88)]))
def test_observations_lie_in_their_space_from_c_and_from_python(seed: int, count: int, size: tuple[int, int]) -> None:
    generator = np.random.default_rng(seed)
    width, height = size
    info = frames.game_info(generator, width=width, height=height)
    message = frames.observation(generator, num_units=count, width=width, height=height)
    encoder = ObservationEncoder(info, statistic=Statistic(build_order=(1, 2)))
    own = tuple(unit.tag for unit in message.observation.raw_data.units[:70])
    last = LAST._replace(selected_tags=own[:64], target_tag=own[-1] if own else 0)
    encoded = encoder.encode(message, last_action=last)
    space = observation_space()
    assert set(encoded.arrays) == set(space) - {ACTION_MASK}
    for key, array in encoded.arrays.items():
        assert space[key].contains(array), key
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native_library.NATIVE_VARIABLE, "0")
        in_python = ObservationEncoder(info, statistic=Statistic(build_order=(1, 2)))
    assert_equal(in_python.encode(message.SerializeToString(), last_action=last), encoded)
    answer = sc_pb.Response(observation=message, status=sc_pb.in_game).SerializeToString()
    assert_equal(encoder.encode(message, last_action=last, answer=answer), encoded)


def test_rows_of_a_batch_are_overwritten_in_full() -> None:
    generator = np.random.default_rng(0)
    encoder = ObservationEncoder(frames.game_info(generator))
    many, few = frames.observation(generator, num_units=600), frames.observation(generator, num_units=2)
    batch = {key: np.stack([array] * 3) for key, array in encoder.empty_arrays().items()}
    row = {key: array[1] for key, array in batch.items()}
    encoder.encode(many, last_action=LAST, arrays=row)
    in_row = encoder.encode(few, arrays=row)
    assert_equal(in_row, encoder.encode(few))
    assert all(np.shares_memory(array, batch[key]) for key, array in in_row.arrays.items())
    assert not any(array[[0, 2]].any() for array in batch.values())


def scalar_part(encoded: EncodedObservation, name: str) -> list[float]:
    values: list[float] = encoded.arrays["scalars"][SCALAR_SLICES[name]].tolist()
    return values


def test_races_are_those_of_the_player_who_sees() -> None:
    generator = np.random.default_rng(0)
    info = frames.game_info(generator)  # player 1 is Terran, player 2 has asked for a random race
    message = frames.observation(generator, num_units=0)
    encoded = ObservationEncoder(info).encode(message)
    assert (scalar_part(encoded, "home_race").index(1), scalar_part(encoded, "away_race").index(1)) == (1, 4)
    message.observation.player_common.player_id = 2
    info.player_info[1].race_actual = 3
    encoded = ObservationEncoder(info).encode(message)
    assert (scalar_part(encoded, "home_race").index(1), scalar_part(encoded, "away_race").index(1)) == (3, 1)
    hidden = ObservationEncoder(info, away_race_hidden=True).encode(message)
    assert not any(scalar_part(hidden, "away_race"))


def test_an_empty_observation_is_encoded() -> None:
    info = frames.game_info(np.random.default_rng(0))
    encoded = ObservationEncoder(info, max_entities=16).encode(sc_pb.ResponseObservation())
    assert not encoded.arrays["entity_mask"].any()
    assert encoded.raw_units.shape == (0, 46)
    assert np.isfinite(encoded.arrays["scalars"]).all()
    assert encoded.arrays["entity_categories"].shape == (16, len(entities.CATEGORY_NAMES))


def test_the_space_has_the_keys_of_the_layout() -> None:
    space = observation_space(max_entities=8, with_value_scalars=True)
    assert set(space) == set(OBSERVATION_KEYS)
    assert space[VALUE_SCALARS].shape == (NUM_VALUE_SCALARS,)
    assert VALUE_SCALARS not in observation_space(max_entities=8)
    assert space["planes"].high[:, 0, 0].tolist() == [255, 3, 1, 1, 4, 1, 1, 1]


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (observation, "VALUE_NAMES", ("other",)),
        (observation, "CATEGORY_SIZES", {"other": 2}),
        (observation.tables, "BUFF_IDS", (1, 2)),
        (observation.scalars, "SCALAR_PART_SIZES", {"other": 3}),
        (observation.planes, "PLANE_NAMES", ("other",)),
    ],
)
def test_the_layouts_hash_depends_on_what_gives_columns_meaning(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, value: Any
) -> None:
    before = layout_sha256()
    assert before == layout_sha256()
    monkeypatch.setattr(module, name, value)
    assert layout_sha256() != before
