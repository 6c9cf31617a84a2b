"""The line says what happened since the run, or its resumption, began."""

from __future__ import annotations

import dataclasses
import math

import pytest

from training.loop import Progress, Update
from training.progress_line import ProgressLine, clock
from training.recipes import get_recipe

CONFIG = dataclasses.replace(get_recipe("tiny"), total_steps=10_000, max_minutes=None)
METRICS = {"rollout/policy_lag": 1.25, "charts/win_rate/WorkerRush": 0.125, "charts/win_rate/CoacAI": 1.0}


def test_steps_speed_lag_wins_and_time_left() -> None:
    line = ProgressLine(CONFIG, Progress())
    text = line.text(Update(Progress(game_steps=2_500, seconds=10.0), METRICS))
    assert text == "2,500 steps | 250 steps/s | lag 1.2 | wins CoacAI 100 %, WorkerRush 12 % | 0:30 left"


def test_a_resumed_run_tells_its_own_speed() -> None:
    line = ProgressLine(CONFIG, Progress(game_steps=5_000, seconds=1_000.0))
    text = line.text(Update(Progress(game_steps=6_000, seconds=1_010.0), {}))
    assert text == "6,000 steps | 100 steps/s | lag 0.0 | wins none yet | 0:40 left"


def test_speed_is_that_of_the_last_seconds() -> None:
    line = ProgressLine(CONFIG, Progress())
    for second in range(1, 41):
        text = line.text(
            Update(Progress(game_steps=10 * second if second <= 20 else 200 + 50 * (second - 20), seconds=second), {})
        )
    assert "| 50 steps/s |" in text


def test_the_clock_decides_where_it_ends_the_run() -> None:
    timed = dataclasses.replace(CONFIG, total_steps=10**9, max_minutes=2.0)
    text = ProgressLine(timed, Progress()).text(Update(Progress(game_steps=100, seconds=30.0), {}))
    assert text.endswith("| 1:30 left")


@pytest.mark.parametrize("recipe", ["gymnasium", "starcraft2_minigame"])
def test_environments_without_opponents_show_returns(recipe: str) -> None:
    config = get_recipe(recipe)
    line = ProgressLine(config, Progress())
    text = line.text(Update(Progress(game_steps=1, seconds=1.0), {"charts/episodic_return": 12.34}))
    assert "return 12.3" in text
    assert "wins" not in text


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0.4, 59.6, 3600, 3725)] == ["0:00", "1:00", "1:00:00", "1:02:05"]
    assert clock(math.inf) == "?"
