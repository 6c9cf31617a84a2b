"""Which StarCraft II this is: what replays and checkpoints record, and what must not change while an agent trains."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from envs.errors import GameVersionError

STAND_IN_MARK = "STANDIN"
"""Begins the data version of the stand-in game; no result with it is one of StarCraft II."""
_ANY = "any"


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


def check_version(found: GameVersion, expected: Mapping[str, Any] | None, allowed: Collection[str] = ()) -> None:
    """Check that a game is the version that is expected.

    Args:
        found: what the game says of itself.
        expected: entries of `GameVersion.facts()` that must be equal, such as those of a checkpoint; None accepts all.
        allowed: game or data versions that are accepted all the same; "any" accepts every one.

    Raises:
        GameVersionError: if an entry differs, naming each.
    """
    facts = found.facts()
    different = {name: value for name, value in (expected or {}).items() if name in facts and facts[name] != value}
    if not different or {_ANY, found.game_version, found.data_version} & set(allowed):
        return
    listed = "; ".join(f"{name} is {facts[name]}, expected {value}" for name, value in different.items())
    raise GameVersionError(
        f"this is another version of StarCraft II: {listed}. An agent plays badly on a version it was not trained on: "
        f"install that one, or allow this one by its name {found.game_version!r}"
    )
