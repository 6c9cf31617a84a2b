"""Actions of an agent turned into actions of a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.function_calls import FunctionCallSpace
from envs.spaces import UnitActionSpace

SUPPORTED_ACTIONS = "Discrete, MultiDiscrete, Box of floats, UnitActionSpace and FunctionCallSpace"


class ActionDecoder:
    """Checks a batch of actions and gives each environment its own.

    An agent sees choices that count from 0, one-dimensional MultiDiscrete spaces and one-dimensional float32 boxes
    within the environment's bounds; starts, shapes and dtypes of the environment are put back here. Box actions beyond
    the bounds (rounding, or a Gaussian's tail) are clipped.

    Attributes:
        space: the single-environment action space that the agent acts in.
        mask_shape: shape of one environment's action mask, None where actions are not masked.
    """

    def __init__(self, space: spaces.Space[Any], num_envs: int) -> None:
        self.space: spaces.Space[Any]
        self.mask_shape: tuple[int, ...] | None = None
        self._source = space
        self._batch_shape = (num_envs, *(space.shape or ()))
        self._num_choices: Any = getattr(space, "nvec", getattr(space, "n", None))
        self._start: Any = getattr(space, "start", 0)
        if isinstance(space, UnitActionSpace):
            self.space = space
            self.mask_shape = (space.max_entities, space.mask_size)
        elif isinstance(space, FunctionCallSpace):
            self.space = space
            self.mask_shape = (int(space.nvec[0]),)
        elif isinstance(space, spaces.Discrete):
            self.space = spaces.Discrete(int(space.n))
            self.mask_shape = (int(space.n),)
        elif isinstance(space, spaces.MultiDiscrete):
            self.space = spaces.MultiDiscrete(space.nvec.reshape(-1))
            self.mask_shape = (int(space.nvec.sum()),)
        elif isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
            self.space = spaces.Box(space.low.reshape(-1).astype(np.float32), space.high.reshape(-1).astype(np.float32))
        else:
            raise ValueError(f"the action space {space} is not supported; supported: {SUPPORTED_ACTIONS}")

    def decode(self, actions: NDArray[Any]) -> list[Any]:
        """Return each environment's action.

        Args:
            actions: [N, ...] in the batched form of `space`.

        Raises:
            ValueError: if the shape differs, a choice does not exist, or a number is not finite.
        """
        actions = np.asarray(actions)
        if actions.size != np.prod(self._batch_shape) or len(actions) != self._batch_shape[0]:
            raise ValueError(f"expected actions of shape {self._batch_shape}, got {actions.shape}")
        actions = actions.reshape(self._batch_shape)
        source = self._source
        if isinstance(source, spaces.Box):
            if not np.isfinite(actions).all():
                raise ValueError(f"actions must be finite, got {actions[~np.isfinite(actions)][0]}")
            return list(np.clip(actions, source.low, source.high).astype(source.dtype, copy=False))
        if not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(f"expected whole-numbered actions for {source}, got dtype {actions.dtype}")
        legal = (actions >= 0) & (actions < self._num_choices)
        if not legal.all():
            where = tuple(int(index) for index in np.argwhere(~legal)[0])
            raise ValueError(f"action {actions[where]} at index {where} does not exist; actions lie in {self.space}")
        if isinstance(source, spaces.Discrete):
            choices: list[Any] = (actions + self._start).tolist()
            return choices
        return list((actions + self._start).astype(source.dtype, copy=False))


def flat_action_mask(mask: Any, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Return an environment's action mask as int8 array of `shape`; a tuple of masks (as of MultiDiscrete) is joined.

    Raises:
        ValueError: if the mask has another size.
    """
    array = (
        np.concatenate([np.reshape(part, -1) for part in mask]) if isinstance(mask, tuple | list) else np.asarray(mask)
    )
    if array.size != np.prod(shape):
        raise ValueError(f"expected an action_mask with {shape} entries, one for each choice, got shape {array.shape}")
    return array.reshape(shape).astype(np.int8)
