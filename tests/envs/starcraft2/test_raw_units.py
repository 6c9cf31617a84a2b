from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import starcraft2_frames as frames
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.native_library import native_library
from envs.starcraft2.native_reader import NativeUnitReader, RecordRows
from envs.starcraft2.raw_units import COLUMN, COLUMN_NAMES, raw_units
from envs.starcraft2.unit_records import FIELD, RECORD_FIELDS, UnitRecords, read_units
from tests.envs.starcraft2.pysc2_features import columns_that_differ, features, transform

MAPS = [(168, 184), (216, 88), (32, 32), (64, 256)]


def assert_same(rows: RecordRows, expected: UnitRecords) -> None:
    records = rows.records()
    assert records.num_units == expected.num_units
    for row, name in enumerate(RECORD_FIELDS):
        np.testing.assert_array_equal(records.values[row], expected.values[row], name)
    np.testing.assert_array_equal(records.tags, expected.tags)


def native_reader() -> NativeUnitReader:
    library = native_library()
    if library is None:
        pytest.skip("there is no C compiler, or C is switched off")
    return NativeUnitReader(library)


def test_columns_are_those_of_pysc2() -> None:
    assert [column.name for column in features.FeatureUnit] == list(COLUMN_NAMES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.sampled_from(MAPS))
def test_all_columns_equal_those_of_pysc2(seed: int, num_units: int, size: tuple[int, int]) -> None:
    width, height = size
    generator = np.random.default_rng(seed)
    message = frames.observation(generator, num_units=num_units, width=width, height=height)
    info = frames.game_info(generator, width=width, height=height)
    grid = Grid(info.start_raw.map_size)
    records = read_units(message.observation.raw_data)
    for cargo in (False, True):
        theirs = np.asarray(transform(info.start_raw.map_size, cargo=cargo)(message)["raw_units"])
        ours = raw_units(records, grid, with_passengers=cargo)
        assert columns_that_differ(ours, theirs.reshape(-1, len(COLUMN_NAMES))) == {}
    assert ours.dtype == np.int64


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 120))
def test_the_c_reader_reads_what_the_python_reader_reads(seed: int, num_units: int) -> None:
    message = frames.observation(np.random.default_rng(seed), num_units=num_units).observation.raw_data
    assert_same(native_reader().read(message), read_units(message))


@pytest.mark.parametrize("num_units", [0, 1, 900, 1400])
def test_any_number_of_units(num_units: int) -> None:
    message = frames.observation(np.random.default_rng(num_units), num_units=num_units).observation.raw_data
    records = read_units(message)
    assert records.num_units == num_units
    assert raw_units(records, Grid((168, 184)), with_passengers=False).shape == (num_units, 46)
    reader = native_reader()
    for _ in range(2):  # with room to grow, and grown
        assert_same(reader.read(message), records)


def test_absent_fields_hold_the_defaults_of_the_protocol(raw_message: Any) -> None:
    raw_message.units.add()
    for records in (read_units(raw_message), native_reader().read(raw_message).records()):
        assert records.values[FIELD["alliance"], 0] == 1
        assert records.values[FIELD["display_type"], 0] == 1
        assert records.values[FIELD["health"], 0] == 0


def test_passengers_stand_behind_all_units_at_their_carrier(raw_message: Any) -> None:
    carrier = raw_message.units.add(unit_type=54, tag=5, alliance=4, owner=2)
    carrier.pos.x, carrier.pos.y = 10, 20
    carrier.passengers.add(unit_type=48, tag=6, health=40, health_max=45)
    raw_message.units.add(unit_type=45, tag=7)
    units = raw_units(read_units(raw_message), Grid((64, 64)))
    assert units[:, COLUMN["tag"]].tolist() == [5, 7, 6]
    assert units[2, COLUMN["is_in_cargo"]] == 1
    assert units[2, [COLUMN["alliance"], COLUMN["owner"]]].tolist() == [4, 2]
    assert units[2, [COLUMN["x"], COLUMN["y"]]].tolist() == [40, 176]
    assert units[2, COLUMN["health_ratio"]] == 226


@pytest.fixture
def raw_message() -> Any:
    return frames.observation(np.random.default_rng(0), num_units=0).observation.raw_data
