"""Steps are timed, and nothing else is changed."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.training.scripted import CountingEnvironment
from training.step_timer import StepTimer


class SlowEnvironment(CountingEnvironment):
    def step(self, actions: np.ndarray) -> tuple[object, ...]:  # type: ignore[override,type-arg]
        time.sleep(0.01)
        return super().step(actions)


def test_the_mean_is_that_of_the_steps_since_the_last_question() -> None:
    timer = StepTimer(SlowEnvironment((50, 50), (True, True)))
    assert timer.take_milliseconds() == 0.0
    timer.reset(seed=0)
    for _ in range(3):
        timer.step(np.zeros(2, np.int64))
    assert 10 <= timer.take_milliseconds() < 200
    assert timer.take_milliseconds() == 0.0


def test_it_is_the_environment_inside() -> None:
    inside, alone = CountingEnvironment((2, 3), (True, False)), CountingEnvironment((2, 3), (True, False))
    timer = StepTimer(inside)
    assert (timer.num_envs, timer.reward_term_names) == (2, ("one", "ten"))
    assert timer.single_action_space == alone.single_action_space
    np.testing.assert_array_equal(timer.reset(seed=1)[0]["scalars"], alone.reset(seed=1)[0]["scalars"])
    for _ in range(3):
        first, second = timer.step(np.zeros(2, np.int64)), alone.step(np.zeros(2, np.int64))
        np.testing.assert_array_equal(first[0]["scalars"], second[0]["scalars"])
        for index in (1, 2, 3):
            np.testing.assert_array_equal(first[index], second[index])
        assert first[4].keys() == second[4].keys()
    mask = np.array([True, True])
    timer.reset(options={"reset_mask": mask})
    assert inside._episode.tolist() == pytest.approx([1, 1])
