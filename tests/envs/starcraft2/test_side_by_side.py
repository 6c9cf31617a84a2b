from __future__ import annotations

import threading
import time

import pytest

from envs.starcraft2.side_by_side import SideBySide


def nothing() -> None:
    pass


@pytest.mark.parametrize(("num_threads", "num_tasks"), [(1, 3), (2, 5), (4, 4), (4, 2), (3, 0)])
def test_all_tasks_are_done_as_many_at_once_as_allowed(num_threads: int, num_tasks: int) -> None:
    together, most, done = [0], [0], []
    lock, meeting = threading.Lock(), threading.Barrier(max(1, min(num_threads, num_tasks)))

    def task(number: int) -> None:
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
        if number < meeting.parties:
            meeting.wait(10)
        with lock:
            together[0] -= 1
            done.append(number)

    tasks = SideBySide(num_threads)
    tasks.run([lambda number=number: task(number) for number in range(num_tasks)], interrupt=nothing)
    tasks.close()
    assert sorted(done) == list(range(num_tasks))
    assert most[0] == min(num_threads, num_tasks)


@pytest.mark.parametrize("num_threads", [1, 3])
def test_the_first_error_is_raised_when_all_are_done(num_threads: int) -> None:
    done = []

    def fail(name: str, seconds: float) -> None:
        time.sleep(seconds)
        raise ValueError(name)

    tasks = SideBySide(num_threads)
    with pytest.raises(ValueError, match="first"):
        tasks.run([lambda: fail("first", 0.1), lambda: fail("second", 0), lambda: done.append(True)], interrupt=nothing)
    tasks.close()
    assert done == [True]


@pytest.mark.parametrize("num_threads", [1, 2])
def test_an_interruption_ends_what_is_waited_for(num_threads: int) -> None:
    ended, begun = threading.Event(), []

    def interrupted() -> None:
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        ended.wait(10)

    tasks = SideBySide(num_threads)
    with pytest.raises(KeyboardInterrupt):
        tasks.run([interrupted] * num_threads + [lambda: begun.append(True)], interrupt=ended.set)
    tasks.close()
    assert ended.is_set()
    assert not begun
