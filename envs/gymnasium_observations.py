"""Gymnasium observations written into batched arrays of our layout (`envs.spaces`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.gymnasium_actions import flat_action_mask
from envs.spaces import ACTION_MASK, ENTITY_KEYS, ENTITY_MASK, OBSERVATION_KEYS, PLANES, SCALARS

Path = tuple[str | int, ...]
Row = int | slice
Writer = Callable[[Row, Any], None]

SUPPORTED_SPACES = "Box, Discrete, MultiDiscrete, MultiBinary, and Dict or Tuple of those"
# Wider bounds (float32's maximum, integer limits) say that a value is unbounded; they tell nothing about its scale.
LARGEST_SCALED_BOUND = 1e6
LARGEST_ONE_HOT = 100_000
_LAYOUT_RANKS = {**dict.fromkeys(ENTITY_KEYS, 2), ENTITY_MASK: 1, SCALARS: 1, PLANES: 3}


@dataclass(frozen=True)
class _Leaf:
    """One plain space inside an observation space and the keys that lead to it."""

    path: Path
    space: spaces.Space[Any]

    @property
    def name(self) -> str:
        return "observation" + "".join(f"[{key!r}]" for key in self.path)


class ObservationEncoder:
    """Writes the observations of N environments of one space into arrays of our layout, row by row.

    Vectors become `scalars`: Box values flattened, bounds no wider than 1e6 mapped to [-1, 1]; Discrete and
    MultiDiscrete one-hot; MultiBinary as 0 and 1. Images (a Box of rank 3, or of rank 2 and uint8) become `planes`,
    several of one size side by side: uint8 if all of them are, float32 otherwise, values unchanged. The channel axis of
    a rank-3 image is the one that is not part of a square, else the shorter end, else the last. A key `action_mask`
    beside other keys becomes the action mask. A Dict that has only keys of our layout passes through unchanged.

    Attributes:
        space: the single-environment observation space, in our layout.
        arrays: array [N, ...] of each key; the same arrays at every step.
    """

    def __init__(
        self, space: spaces.Space[Any], num_envs: int, action_mask_shape: tuple[int, ...] | None = None
    ) -> None:
        self.space = spaces.Dict()
        self.arrays: dict[str, NDArray[Any]] = {}
        self._num_envs = num_envs
        self._writers: list[tuple[Path, Writer]] = []
        self._raw: NDArray[np.float32] | None = None
        self._scale = self._offset = np.zeros(0, np.float32)
        if is_layout(space):
            self.space = space
            for key, box in space.spaces.items():
                if key == ACTION_MASK and action_mask_shape is not None:
                    self._add_mask_of([_Leaf((key,), box)], action_mask_shape)
                    continue
                self.arrays[key] = np.zeros((num_envs, *(box.shape or ())), box.dtype)
                self._writers.append(((key,), _copy_writer(self.arrays[key])))
            return
        leaves = list(_leaves(space))
        masks = [leaf for leaf in leaves if leaf.path[:1] == (ACTION_MASK,)] if action_mask_shape is not None else []
        others = [leaf for leaf in leaves if leaf not in masks]
        if not others:  # a Dict of a mask alone: it is all there is to see
            masks, others = [], leaves
        images = [leaf for leaf in others if _is_image(leaf.space)]
        self._add_scalars([leaf for leaf in others if leaf not in images])
        self._add_planes(images)
        if masks and action_mask_shape is not None:
            self._add_mask_of(masks, action_mask_shape)
        if not self._writers:
            raise ValueError(f"the observation space {space} is empty; supported: {SUPPORTED_SPACES}")

    def add_action_mask(self, shape: tuple[int, ...]) -> None:
        """Add the key `action_mask`, all allowed until it is written."""
        self.space = spaces.Dict({**self.space.spaces, ACTION_MASK: spaces.Box(0, 1, shape, np.int8)})
        self.arrays[ACTION_MASK] = np.ones((self._num_envs, *shape), np.int8)

    def _add_mask_of(self, leaves: list[_Leaf], shape: tuple[int, ...]) -> None:
        """Add the action mask that the observation holds, in whatever shape."""
        size = sum(int(np.prod(leaf.space.shape or ())) for leaf in leaves)
        if size != np.prod(shape):
            raise ValueError(
                f"expected observation['action_mask'] with {shape} entries, one for each choice, got {size}"
            )
        self.add_action_mask(shape)
        self._writers.append(((ACTION_MASK,), _mask_writer(self.arrays[ACTION_MASK])))

    def write(self, row: Row, observation: Any) -> None:
        """Write one environment's observation (for a plain Box, those of a slice of rows); `finish` after the last."""
        for path, write in self._writers:
            value = observation
            for key in path:
                value = value[key]
            write(row, value)

    def finish(self) -> dict[str, NDArray[Any]]:
        """Return the arrays with all rows scaled."""
        if self._raw is not None:
            scalars = self.arrays[SCALARS]
            np.multiply(self._raw, self._scale, out=scalars)
            np.add(scalars, self._offset, out=scalars)
        return self.arrays

    def _add_scalars(self, leaves: list[_Leaf]) -> None:
        if not leaves:
            return
        ranges = [_scalar_range(leaf) for leaf in leaves]
        low, high = (np.concatenate(side) for side in zip(*ranges, strict=True))
        raw = np.zeros((self._num_envs, low.size), np.float32)
        start = 0
        for leaf, (leaf_low, _) in zip(leaves, ranges, strict=True):
            columns = raw[:, start : start + leaf_low.size]
            self._writers.append((leaf.path, _scalar_writer(leaf.space, columns)))
            start += leaf_low.size
        self.arrays[SCALARS] = raw
        self.space = spaces.Dict({**self.space.spaces, SCALARS: spaces.Box(-np.inf, np.inf, (low.size,), np.float32)})
        scaled = np.isfinite(low)
        if scaled.any():
            self._raw, self.arrays[SCALARS] = raw, raw.copy()
            low, high = np.where(scaled, low, -1.0), np.where(scaled, high, 1.0)
            half_range, middle = (high - low) / 2, (high + low) / 2
            self._scale, self._offset = (1 / half_range).astype(np.float32), (-middle / half_range).astype(np.float32)

    def _add_planes(self, leaves: list[_Leaf]) -> None:
        if not leaves:
            return
        axes = [channel_axis(leaf.space.shape or ()) for leaf in leaves]
        shapes = [_plane_shape(leaf.space, axis) for leaf, axis in zip(leaves, axes, strict=True)]
        if len({shape[1:] for shape in shapes}) > 1:
            sizes = ", ".join(f"{leaf.name} {shape[1]}x{shape[2]}" for leaf, shape in zip(leaves, shapes, strict=True))
            raise ValueError(
                f"images of one observation need equal heights and widths, got {sizes}; resize them in a wrapper"
            )
        dtype = np.uint8 if all(leaf.space.dtype == np.uint8 for leaf in leaves) else np.float32
        shape = (sum(shape[0] for shape in shapes), *shapes[0][1:])
        planes = np.zeros((self._num_envs, *shape), dtype)
        start = 0
        for leaf, axis, (channels, *_) in zip(leaves, axes, shapes, strict=True):
            self._writers.append((leaf.path, _image_writer(planes[:, start : start + channels], axis)))
            start += channels
        self.arrays[PLANES] = planes
        box = (
            spaces.Box(0, 255, shape, np.uint8) if dtype == np.uint8 else spaces.Box(-np.inf, np.inf, shape, np.float32)
        )
        self.space = spaces.Dict({**self.space.spaces, PLANES: box})


def is_layout(space: spaces.Space[Any]) -> TypeGuard[spaces.Dict]:
    """Return whether a space is a Dict in the layout of `envs.spaces`.

    Raises:
        ValueError: if it has some of the entity keys but not all of them.
    """
    if not isinstance(space, spaces.Dict) or not space.spaces or not set(space.spaces) <= set(OBSERVATION_KEYS):
        return False
    for key, box in space.spaces.items():
        if not isinstance(box, spaces.Box) or len(box.shape) != _LAYOUT_RANKS.get(key, len(box.shape)):
            return False
    missing = [key for key in ENTITY_KEYS if key not in space.spaces]
    if 0 < len(missing) < len(ENTITY_KEYS):
        raise ValueError(f"an observation with entities needs the keys {list(ENTITY_KEYS)}; {missing} are missing")
    return True


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of a rank-3 image shape that holds the channels, None for rank 2."""
    if len(shape) == 2:
        return None
    first, second, third = shape
    if (first == second) != (second == third):
        return 2 if first == second else 0
    return 0 if first < third else 2


def _leaves(space: spaces.Space[Any], path: Path = ()) -> Iterator[_Leaf]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space.spaces):
            yield from _leaves(part, (*path, index))
    elif isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        yield _Leaf(path, space)
    else:
        raise ValueError(f"{_Leaf(path, space).name} is {space}, which is not supported; supported: {SUPPORTED_SPACES}")


def _is_image(space: spaces.Space[Any]) -> bool:
    if not isinstance(space, spaces.Box):
        return False
    return len(space.shape) == 3 or (len(space.shape) == 2 and space.dtype == np.uint8)


def _plane_shape(space: spaces.Space[Any], axis: int | None) -> tuple[int, int, int]:
    shape = list(space.shape or ())
    channels = 1 if axis is None else shape.pop(axis)
    return channels, shape[0], shape[1]


def _scalar_range(leaf: _Leaf) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds of each column that are to be mapped to [-1, 1], infinite where a column stays as it is."""
    space = leaf.space
    if isinstance(space, spaces.Box):
        low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
        scaled = (np.maximum(np.abs(low), np.abs(high)) <= LARGEST_SCALED_BOUND) & (high > low)
        return np.where(scaled, low, -np.inf), np.where(scaled, high, np.inf)
    if isinstance(space, spaces.Discrete):
        width = int(space.n)
    elif isinstance(space, spaces.MultiDiscrete):
        width = int(space.nvec.sum())
    else:
        width = int(np.prod(space.shape or ()))
    if width > LARGEST_ONE_HOT:
        raise ValueError(
            f"{leaf.name} is {space}: {width} one-hot columns, at most {LARGEST_ONE_HOT} are supported; use a Box"
        )
    return np.full(width, -np.inf), np.full(width, np.inf)


def _scalar_writer(space: spaces.Space[Any], columns: NDArray[np.float32]) -> Writer:
    if isinstance(space, spaces.Discrete):
        first = int(space.start)

        def write_choice(row: Row, value: Any) -> None:
            columns[row] = 0
            columns[row, int(value) - first] = 1

        return write_choice
    if isinstance(space, spaces.MultiDiscrete):
        sizes = space.nvec.reshape(-1)
        first_columns = np.cumsum(sizes) - sizes - space.start.reshape(-1)

        def write_choices(row: Row, value: Any) -> None:
            columns[row] = 0
            columns[row, first_columns + np.reshape(value, -1)] = 1

        return write_choices
    if len(space.shape or ()) == 1:
        return _copy_writer(columns)

    def write_flat(row: Row, value: Any) -> None:
        columns[row] = np.reshape(value, -1)

    return write_flat


def _copy_writer(array: NDArray[Any]) -> Writer:
    def write(row: Row, value: Any) -> None:
        array[row] = value

    return write


def _mask_writer(masks: NDArray[np.int8]) -> Writer:
    def write(row: Row, value: Any) -> None:
        masks[row] = flat_action_mask(value, masks.shape[1:])

    return write


def _image_writer(planes: NDArray[Any], axis: int | None) -> Writer:
    if axis is None:
        return _copy_writer(planes[:, 0])
    # A view with the image's own axis order: writing into it transposes.
    return _copy_writer(np.moveaxis(planes, 1, axis + 1))
