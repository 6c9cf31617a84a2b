"""How a batch of games passes process borders."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gymnasium.utils import EzPickle


class PickledAsMade(EzPickle):
    """Pickles as the arguments that it was made with; the copy is another one, made with the same.

    `EzPickle` alone makes the copy from a further one, and Gymnasium before 1.3 closes a vector environment that nobody
    uses any more: that one, and with it all that the copy had taken from it.
    """

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        """Return what makes another one."""
        return functools.partial(type(self), *self._ezpickle_args, **self._ezpickle_kwargs), ()
