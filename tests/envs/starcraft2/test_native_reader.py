from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import starcraft2_frames as frames
from envs.starcraft2 import native_reader
from envs.starcraft2.native_reader import NativeUnitReader, build, cache_directory, native_function, unit_reader
from envs.starcraft2.unit_records import read_units


class Bytes:
    """Stands for a message whose bytes are these."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def SerializeToString(self) -> bytes:  # noqa: N802
        return self.content


@pytest.fixture
def reader() -> NativeUnitReader:
    function = native_function()
    if function is None:
        pytest.skip("there is no C compiler, or the C reader is switched off")
    return NativeUnitReader(function)


@pytest.fixture
def not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(native_reader, "_loaded", [])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(native_reader.NATIVE_VARIABLE, raising=False)
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
        assert records.values.shape[1] >= records.num_units


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native_reader.NATIVE_VARIABLE, "0")
    assert native_function() is None
    assert unit_reader() is read_units


def test_without_a_compiler_units_are_read_in_python(not_loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert unit_reader() is read_units
    assert not list(not_loaded.glob("*.so"))


def test_a_reader_that_reads_otherwise_is_not_used(not_loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise ValueError("the compiled reader does not read what the Python reader reads")

    monkeypatch.setattr(native_reader, "_check", refuse)
    assert unit_reader() is read_units


def test_it_is_compiled_once_into_a_folder_of_our_own(
    reader: NativeUnitReader, not_loaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert native_function() is not None
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
    assert unit_reader() is read_units
