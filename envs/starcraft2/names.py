"""The names of StarCraft II's races, of its built-in AI's strengths and builds, and of the mini-games.

Numbers are those of the game's protocol (s2client-proto, sc2api.proto and common.proto); the names are pysc2's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from envs.errors import UnknownNameError

RACES = {"terran": 1, "zerg": 2, "protoss": 3, "random": 4}
DIFFICULTIES = {
    "very_easy": 1,
    "easy": 2,
    "medium": 3,
    "medium_hard": 4,
    "hard": 5,
    "harder": 6,
    "very_hard": 7,
    "cheat_vision": 8,
    "cheat_money": 9,
    "cheat_insane": 10,
}
"""The built-in AI's strengths, weakest first. The game's menu calls very_hard "Elite"; the last three cheat."""
BUILDS = {"random": 1, "rush": 2, "timing": 3, "power": 4, "macro": 5, "air": 6}
"""What the built-in AI goes for."""
MINI_GAMES = (
    "BuildMarines",
    "CollectMineralsAndGas",
    "CollectMineralShards",
    "DefeatRoaches",
    "DefeatZerglingsAndBanelings",
    "FindAndDefeatZerglings",
    "MoveToBeacon",
)
"""The one-player maps that pysc2 offers (Vinyals et al. 2017, section 4.3)."""

NO_OPPONENT = "none"
"""Stands for the opponent on a map for one player."""
RACE_NAMES = {number: name for name, number in RACES.items()}


@dataclass(frozen=True)
class BuiltInOpponent:
    """One of the game's own AIs.

    Attributes:
        difficulty: one of `DIFFICULTIES`.
        build: one of `BUILDS`.
        race: one of `RACES`; None leaves it to the environment.
    """

    difficulty: str
    build: str = "random"
    race: str | None = None

    def __post_init__(self) -> None:
        """Check the names."""
        check_name("difficulty", self.difficulty, DIFFICULTIES)
        check_name("build", self.build, BUILDS)
        if self.race is not None:
            check_name("race", self.race, RACES)

    @property
    def name(self) -> str:
        """The name that `parse_opponent` reads, without what is left open."""
        build = self.build if self.build != "random" or self.race == "random" else None
        return ":".join(part for part in (self.difficulty, build, self.race) if part)


def parse_opponent(text: str) -> BuiltInOpponent:
    """Return the AI that `text` names: a difficulty, alone or followed by a build and a race.

    Examples are "very_hard", "hard:macro", "easy:random:zerg" and "easy:zerg".

    Raises:
        UnknownNameError: if a part is no such name; close matches are in the message.
    """
    difficulty, *parts = text.split(":")
    check_name("difficulty", difficulty, DIFFICULTIES, hint=f"(weakest first: {', '.join(DIFFICULTIES)})")
    build = parts.pop(0) if parts and parts[0] in BUILDS else "random"
    race = parts.pop(0) if parts and parts[0] in RACES else None
    if parts:
        raise UnknownNameError("build or race", parts[0], {**BUILDS, **RACES}, hint=f"(in the opponent {text!r})")
    return BuiltInOpponent(difficulty, build, race)


def check_name(kind: str, name: str, known: Mapping[str, object] | Iterable[str], *, hint: str = "") -> None:
    """Check that a name is one of `known`.

    Raises:
        UnknownNameError: if it is not; close matches are in the message.
    """
    names = set(known)
    if name not in names:
        raise UnknownNameError(kind, name, names, hint=hint or f"(known are {', '.join(known)})")
