"""Actions of a replay become decisions: when, with which delay, repeated how often, and what is left out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.replay_plan import MAX_DELAY, PlannedDecision, TimedAction, plan_decisions


def order(game_loop: int, ability: int = 3665, *, target: int | None = None, tag: int = 7) -> TimedAction:
    message = sc_pb.Action()
    command = message.action_raw.unit_command
    command.ability_id = ability
    command.unit_tags.append(tag)
    if target is not None:
        command.target_unit_tag = target
    return TimedAction(game_loop, message)


def camera(game_loop: int) -> TimedAction:
    message = sc_pb.Action()
    message.action_raw.camera_move.center_world_space.x = 3
    return TimedAction(game_loop, message)


def brief(plan: list[PlannedDecision]) -> list[tuple[int, int, int]]:
    """Return game loop, delay and ability (0 for waiting) of each decision."""
    return [
        (each.game_loop, each.delay, each.message.action_raw.unit_command.ability_id if each.message else 0)
        for each in plan
    ]


def test_decisions_are_made_just_before_and_last_until_the_next() -> None:
    plan, left_out = plan_decisions([order(11, 1), order(31, 2)], first_loop=0, last_loop=40)
    assert brief(plan) == [(0, 10, 0), (10, 20, 1), (30, 10, 2)]
    assert not left_out


def test_an_order_at_once_needs_no_waiting_before_it() -> None:
    plan, _ = plan_decisions([order(1, 1)], first_loop=0, last_loop=5)
    assert brief(plan) == [(0, 5, 1)]
    assert brief(plan_decisions([order(6, 1)], first_loop=0, last_loop=9, latency=2)[0]) == [(0, 4, 0), (4, 5, 1)]


def test_long_pauses_are_decisions_to_wait() -> None:
    plan, _ = plan_decisions([order(301, 1)], first_loop=0, last_loop=500)
    assert brief(plan) == [(0, 128, 0), (128, 128, 0), (256, 44, 0), (300, 128, 1), (428, 72, 0)]


def test_a_game_without_orders_is_waited_through() -> None:
    assert brief(plan_decisions([], first_loop=0, last_loop=200)[0]) == [(0, 128, 0), (128, 72, 0)]
    assert plan_decisions([], first_loop=5, last_loop=5)[0] == []


def test_orders_at_once_are_decided_one_after_the_other() -> None:
    actions = [order(11, ability) for ability in range(1, 13)]
    plan, left_out = plan_decisions(actions, first_loop=0, last_loop=60)
    assert brief(plan)[1:] == [(9 + ability, 1 if ability < 9 else 42, ability) for ability in range(1, 10)]
    assert left_out == {"too many at once": 3}


def test_equal_orders_at_once_are_repeated() -> None:
    plan, left_out = plan_decisions([order(11, 1343)] * 4 + [order(12, 1343)], first_loop=0, last_loop=60)
    assert [(each.game_loop, each.repeat) for each in plan] == [(0, 0), (10, 2), (11, 0), (12, 0)]
    assert not left_out
    targeted, _ = plan_decisions([order(11, 3674, target=5)] * 2, first_loop=10, last_loop=60)
    assert [each.repeat for each in targeted] == [0, 0], "orders with a target are never repeated"
    others, _ = plan_decisions([order(11, tag=1), order(11, tag=2)], first_loop=10, last_loop=60)
    assert [each.repeat for each in others] == [0, 0]


def test_what_is_no_order_or_too_late_is_counted() -> None:
    actions = [camera(5), TimedAction(6, sc_pb.Action()), order(90, 1)]
    plan, left_out = plan_decisions(actions, first_loop=0, last_loop=50)
    assert brief(plan) == [(0, 50, 0)]
    assert left_out == {"no order": 2, "after the end": 1}


def test_plans_cover_the_game_without_a_gap() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        first, last = int(generator.integers(0, 30)), int(generator.integers(30, 900))
        loops = np.sort(generator.integers(0, 950, int(generator.integers(0, 40)))).tolist()
        actions: list[Any] = [order(loop, index + 1) for index, loop in enumerate(loops)]
        plan, left_out = plan_decisions(actions, first_loop=first, last_loop=last)
        assert plan[0].game_loop == first
        for decision, following in itertools.pairwise(plan):
            assert decision.game_loop + decision.delay == following.game_loop
        assert plan[-1].game_loop + plan[-1].delay == last
        assert all(1 <= decision.delay <= MAX_DELAY for decision in plan)
        planned = [decision.message.action_raw.unit_command.ability_id for decision in plan if decision.message]
        assert planned == sorted(planned)
        assert len(planned) + sum(left_out.values()) == len(actions)
