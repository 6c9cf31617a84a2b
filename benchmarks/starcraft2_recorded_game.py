"""Reads the recorded game of two Terran players that the source package of pysc2-evolved 1.1.1 holds.

pip download --no-deps --no-binary :all: pysc2_evolved==1.1.1
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from envs.starcraft2.compatibility import sc_pb

ARCHIVE = "pysc2_evolved-1.1.1.tar.gz"
_MEMBER = "pysc2_evolved-1.1.1/src/pysc2_evolved/env/converter/cc/test_data/recordings/tvt_trunk.pb"
_VARINT, _BYTES = 0, 2


class RecordedGame(NamedTuple):
    """Messages of one game: what both players see at a number of moments."""

    game_info: Any
    observations: list[Any]
    opponent_observations: list[Any]


def read_game(archive: Path) -> RecordedGame:
    """Return the game in the source package."""
    with tarfile.open(archive) as opened:
        member = opened.extractfile(_MEMBER)
        if member is None:
            raise ValueError(f"there is no {_MEMBER} in {archive}; expected {ARCHIVE}")
        return _parse(member.read())


def _parse(episode: bytes) -> RecordedGame:
    """Read pysc2's RecordedEpisode: the game info (field 1), and what is seen at each moment (field 2)."""
    info = sc_pb.ResponseGameInfo()
    game = RecordedGame(info, [], [])
    for number, content in _fields(memoryview(episode)):
        if number == 1:
            info.MergeFromString(bytes(content))
        elif number == 2:
            moment = dict(_fields(content))
            game.observations.append(sc_pb.ResponseObservation.FromString(bytes(moment[1])))
            game.opponent_observations.append(sc_pb.ResponseObservation.FromString(bytes(moment[2])))
    return game


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield the number and the content of each field of a serialised message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        content: Any
        content, position = _varint(message, position)
        if key & 7 == _BYTES:
            position += content
            content = message[position - content : position]
        elif key & 7 != _VARINT:
            raise ValueError(f"expected numbers and bytes only, got wire type {key & 7} in field {key >> 3}")
        yield key >> 3, content


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
