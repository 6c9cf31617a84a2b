"""How a game's decisions are made: what the policy heads are built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.function_calls import (
    COMPONENT_NAMES,
    DELAY,
    FIRST_SELECTED,
    QUEUED,
    REPEAT,
    SELECTED,
    TARGET_ENTITY,
    TARGET_POINT,
    FunctionCallSpace,
)
from envs.spaces import UnitActionSpace

DECODING_ORDER = (DELAY, QUEUED, REPEAT, SELECTED, TARGET_ENTITY, TARGET_POINT)
"""The arguments in the order in which they are decided, each knowing those before it."""


@dataclass(frozen=True, kw_only=True, repr=False)
class FunctionCallSpec:
    """The functions of a `FunctionCallSpace`: what each reads, and which entities it may select and target.

    Attributes:
        component_sizes: number of choices of each of `COMPONENT_NAMES`.
        point_shape: height and width of the grid of target points.
        max_selected: entities selected at most.
        arguments: names of the arguments that each function reads, the delay included, in `DECODING_ORDER`.
        selectable: for each function, the selection classes that it may select.
        targetable: for each function, the target classes that it may target.
        num_selection_classes, num_target_classes: class 0, which is never selected or targeted, included.
    """

    component_sizes: tuple[int, ...]
    point_shape: tuple[int, int]
    max_selected: int
    arguments: tuple[tuple[str, ...], ...]
    selectable: tuple[tuple[int, ...], ...]
    targetable: tuple[tuple[int, ...], ...]
    num_selection_classes: int
    num_target_classes: int

    @property
    def num_functions(self) -> int:
        """Number of functions."""
        return self.component_sizes[0]

    @property
    def max_entities(self) -> int:
        """Slots of the entity list; as a selected slot, the end of the selection."""
        return self.size(TARGET_ENTITY)

    @property
    def action_size(self) -> int:
        """Number of entries of an action."""
        return FIRST_SELECTED + self.max_selected

    def size(self, name: str) -> int:
        """Return the number of choices of one of `COMPONENT_NAMES`."""
        return self.component_sizes[COMPONENT_NAMES.index(name)]

    @staticmethod
    def columns(name: str) -> slice:
        """Return which entries of an action hold a component."""
        first = COMPONENT_NAMES.index(name)
        return slice(first, None if name == SELECTED else first + 1)

    def readers(self, name: str) -> tuple[bool, ...]:
        """Return whether each function reads an argument."""
        return tuple(name in read for read in self.arguments)

    def idle_actions(self, number: int) -> NDArray[np.int64]:
        """Return actions [number, action_size] of function 0 that select nothing."""
        actions = np.zeros((number, self.action_size), np.int64)
        actions[:, FIRST_SELECTED:] = self.max_entities
        return actions

    def __repr__(self) -> str:
        """Return a short description; the tables would fill pages."""
        return (
            f"FunctionCallSpec({self.num_functions} functions, {self.max_entities} entities, points "
            f"{self.point_shape[0]} x {self.point_shape[1]}, at most {self.max_selected} selected)"
        )

    @classmethod
    def from_space(cls, space: FunctionCallSpace) -> FunctionCallSpec:
        """Return the spec of a space of function calls."""
        return cls(
            component_sizes=tuple(space.component_sizes[name] for name in COMPONENT_NAMES),
            point_shape=space.point_shape,
            max_selected=space.max_selected,
            arguments=tuple(
                tuple(name for name in DECODING_ORDER if name in read or name == DELAY) for read in space.arguments
            ),
            selectable=_allowed_classes(space.selection_table),
            targetable=_allowed_classes(space.target_table),
            num_selection_classes=int(space.selection_table.shape[1]),
            num_target_classes=int(space.target_table.shape[1]),
        )


def _allowed_classes(table: NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(np.flatnonzero(row).tolist()) for row in table)


@dataclass(frozen=True, kw_only=True)
class ActionSpec:
    """How one decision is made.

    A decision has one or more categorical components (`component_sizes`), or is a vector of `box_size` real numbers, or
    the call of a function with arguments (`function_call`). The first component is the action type where `arguments` is
    given: `arguments[type]` holds the indices of the components that type reads. `per_entity` tells whether a decision
    is made for each unit that awaits an order, or once per observation; `scalar`, whether the environment takes a plain
    integer.
    """

    component_sizes: tuple[int, ...] = ()
    arguments: tuple[tuple[int, ...], ...] | None = None
    per_entity: bool = False
    scalar: bool = False
    box_size: int = 0
    box_low: tuple[float, ...] = ()
    box_high: tuple[float, ...] = ()
    function_call: FunctionCallSpec | None = None

    @property
    def mask_size(self) -> int:
        """Length of one decision's action mask."""
        return self.function_call.num_functions if self.function_call else sum(self.component_sizes)

    @property
    def has_waits(self) -> bool:
        """Whether the first choice of the first component orders nothing."""
        return self.per_entity or self.function_call is not None

    @property
    def action_size(self) -> int:
        """Number of entries of one decision's action."""
        if self.function_call:
            return self.function_call.action_size
        return self.box_size or len(self.component_sizes)

    @classmethod
    def from_space(cls, space: spaces.Space[Any]) -> ActionSpec:
        """Return the spec of a Discrete, MultiDiscrete, Box, unit action or function call space."""
        if isinstance(space, UnitActionSpace):
            names = list(space.components)
            arguments = tuple(tuple(names.index(name) for name in used) for used in space.arguments)
            return cls(component_sizes=tuple(space.components.values()), arguments=arguments, per_entity=True)
        if isinstance(space, FunctionCallSpace):
            return cls(function_call=FunctionCallSpec.from_space(space))
        if isinstance(space, spaces.Discrete):
            if space.start:
                raise ValueError(f"expected choices that count from 0, got {space}; shift them in the environment")
            return cls(component_sizes=(int(space.n),), scalar=True)
        if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
            if space.start.any():
                raise ValueError(f"expected choices that count from 0, got {space}; shift them in the environment")
            return cls(component_sizes=tuple(int(size) for size in space.nvec))
        if isinstance(space, spaces.Box):
            low, high = space.low.reshape(-1), space.high.reshape(-1)
            return cls(box_size=low.size, box_low=tuple(low.tolist()), box_high=tuple(high.tolist()))
        raise ValueError(f"expected a Discrete, MultiDiscrete, Box or UnitActionSpace action space, got {space}")
