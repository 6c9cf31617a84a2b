"""Episodes are told apart by what was seen and given in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tests.agent import games
from training.policies import play_episodes

Array = NDArray[Any]
LENGTHS = np.array([3, 3, 3, 3, 2, 3])


class TableEnvironment:
    """Row n sees `seen[step, n]`, is given `given[step, n]` at the step from there, and ends after LENGTHS[n]."""

    num_envs = len(LENGTHS)
    single_observation_space: Any = games.vector_space(1)
    single_action_space: Any = spaces.Discrete(9)
    reward_term_names = ("reward",)
    reward_weights = np.ones(1, np.float32)

    def __init__(self, seen: Array, given: Array, dropped: Array) -> None:
        self.seen, self.given, self.dropped, self.now = seen, given, dropped, 0
        self.buffer = np.zeros((self.num_envs, 1), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.observe(), {}

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        rewards, self.now = self.given[self.now].copy(), self.now + 1
        over = self.now == LENGTHS
        infos = {"elapsed_steps": np.ones(6, np.int32), "outcome": np.ones(6, np.int8), "dropped": over & self.dropped}
        return self.observe(), rewards, over, np.zeros(6, bool), infos

    def observe(self) -> dict[str, Array]:
        self.buffer[:, 0] = self.seen[min(self.now, 2)]
        return {"scalars": self.buffer}

    def close(self) -> None:
        """Nothing to free."""


class Draws:
    """Takes other actions in every row."""

    def begin(self, num_rows: int, seed: int) -> None:
        """Nothing to forget."""

    def act(self, observation: dict[str, Array], rows: Array) -> Array:
        return rows.copy()


def fingerprints(dropped: tuple[int, ...] = ()) -> list[int]:
    seen, given = np.zeros((3, 6)), np.zeros((3, 6), np.float32)
    seen[:] = [[1], [2], [3]]
    seen[1, 2] = 9  # row 2 sees something else, row 3 is given something else, row 4 ends earlier
    given[1, 3] = 1
    rows = np.isin(np.arange(6), dropped)
    return play_episodes(TableEnvironment(seen, given, rows), Draws(), seed=0).fingerprints.tolist()


def test_episodes_with_equal_fingerprints_are_repeats() -> None:
    found = fingerprints()
    assert found[0] == found[1] == found[5], "actions that change nothing make no other episode"
    assert len({found[0], *found[2:5]}) == 4
    assert min(found) >= 0


def test_dropped_episodes_have_no_fingerprint() -> None:
    assert fingerprints(dropped=(0, 4)) == [each for row, each in enumerate(fingerprints()) if row not in (0, 4)]
