from __future__ import annotations

from types import SimpleNamespace

import pytest

from envs.errors import GameVersionError
from envs.starcraft2.version import GameVersion, VersionGuard

OLD = GameVersion(game_version="4.10.0.75689", data_version="B89B", base_build=75689, data_build=75689)
NEW = GameVersion(game_version="4.10.1.75800", data_version="DDFF", base_build=75800, data_build=75800)


def test_facts_are_what_the_game_says() -> None:
    ping = SimpleNamespace(game_version="4.10.0.75689", data_version="B89B", base_build=75689, data_build=75689)
    assert GameVersion.of_ping(ping) == OLD
    assert OLD.facts() == {
        "game": "starcraft2",
        "game_version": "4.10.0.75689",
        "data_version": "B89B",
        "base_build": 75689,
        "data_build": 75689,
    }


def test_the_stand_in_says_what_it_is() -> None:
    stand_in = GameVersion(game_version="4.10.0.75689", data_version="STANDIN-1", base_build=75689, data_build=75689)
    assert stand_in.is_stand_in
    assert stand_in.facts()["game"] == "stand-in game"
    assert not OLD.is_stand_in


def test_the_first_version_is_what_the_others_must_be() -> None:
    guard = VersionGuard()
    guard.check(OLD)
    guard.check(OLD)
    with pytest.raises(GameVersionError, match=r"is DDFF, expected B89B.*choose it by --environment.release"):
        guard.check(NEW)


def test_only_the_entries_that_are_expected_count() -> None:
    guard = VersionGuard({"data_version": "DDFF", "map": "Simple64"})
    guard.check(NEW)
    with pytest.raises(GameVersionError, match="data_version is B89B, expected DDFF"):
        guard.check(OLD)


@pytest.mark.parametrize("name", ["4.10.1.75800", "DDFF", "any"])
def test_a_version_is_allowed_by_name(name: str) -> None:
    with pytest.raises(GameVersionError):
        VersionGuard(OLD.facts()).check(NEW)
    guard = VersionGuard(OLD.facts(), [name])
    guard.check(NEW)
    guard.check(OLD)


def test_another_name_allows_nothing() -> None:
    with pytest.raises(GameVersionError):
        VersionGuard(OLD.facts(), ["4.10.2"]).check(NEW)
