from __future__ import annotations

import numpy as np

from envs.starcraft2.things import Conditions


def test_a_condition_holds_where_any_thing_of_its_group_is_there() -> None:
    conditions = Conditions()
    groups = [[("unit", 4), ("upgrade", 4)], [("unit", 9)], [], [("upgrade", 0)]]
    numbers = [conditions.number(group) for group in groups]
    assert conditions.number([("unit", 9)]) == numbers[1], "the same group has the same number"
    for things, expected in (
        ({}, [False] * 4),
        ({"unit": {4}}, [True, False, False, False]),
        ({"upgrade": np.array([4, 4, 0], np.int32), "others": [9]}, [True, False, False, True]),
        ({"unit": np.array([10, 10**6]), "upgrade": [5]}, [False] * 4),
    ):
        assert conditions.holding(things)[numbers].tolist() == expected


def test_a_table_is_filled_up_with_a_condition_that_always_holds() -> None:
    conditions = Conditions()
    table = conditions.table([[], [[("unit", 1)]], [[("unit", 1)], []]])
    assert table.shape == (2, 3)
    assert conditions.holding({})[table].tolist() == [[True, False, False], [True, True, False]]
    assert conditions.holding({"unit": [1]})[table].all(0).tolist() == [True, True, False]
