"""How a game's decisions are made: what the policy heads are built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.spaces import UnitActionSpace

CALL_COLUMNS = ("function", "delay", "queued", "repeat", "target_entity", "target_point")
"""The entries of a function call before its selected entities, in the order of the action vector."""
SELECTED = "selected"
DECODING_ORDER = ("delay", "queued", "repeat", SELECTED, "target_entity", "target_point")
"""The arguments in the order in which they are decided, each knowing those before it."""


class CallSpace(Protocol):
    """What a space of function calls tells (`envs.function_calls.FunctionCallSpace`)."""

    component_sizes: Mapping[str, int]
    point_shape: tuple[int, int]
    max_selected: int
    arguments: Sequence[Sequence[str]]
    selection_table: NDArray[np.bool_]
    target_table: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, repr=False)
class FunctionCallSpec:
    """Functions with arguments: which there are, what each reads, and which entities each may select and target.

    An action is [function, delay, queued, repeat, target_entity, target_point, selected_0 ... selected_{K-1}], K =
    `max_selected`: entities as slots of the observation's list, `max_entities` for the end of the selection and all
    after it, a point as y * width + x. Arguments that a function does not read are 0, their selection is empty.

    Attributes:
        component_sizes: number of choices of each of `CALL_COLUMNS`.
        max_entities: slots of the entity list.
        point_shape: height and width of the grid of target points.
        max_selected: entities selected at most.
        arguments: names of the arguments that each function reads, `delay` included.
        selectable: for each function, the selection classes that it may select.
        targetable: for each function, the target classes that it may target.
        num_selection_classes, num_target_classes: class 0, which is never selected or targeted, included.
    """

    component_sizes: tuple[int, ...]
    max_entities: int
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
    def action_size(self) -> int:
        """Number of entries of an action."""
        return len(CALL_COLUMNS) + self.max_selected

    def size(self, name: str) -> int:
        """Return the number of choices of one of `CALL_COLUMNS`."""
        return self.component_sizes[CALL_COLUMNS.index(name)]

    def readers(self, name: str) -> tuple[bool, ...]:
        """Return whether each function reads an argument."""
        return tuple(name in read for read in self.arguments)

    def idle_actions(self, number: int) -> NDArray[np.int64]:
        """Return actions [number, action_size] of function 0 that select nothing."""
        actions = np.zeros((number, self.action_size), np.int64)
        actions[:, len(CALL_COLUMNS) :] = self.max_entities
        return actions

    def __repr__(self) -> str:
        """Return a short description; the tables would fill pages."""
        return (
            f"FunctionCallSpec({self.num_functions} functions, {self.max_entities} entities, points "
            f"{self.point_shape[0]} x {self.point_shape[1]}, at most {self.max_selected} selected)"
        )

    @classmethod
    def from_space(cls, space: CallSpace) -> FunctionCallSpec:
        """Return the spec of a space of function calls.

        Raises:
            ValueError: if a function reads an argument that does not exist, or a size and a table do not fit.
        """
        sizes = tuple(int(space.component_sizes[name]) for name in CALL_COLUMNS)
        arguments = tuple(_with_delay(read) for read in space.arguments)
        point_shape = (int(space.point_shape[0]), int(space.point_shape[1]))
        spec = cls(
            component_sizes=sizes,
            max_entities=sizes[CALL_COLUMNS.index("target_entity")],
            point_shape=point_shape,
            max_selected=int(space.max_selected),
            arguments=arguments,
            selectable=_allowed_classes(space.selection_table),
            targetable=_allowed_classes(space.target_table),
            num_selection_classes=int(space.selection_table.shape[1]),
            num_target_classes=int(space.target_table.shape[1]),
        )
        for name, number in (
            ("arguments", len(arguments)),
            ("selection_table", len(spec.selectable)),
            ("target_table", len(spec.targetable)),
        ):
            if number != spec.num_functions:
                raise ValueError(f"{name}: expected a row for each of {spec.num_functions} functions, got {number}")
        if point_shape[0] * point_shape[1] != spec.size("target_point"):
            raise ValueError(f"expected point_shape of {spec.size('target_point')} points, got {point_shape}")
        return spec


def _with_delay(read: Sequence[str]) -> tuple[str, ...]:
    """Return what a function reads in decoding order; the delay is always read."""
    unknown = set(read) - {*DECODING_ORDER, "function"}
    if unknown:
        raise ValueError(f"unknown arguments {sorted(unknown)}; there are {', '.join(DECODING_ORDER)}")
    return tuple(name for name in DECODING_ORDER if name in read or name == "delay")


def _allowed_classes(table: NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(index) for index in np.flatnonzero(row) if index) for row in table)


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
        if hasattr(space, "selection_table"):
            return cls(function_call=FunctionCallSpec.from_space(cast(CallSpace, space)))
        if isinstance(space, spaces.Discrete):
            if space.start:
                raise ValueError(f"expected choices that count from 0, got {space}; shift them in the environment")
            return cls(component_sizes=(int(space.n),), scalar=True)
        if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
            return cls(component_sizes=tuple(int(size) for size in space.nvec))
        if isinstance(space, spaces.Box):
            low, high = space.low.reshape(-1), space.high.reshape(-1)
            return cls(box_size=low.size, box_low=tuple(low.tolist()), box_high=tuple(high.tolist()))
        raise ValueError(f"expected a Discrete, MultiDiscrete, Box or UnitActionSpace action space, got {space}")
