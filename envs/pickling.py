"""How a batch of games passes process borders."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class PickledAsMade:
    """Pickles as the arguments that it was made with; the copy is another one, made with the same.

    Gymnasium's `EzPickle` makes a second environment and gives its attributes to the copy. Gymnasium before 1.3 closes
    a vector environment when it is collected, and so would close the copy's games with it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._make_another = functools.partial(type(self), *args, **kwargs)

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        """Return what makes another one."""
        return self._make_another, ()
