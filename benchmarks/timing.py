"""Times functions side by side, so that what else the machine does falls on all of them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping

Times = dict[str, list[float]]
_SHORTEST_SECONDS = 0.005


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    least_rounds: int = 3,
    most_rounds: int = 25,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Return the seconds that each function takes, one figure for each round; a round runs all in random order.

    Args:
        functions: by name; called twice before they are timed.
        seconds: no round begins after this, once there are enough.
        least_rounds: rounds at least.
        most_rounds: rounds at most.
        clock: `time.process_time` tells what our own work takes, however busy the machine is.
    """
    repeats = {}
    for name, function in functions.items():
        function()
        start = clock()
        function()
        repeats[name] = max(1, round(_SHORTEST_SECONDS / max(clock() - start, 1e-9)))
    times: Times = {name: [] for name in functions}
    order, generator = list(functions), random.Random(0)
    begin = time.perf_counter()
    for round_ in range(most_rounds):
        if round_ >= least_rounds and time.perf_counter() - begin > seconds:
            break
        generator.shuffle(order)
        for name in order:
            start = clock()
            for _ in range(repeats[name]):
                functions[name]()
            times[name].append((clock() - start) / repeats[name])
    return times


def ratio(times: Times, slower: str, faster: str) -> float:
    """Return how many times longer one takes than the other: the median over the rounds, each compared with itself."""
    return statistics.median(a / b for a, b in zip(times[slower], times[faster], strict=True))


def medians(times: Times) -> dict[str, float]:
    """Return the median of each."""
    return {name: statistics.median(values) for name, values in times.items()}
