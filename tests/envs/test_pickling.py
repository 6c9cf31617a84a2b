from __future__ import annotations

import pickle

from envs.pickling import PickledAsMade


class Counted(PickledAsMade):
    made = 0

    def __init__(self, first: int, *, second: str) -> None:
        super().__init__(first, second=second)
        self.values = (first, second)
        Counted.made += 1


class Derived(Counted):
    pass


def test_a_copy_is_made_once_and_with_the_same_arguments() -> None:
    """What is made besides would be collected, and close the games that it shares with the copy."""
    original = Derived(3, second="b")
    Counted.made = 0
    copy = pickle.loads(pickle.dumps(original))
    assert Counted.made == 1
    assert type(copy) is Derived
    assert copy.values == (3, "b")
    assert pickle.loads(pickle.dumps(copy)).values == (3, "b")
