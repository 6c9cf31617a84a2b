"""A toy game of function calls, whose right answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.function_calls import FIRST_SELECTED, SELECTED, TARGET_ENTITY, TARGET_POINT, FunctionCallSpace
from envs.spaces import (
    ACTION_MASK,
    ENTITY_CATEGORIES,
    ENTITY_CLASSES,
    ENTITY_MASK,
    ENTITY_POSITIONS,
    ENTITY_VALUES,
    PLANES,
    SCALARS,
    VALUE_SCALARS,
    entity_spaces,
)

Array = NDArray[Any]

ENTITIES, SIDE, MAX_SELECTED, NUM_FUNCTIONS = 6, 4, 3, 3
WAIT, MOVE, ATTACK = range(NUM_FUNCTIONS)
OWN, ENEMY = 1, 2


class CallEnvironment:
    """The scalars say whether to move or to attack; marked own units are to do it.

    A move goes to the cell that the planes mark, an attack to the marked enemy. Of each step, the three reward terms
    are 1 for the function, for exactly the marked units, and for the cell (half of it for a neighbour) or enemy; an
    episode is `length` such steps, truncated. Rows n with (n + step) % 5 == 4 await no call: their mask is zero, and
    they are paid nothing.
    """

    reward_term_names = ("function", "units", "target")
    reward_weights = np.ones(3, np.float32)

    def __init__(self, num_envs: int, *, length: int = 4, seed: int = 0) -> None:
        self.num_envs, self.length = num_envs, length
        self._generator = np.random.default_rng(seed)
        self.single_action_space: Any = FunctionCallSpace(
            [(), (SELECTED, TARGET_POINT), (SELECTED, TARGET_ENTITY)],
            max_entities=ENTITIES,
            max_selected=MAX_SELECTED,
            max_delay=2,
            point_shape=(SIDE, SIDE),
            selection_table=[[0, 0], [0, 1], [0, 1]],
            target_table=[[0, 0], [0, 0], [0, 1]],
        )
        classes = spaces.Box(0, 1, (ENTITIES, 2), np.int32)
        lists = entity_spaces(max_entities=ENTITIES, category_sizes=(3, 2), num_values=1, width=SIDE, height=SIDE)
        self.single_observation_space: Any = spaces.Dict(
            {
                **lists,
                ENTITY_CLASSES: classes,
                SCALARS: spaces.Box(-1, 1, (2,), np.float32),
                PLANES: spaces.Box(0, 1, (1, SIDE, SIDE), np.uint8),
                ACTION_MASK: spaces.Box(0, 1, (NUM_FUNCTIONS,), np.int8),
                VALUE_SCALARS: spaces.Box(-1, 1, (1,), np.float32),
            }
        )
        self._arrays: dict[str, Array] = {
            key: np.zeros((num_envs, *(box.shape or ())), box.dtype)
            for key, box in self.single_observation_space.spaces.items()
        }
        self._step, self._ended = np.zeros(num_envs, int), np.ones(num_envs, bool)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        rows = np.ones(self.num_envs, bool) if options is None else options["reset_mask"]
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self._step[rows], self._ended[rows] = 0, False
        self._draw(rows)
        return self._arrays, {}

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        live = ~self._ended
        asked = live & self._arrays[ACTION_MASK].any(1)
        terms = np.stack([self._right(n, actions[n]) if asked[n] else np.zeros(3) for n in range(self.num_envs)])
        self._step += live
        truncated = live & (self._step == self.length)
        self._ended = self._ended | truncated
        self._draw(live)
        infos = {
            "reward_terms": terms.astype(np.float32),
            "elapsed_steps": live.astype(np.int32),
            "outcome": np.zeros(self.num_envs, np.int8),
        }
        return self._arrays, terms.sum(1), np.zeros(self.num_envs, bool), truncated, infos

    def close(self) -> None:
        """Nothing to free."""

    def _draw(self, rows: Array) -> None:
        """Put new tasks into rows: 2 to 4 own units of which 1 or 2 are marked, and 2 enemies of which one is."""
        for n in np.flatnonzero(rows):
            for array in self._arrays.values():
                array[n] = 0
            own, marked = self._generator.integers(2, 5), self._generator.integers(1, 3)
            kinds = np.array([OWN] * own + [ENEMY] * 2)
            marks = np.zeros(len(kinds), int)
            marks[[*self._generator.choice(own, marked, replace=False), own + self._generator.integers(2)]] = 1
            shown = slice(0, len(kinds))
            self._arrays[ENTITY_MASK][n, shown] = 1
            self._arrays[ENTITY_CATEGORIES][n, shown] = np.stack([kinds, marks], 1)
            self._arrays[ENTITY_CLASSES][n, shown] = np.stack([kinds == OWN, kinds == ENEMY], 1)
            self._arrays[ENTITY_POSITIONS][n, shown] = self._generator.integers(0, SIDE, (len(kinds), 2))
            self._arrays[ENTITY_VALUES][n, shown] = self._generator.random((len(kinds), 1))
            self._arrays[SCALARS][n, self._generator.integers(2)] = 1
            self._arrays[PLANES][n, 0].flat[self._generator.integers(SIDE * SIDE)] = 1
            self._arrays[ACTION_MASK][n] = (n + self._step[n]) % 5 != 4

    def _right(self, n: int, call: Array) -> Array:
        """Return which of function, units and target of a call are right."""
        kind, mark = self._arrays[ENTITY_CATEGORIES][n].T
        function = MOVE if self._arrays[SCALARS][n, 0] else ATTACK
        selected = call[FIRST_SELECTED:]
        units = set(selected[selected < ENTITIES]) == set(np.flatnonzero((kind == OWN) & (mark == 1)))
        names = list(self.single_action_space.component_sizes)
        if function == MOVE:
            marked = np.array(divmod(self._arrays[PLANES][n, 0].argmax(), SIDE))
            distance = abs(marked - divmod(call[names.index(TARGET_POINT)], SIDE)).max()
            target = max(0.0, 1 - distance / 2)
        else:
            entity = call[names.index(TARGET_ENTITY)]
            target = float(kind[entity] == ENEMY and mark[entity] == 1)
        return np.array([call[0] == function, units, target * (call[0] == function)], float)
