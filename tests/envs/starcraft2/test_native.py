from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import starcraft2_frames as frames
from envs.starcraft2 import native_library, unit_encoder
from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.native_encoder import NativeUnitEncoder
from envs.starcraft2.native_library import build, cache_directory
from envs.starcraft2.native_reader import NativeUnitReader
from envs.starcraft2.unit_encoder import PythonUnitEncoder, entity_arrays

GRID = Grid((168, 184))


class Bytes:
    """Stands for a message whose bytes are these."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def SerializeToString(self) -> bytes:  # noqa: N802
        return self.content


@pytest.fixture
def reader() -> NativeUnitReader:
    library = native_library.native_library()
    if library is None:
        pytest.skip("there is no C compiler, or C is switched off")
    return NativeUnitReader(library)


@pytest.fixture
def not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(native_library, "_loaded", [])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(native_library.NATIVE_VARIABLE, raising=False)
    return tmp_path / "perceiver-star"


def test_every_truncation_is_refused_or_read(reader: NativeUnitReader) -> None:
    content = frames.observation(np.random.default_rng(1), num_units=3).observation.raw_data.SerializeToString()
    refused = 0
    for length in range(len(content)):
        try:
            reader.read(Bytes(content[:length]))
        except ValueError:
            refused += 1
    assert refused > 0.9 * len(content)
    with pytest.raises(ValueError, match="well-formed ObservationRaw"):
        reader.read(Bytes(content[:-1]))


def test_garbage_does_no_harm(reader: NativeUnitReader) -> None:
    generator = np.random.default_rng(2)
    content = bytearray(frames.observation(generator, num_units=20).observation.raw_data.SerializeToString())
    for _ in range(500):
        changed = bytearray(content)
        for position in generator.integers(0, len(content), 5):
            changed[position] = int(generator.integers(0, 256))
        try:
            records = reader.read(Bytes(bytes(changed)))
        except ValueError:
            continue
        assert len(records.values) >= records.num_units


def test_units_are_read_from_the_answer_they_came_in(reader: NativeUnitReader) -> None:
    generator = np.random.default_rng(3)
    messages = [frames.observation(generator, num_units=count) for count in (40, 1500, 41)]
    answers = [sc_pb.Response(observation=message, id=7).SerializeToString() for message in messages]
    for message, answer in zip(messages, answers, strict=True):
        raw = message.observation.raw_data
        expected = [array.copy() for array in reader.read(raw)[:2]]
        # pysc2 gives the last observation once more where an answer holds none; in two pieces it is whole only merged.
        nothing = sc_pb.Response(status=sc_pb.ended).SerializeToString()
        others = [other for other in answers if len(other) != len(answer)]
        for given in (answer, answer + nothing, None, nothing, answer[:-9], answer + answer, *others):
            found = reader.read(raw, given)
            for array, wanted in zip(found, expected, strict=False):
                np.testing.assert_array_equal(array, wanted)


def is_python() -> bool:
    return isinstance(unit_encoder.unit_encoder(GRID), PythonUnitEncoder)


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native_library.NATIVE_VARIABLE, "0")
    assert native_library.native_library() is None
    assert is_python()


def test_it_is_what_encodes_where_there_is_a_compiler(reader: NativeUnitReader) -> None:
    assert isinstance(unit_encoder.unit_encoder(GRID), NativeUnitEncoder)


def test_without_a_compiler_units_are_encoded_in_python(not_loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert is_python()
    assert not list(not_loaded.glob("*.so"))


def test_where_nobody_owns_folders_units_are_encoded_in_python(
    not_loaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "getuid")
    assert is_python()
    assert not not_loaded.exists()


def test_a_library_that_gives_other_numbers_is_not_used(
    reader: NativeUnitReader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("envs.starcraft2.native_tables.OWN", 4)
    assert is_python()
    assert "does not give the same numbers" in caplog.text


def test_arrays_that_c_cannot_write_into_are_refused(reader: NativeUnitReader) -> None:
    encoder = unit_encoder.unit_encoder(GRID)
    message = frames.observation(np.random.default_rng(0), num_units=2).observation.raw_data
    wrong_shapes = [np.zeros(shape, np.int32) for shape in ((8, 3), (7, 2))]
    for wrong in (np.zeros((8, 2), np.int64), np.zeros((2, 8), np.int32).T, *wrong_shapes):
        arrays = {**entity_arrays(8), "entity_positions": wrong}
        with pytest.raises(ValueError, match=r"expected entity_positions as a contiguous int32 array \(8, 2\)"):
            encoder.encode(message, arrays, None)


def test_it_is_compiled_once_into_a_folder_of_our_own(
    reader: NativeUnitReader, not_loaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert native_library.native_library() is not None
    assert not_loaded.stat().st_mode & 0o077 == 0
    (library,) = not_loaded.iterdir()

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("it is compiled already")

    monkeypatch.setattr(subprocess, "run", fail)
    assert build(cache_directory()) == library


def test_a_folder_that_others_can_write_is_refused(not_loaded: Path) -> None:
    not_loaded.mkdir()
    os.chmod(not_loaded, 0o777)
    with pytest.raises(OSError, match="chmod 700"):
        cache_directory()
    assert is_python()
