"""Which StarCraft II this is: what replays and checkpoints record, and what must not change while an agent trains."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from envs.errors import GameVersionError

STAND_IN_MARK = "STANDIN"
"""Begins the data version of the stand-in game; no result with it is one of StarCraft II."""
ANY_VERSION = "any"


@dataclass(frozen=True, kw_only=True)
class GameVersion:
    """What a running game says of itself.

    Attributes:
        game_version: release and build, such as 4.10.0.75689.
        data_version: hash of the rules' data.
        base_build: number of the program's build.
        data_build: number of the build that the data came with.
    """

    game_version: str
    data_version: str
    base_build: int
    data_build: int

    @classmethod
    def of_ping(cls, ping: Any) -> GameVersion:
        """Return the version in the game's answer to a ping, a ResponsePing."""
        return cls(
            game_version=str(ping.game_version),
            data_version=str(ping.data_version),
            base_build=int(ping.base_build),
            data_build=int(ping.data_build),
        )

    @property
    def is_stand_in(self) -> bool:
        """Whether this is the stand-in game of the tests."""
        return self.data_version.upper().startswith(STAND_IN_MARK)

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint or a replay record stores."""
        return {"game": "stand-in game" if self.is_stand_in else "starcraft2", **asdict(self)}


class VersionGuard:
    """Lets games of one version play: of the version that is expected, or of the first that comes.

    Args:
        expected: entries of `GameVersion.facts()` that must be equal, such as those of a checkpoint; None expects
            what the first game says of itself.
        allowed: game or data versions that are accepted all the same; "any" accepts every one.
    """

    def __init__(self, expected: Mapping[str, Any] | None = None, allowed: Collection[str] = ()) -> None:
        self._expected = None if expected is None else dict(expected)
        self._allowed = frozenset(allowed)
        self._lock = threading.Lock()

    def check(self, found: GameVersion) -> None:
        """Check what a game says of itself.

        Raises:
            GameVersionError: if an entry differs, naming each.
        """
        facts = found.facts()
        with self._lock:
            if self._expected is None:
                self._expected = facts
            expected = self._expected
        different = {name: value for name, value in expected.items() if name in facts and facts[name] != value}
        if not different or self._allowed & {ANY_VERSION, found.game_version, found.data_version}:
            return
        listed = "; ".join(f"{name} is {facts[name]}, expected {value}" for name, value in different.items())
        raise GameVersionError(
            f"this is another version of StarCraft II: {listed}. An agent plays badly on a version that it was not "
            "trained on: install that one, choose it by --environment.release, or go on with this one by "
            "--resume auto --allow-version-mismatch"
        )
