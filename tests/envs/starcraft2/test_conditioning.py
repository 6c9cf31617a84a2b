from __future__ import annotations

import numpy as np
import pytest

from envs.starcraft2 import conditioning
from envs.starcraft2.conditioning import BUILD_ORDER_LENGTH, NUM_BUILD_ITEMS, Statistic, encode_build_order
from envs.starcraft2.tables import UPGRADE_IDS, unit_type_index

MARINE, BARRACKS, STIMPACK, STORM = 48, 21, 15, 1


def test_units_and_upgrades_have_items_of_their_own() -> None:
    items = [conditioning.unit_build_item(unit) for unit in conditioning.BUILD_UNIT_TYPES]
    items += [conditioning.upgrade_build_item(upgrade) for upgrade in conditioning.BUILD_UPGRADES]
    assert items == list(range(1, NUM_BUILD_ITEMS))
    assert {MARINE, BARRACKS} <= set(conditioning.BUILD_UNIT_TYPES)
    assert set(conditioning.BUILD_UPGRADES) <= set(UPGRADE_IDS)
    assert conditioning.unit_build_item(341) == conditioning.upgrade_build_item(100000) == 0


def test_a_build_order_is_one_hot_in_its_places() -> None:
    encoded = encode_build_order([5, 0, 7]).reshape(BUILD_ORDER_LENGTH, NUM_BUILD_ITEMS)
    assert encoded.argmax(1)[:3].tolist() == [5, 0, 7]
    assert encoded.sum(1).tolist() == [1] * 3 + [0] * (BUILD_ORDER_LENGTH - 3)
    np.testing.assert_array_equal(encode_build_order([1] * 30), encode_build_order([1] * BUILD_ORDER_LENGTH))
    assert not encode_build_order([]).any()


@pytest.mark.parametrize("item", [-1, NUM_BUILD_ITEMS])
def test_items_that_are_none_are_refused(item: int) -> None:
    with pytest.raises(ValueError, match=f"got \\[3, {item}\\]"):
        encode_build_order([3, item])


def test_cumulative_statistics_are_flags_by_index() -> None:
    encoded = conditioning.encode_cumulative(Statistic(unit_types=(MARINE, MARINE), effects=(STORM,)))
    assert encoded.shape == (conditioning.CUMULATIVE_SIZE,)
    assert encoded.sum() == 2
    assert encoded[unit_type_index([MARINE])[0]] == 1


def test_parts_are_hidden_with_the_given_probabilities() -> None:
    statistic = Statistic((1,), (MARINE,), (STIMPACK,), (STORM,))
    generator = np.random.default_rng(0)
    draws = [
        conditioning.hide_parts(statistic, generator, build_order_probability=0.2, cumulative_probability=0.5)
        for _ in range(2000)
    ]
    assert np.mean([draw.build_order is None for draw in draws]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([draw.unit_types is None for draw in draws]) == pytest.approx(0.5, abs=0.04)
    both = np.mean([draw.unit_types is None and draw.build_order is None for draw in draws])
    assert both == pytest.approx(0.1, abs=0.03)
    assert all((draw.unit_types is None) == (draw.effects is None) == (draw.upgrades is None) for draw in draws)
    keep = conditioning.hide_parts(statistic, generator, build_order_probability=0.0, cumulative_probability=0.0)
    assert keep == statistic
