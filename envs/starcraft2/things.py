"""Conditions on what a player has, all looked up at once: each holds where it has any thing of a group."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = Collection[int] | NDArray[np.integer]
"""Ids in any order; one may be repeated."""
Thing = tuple[str, int]
"""A kind of things and an id of that kind."""
_ALWAYS: Thing = ("always", 0)
_NEVER: Thing = ("never", 0)  # a kind that no player has


class Layout(NamedTuple):
    """Where each thing has its flag, and which flags each condition asks for.

    Attributes:
        num_flags: flags of all kinds.
        kinds: each kind's slice of them: one for each id, and one for all higher ids.
        members: flags that the conditions ask for, one condition's after another's.
        first: where in `members` each condition's begin.
    """

    num_flags: int
    kinds: Mapping[str, slice]
    members: NDArray[np.intp]
    first: NDArray[np.intp]


class Conditions:
    """Numbered conditions; all are numbered before `holding` is asked."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Thing, ...], int] = {}

    def number(self, group: Iterable[Thing]) -> int:
        """Return the number of the condition that a thing of the group is there; of an empty group none ever is."""
        return self._numbers.setdefault(tuple(group) or (_NEVER,), len(self._numbers))

    def table(self, columns: Sequence[Iterable[Iterable[Thing]]]) -> NDArray[np.intp]:
        """Return the numbers of several groups in each column, filled up with one whose condition always holds."""
        numbers = [[self.number(group) for group in groups] for groups in columns]
        table = np.full((max(map(len, numbers)), len(numbers)), self.number([_ALWAYS]), np.intp)
        for column, found in enumerate(numbers):
            table[: len(found), column] = found
        return table

    def holding(self, things: Mapping[str, Ids]) -> NDArray[np.bool_]:
        """Return which conditions hold, bool [conditions], where a player has things of these ids, kind by kind."""
        layout = self.layout
        flags = np.zeros(layout.num_flags, np.bool_)
        for kind, ids in (*things.items(), (_ALWAYS[0], [_ALWAYS[1]])):
            place = layout.kinds.get(kind)
            if place is not None and len(ids):
                numbers = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), np.intp)
                flags[place][np.minimum(numbers, place.stop - place.start - 1)] = True
        holding: NDArray[np.bool_] = np.logical_or.reduceat(flags[layout.members], layout.first)
        return holding

    @cached_property
    def layout(self) -> Layout:
        """Where the flags are; there are no more conditions once it has been asked for."""
        highest: dict[str, int] = {}
        for kind, number in (thing for group in self._numbers for thing in group):
            highest[kind] = max(number, highest.get(kind, 0))
        starts = np.cumsum([0, *(number + 2 for number in highest.values())]).tolist()
        kinds = {kind: slice(*ends) for kind, ends in zip(highest, pairwise(starts), strict=True)}
        members = [kinds[kind].start + number for group in self._numbers for kind, number in group]
        first = np.cumsum([0, *(len(group) for group in self._numbers)])[:-1]
        return Layout(starts[-1], kinds, np.array(members, np.intp), first)
