from __future__ import annotations

import re

import pytest

from envs.errors import UnknownNameError
from envs.starcraft2.compatibility import common_pb, maps, sc_pb
from envs.starcraft2.names import BUILDS, DIFFICULTIES, MINI_GAMES, RACES, BuiltInOpponent, parse_opponent


def protocol_names(enumeration: object) -> dict[str, int]:
    """Return a protocol's enumeration with names like ours: VeryEasy is very_easy."""
    items: dict[str, int] = dict(enumeration.items())  # type: ignore[attr-defined]
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): number for name, number in items.items()}


def test_numbers_are_those_of_the_protocol() -> None:
    assert protocol_names(sc_pb.Difficulty) == DIFFICULTIES
    builds = protocol_names(sc_pb.AIBuild)
    assert {name.removesuffix("_build"): number for name, number in builds.items()} == BUILDS
    races = protocol_names(common_pb.Race)
    assert races.pop("no_race") == 0
    assert races == RACES
    assert list(DIFFICULTIES.values()) == list(range(1, 11))


def test_mini_games_are_those_of_pysc2() -> None:
    assert {name for name, kind in maps.get_maps().items() if kind.directory == "mini_games"} == set(MINI_GAMES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("very_hard", BuiltInOpponent("very_hard")),
        ("hard:macro", BuiltInOpponent("hard", "macro")),
        ("easy:zerg", BuiltInOpponent("easy", race="zerg")),
        ("easy:rush:protoss", BuiltInOpponent("easy", "rush", "protoss")),
        ("easy:random:random", BuiltInOpponent("easy", "random", "random")),
    ],
)
def test_opponents_are_read(text: str, expected: BuiltInOpponent) -> None:
    opponent = parse_opponent(text)
    assert opponent == expected
    assert parse_opponent(opponent.name) == opponent


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("veryhard", r"unknown difficulty 'veryhard': did you mean very_hard .*weakest first: very_easy, easy"),
        ("easy:marco", "unknown build or race 'marco': did you mean macro"),
        ("easy:zerg:rush", "unknown build or race 'rush'"),
        ("easy:rush:zerk", "did you mean zerg"),
        ("", "unknown difficulty ''"),
    ],
)
def test_unknown_opponents_are_refused_with_close_matches(text: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        parse_opponent(text)
