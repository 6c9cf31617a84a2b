"""What can go wrong with a game: it is not installed, it breaks, it is another version, a name is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GameError(RuntimeError):
    """Base class of the errors that come from a game rather than from its caller."""


class GameNotFoundError(GameError):
    """A game or something it needs is not installed; the message ends with the command that installs it."""


class GameCrashedError(GameError):
    """A game failed while it was running."""


class GameStartError(GameCrashedError):
    """A game did not start; starting it again would hardly help."""


class GameVersionError(GameError):
    """A game, or its observation and action layout, is not the version that was expected."""


class UnknownNameError(ValueError):
    """There is nothing of that name.

    Attributes:
        close_matches: existing names that look like the one asked for, the closest first.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        """Say that no `kind` is called `name`, and offer the closest of the names in `known`."""
        names = sorted(set(known))
        by_lower_case: dict[str, str] = {known_name.lower(): known_name for known_name in names}
        matches = difflib.get_close_matches(name.lower(), by_lower_case, n=4, cutoff=0.55)
        matches += [lower for lower in by_lower_case if name and name.lower() in lower and lower not in matches]
        self.close_matches = tuple(by_lower_case[match] for match in matches[:4])
        offer = (
            f"did you mean {' or '.join(self.close_matches)}?"
            if self.close_matches
            else f"there are {len(names)} names"
        )
        super().__init__(f"unknown {kind} {name!r}: {offer}{' ' + hint if hint else ''}")

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        """Pickle as the finished message, so that the error crosses process borders."""
        return (_RestoredUnknownNameError, (str(self),))


class _RestoredUnknownNameError(UnknownNameError):
    """An UnknownNameError that came from another process."""

    def __init__(self, message: str) -> None:
        ValueError.__init__(self, message)
        self.close_matches = ()
