"""When a replay's player decided what: the actions that a game reports become decisions with delays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_DELAY = 128
MAX_REPEAT = 2
LATENCY_GAME_LOOPS = 1
"""An action is decided on what was to be seen this long before the game carried it out."""
MAX_LATENESS_GAME_LOOPS = 8


class TimedAction(NamedTuple):
    """An action `message` (sc_pb.Action) that the game carried out at `game_loop`."""

    game_loop: int
    message: Any


@dataclass(frozen=True)
class PlannedDecision:
    """One decision of a replay's player.

    Attributes:
        game_loop: when it is made.
        delay: game loops until the next one, 1 to 128.
        message: the sc_pb.Action, None for waiting.
        repeat: how many times more the same order is given.
    """

    game_loop: int
    delay: int
    message: Any | None
    repeat: int = 0


def plan_decisions(
    actions: Sequence[TimedAction],
    *,
    first_loop: int,
    last_loop: int,
    latency: int = LATENCY_GAME_LOOPS,
    max_delay: int = MAX_DELAY,
) -> tuple[list[PlannedDecision], Counter[str]]:
    """Return the decisions from `first_loop` to `last_loop`, and how many actions were left out, by reason.

    There is one decision at a time: of several actions at once each but the first is decided a loop later, and left
    out where that makes it more than `MAX_LATENESS_GAME_LOOPS` late. Equal orders without a target that follow each
    other at once are one that is repeated. Between decisions that lie more than `max_delay` apart, and before the
    first and after the last one, the player decides to wait.

    Args:
        actions: in the order in which they were carried out.
        first_loop: of the first observation.
        last_loop: of the last observation, where no decision is made any more.
    """
    left_out: Counter[str] = Counter()
    orders: list[tuple[int, Any | None, int]] = []
    for action, repeat in _merged(actions, left_out):
        wanted = max(first_loop, action.game_loop - latency)
        game_loop = max(wanted, orders[-1][0] + 1) if orders else wanted
        if game_loop - wanted > MAX_LATENESS_GAME_LOOPS:
            left_out["too many at once"] += 1
        elif game_loop >= last_loop:
            left_out["after the end"] += 1
        else:
            orders.append((game_loop, action.message, repeat))
    return _with_waiting(orders, first_loop, last_loop, max_delay), left_out


def is_order(message: Any) -> bool:
    """Return whether an action gives units an order or toggles an autocast."""
    raw = message.action_raw
    return bool(raw.HasField("unit_command") or raw.HasField("toggle_autocast"))


def _merged(actions: Sequence[TimedAction], left_out: Counter[str]) -> list[tuple[TimedAction, int]]:
    """Return the orders, each with how often it is repeated."""
    merged: list[tuple[TimedAction, int]] = []
    for action in actions:
        if not is_order(action.message):
            left_out["no order"] += 1
            continue
        if merged:
            before, repeat = merged[-1]
            if repeat < MAX_REPEAT and before.game_loop == action.game_loop and _repeats(before, action):
                merged[-1] = (before, repeat + 1)
                continue
        merged.append((action, 0))
    return merged


def _repeats(first: TimedAction, second: TimedAction) -> bool:
    before, after = first.message.action_raw, second.message.action_raw
    has_target = after.unit_command.WhichOneof("target") is not None
    return bool(before == after and after.HasField("unit_command") and not has_target)


def _with_waiting(
    orders: list[tuple[int, Any | None, int]], first_loop: int, last_loop: int, max_delay: int
) -> list[PlannedDecision]:
    entries: list[tuple[int, Any | None, int]] = []
    for order in [*orders, (last_loop, None, 0)]:
        if not entries and order[0] > first_loop and first_loop < last_loop:
            entries.append((first_loop, None, 0))
        while entries and order[0] - entries[-1][0] > max_delay:
            entries.append((entries[-1][0] + max_delay, None, 0))
        entries.append(order)
    ends = [entry[0] for entry in entries[1:]]
    return [
        PlannedDecision(game_loop=loop, delay=end - loop, message=message, repeat=repeat)
        for (loop, message, repeat), end in zip(entries[:-1], ends, strict=True)
    ]
