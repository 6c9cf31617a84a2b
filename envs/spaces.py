"""The observation and action layout that games and agents share: key names, space builders, unit actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

ENTITY_CATEGORIES = "entity_categories"
ENTITY_VALUES = "entity_values"
ENTITY_POSITIONS = "entity_positions"
ENTITY_MASK = "entity_mask"
# Of games ordered by function calls: which functions each entity can be given, and which may target it.
ENTITY_CLASSES = "entity_classes"
SCALARS = "scalars"
# In games with entities, planes of the map's size begin with that of blocked cells (walls).
PLANES = "planes"
ACTION_MASK = "action_mask"
# What only the value functions see in training: the opponent's scalars.
VALUE_SCALARS = "value_scalars"

ENTITY_KEYS = (ENTITY_CATEGORIES, ENTITY_VALUES, ENTITY_POSITIONS, ENTITY_MASK)
OBSERVATION_KEYS = (*ENTITY_KEYS, ENTITY_CLASSES, SCALARS, PLANES, ACTION_MASK, VALUE_SCALARS)


def entity_spaces(
    *, max_entities: int, category_sizes: Sequence[int], num_values: int, width: int, height: int
) -> dict[str, spaces.Space[Any]]:
    """Return the spaces of a padded list of `max_entities` entities on a map of `width` x `height` cells.

    Real entities fill the first slots; the slots after them are padding, and `entity_mask` tells them apart.

    Args:
        category_sizes: vocabulary size of each categorical column.
        num_values: number of real-valued columns.
    """
    for name, value in (("max_entities", max_entities), ("width", width), ("height", height)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    sizes = np.asarray(category_sizes, np.int32)
    category_high = np.broadcast_to(sizes - 1, (max_entities, len(sizes)))
    position_high = np.broadcast_to(np.asarray([width - 1, height - 1], np.int32), (max_entities, 2))
    return {
        ENTITY_CATEGORIES: spaces.Box(np.zeros_like(category_high), category_high, dtype=np.int32),
        ENTITY_VALUES: spaces.Box(-np.inf, np.inf, (max_entities, num_values), np.float32),
        ENTITY_POSITIONS: spaces.Box(np.zeros_like(position_high), position_high, dtype=np.int32),
        ENTITY_MASK: spaces.Box(0, 1, (max_entities,), np.int8),
    }


class UnitActionSpace(spaces.MultiDiscrete):
    """One action for each entity slot, made of several components: [max_entities, number of components].

    The first component is the action type. `arguments[name]` of a type lists the components that type reads; the others
    are ignored. Rows of entities that await no order are ignored as a whole. An environment may keep `legal_actions`,
    the mask of its current observation, up to date, so that `sample()` draws only legal actions.

    Attributes:
        components: size of each component by name, the action type first.
        arguments: for each action type, the names of the components it reads besides the type.
        legal_actions: int8 [max_entities, sum of sizes] of the current observation, or None.
    """

    def __init__(
        self,
        max_entities: int,
        components: Mapping[str, int],
        arguments: Sequence[Sequence[str]],
        seed: int | np.random.Generator | None = None,
    ) -> None:
        sizes = list(components.values())
        if len(arguments) != sizes[0]:
            raise ValueError(f"arguments needs one entry for each of the {sizes[0]} action types, got {len(arguments)}")
        unknown = {name for names in arguments for name in names} - set(components)
        if unknown:
            raise ValueError(
                f"arguments name components that do not exist: {sorted(unknown)}; there are {list(components)}"
            )
        super().__init__(np.tile(np.asarray(sizes, np.int64), (max_entities, 1)), seed=seed)
        self.components = dict(components)
        self.arguments = tuple(tuple(names) for names in arguments)
        self.legal_actions: NDArray[np.int8] | None = None

    @property
    def max_entities(self) -> int:
        """Number of entity slots."""
        return int(self.nvec.shape[0])

    @property
    def mask_size(self) -> int:
        """Length of one unit's action mask: the sum of the component sizes."""
        return sum(self.components.values())

    def component_slices(self) -> dict[str, slice]:
        """Return where each component's choices lie in a unit's action mask."""
        ends = np.cumsum(list(self.components.values()))
        return {
            name: slice(int(end) - size, int(end))
            for (name, size), end in zip(self.components.items(), ends, strict=True)
        }

    def sample(self, mask: Any = None, probability: Any = None) -> NDArray[Any]:
        """Return a uniformly drawn action, legal under `mask` [max_entities, mask_size] (default `legal_actions`)."""
        if probability is not None:
            raise ValueError("UnitActionSpace draws uniformly: pass mask, not probability")
        mask = self.legal_actions if mask is None else mask
        if mask is None:
            return np.asarray(super().sample(), np.int64)
        actions: NDArray[Any] = sample_unit_actions(np.asarray(mask)[None], self, self.np_random)[0]
        return actions

    def __eq__(self, other: object) -> bool:
        """Return whether the other space has the same slots, components and arguments."""
        return (
            isinstance(other, UnitActionSpace)
            and self.components == other.components
            and self.arguments == other.arguments
            and self.max_entities == other.max_entities
        )

    def __repr__(self) -> str:
        """Return a short description."""
        return f"UnitActionSpace({self.max_entities}, {self.components}, {self.arguments})"


def sample_unit_actions(
    action_mask: NDArray[Any], space: UnitActionSpace, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return uniformly drawn legal unit actions [N, E, components] for masks [N, E, mask_size]; zeros where none is."""
    actions = np.zeros((*action_mask.shape[:2], len(space.components)), np.int64)
    sample_index, slot = np.nonzero(action_mask.any(-1))
    rows = action_mask[sample_index, slot] != 0
    draws = np.where(rows, generator.random(rows.shape, dtype=np.float32), -1)
    for column, part in enumerate(space.component_slices().values()):
        actions[sample_index, slot, column] = draws[:, part].argmax(1)
    return actions
