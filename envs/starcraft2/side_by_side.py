"""Tasks of several games, done side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

_END_SECONDS = 10.0  # for tasks that are interrupted
Task = Callable[[], None]


class SideBySide:
    """Does tasks at the same time: in the thread that asks for them, and in threads of its own.

    Args:
        num_threads: tasks that are done at the same time, the asking thread's included.
    """

    def __init__(self, num_threads: int) -> None:
        self._num_threads = num_threads
        self._threads: ThreadPoolExecutor | None = None
        if num_threads > 1:
            self._threads = ThreadPoolExecutor(num_threads - 1, thread_name_prefix="starcraft2-game")

    def run(self, tasks: Sequence[Task], *, interrupt: Task) -> None:
        """Do the tasks, wait for all of them, and raise the error of the first that failed.

        Args:
            interrupt: ends what tasks wait for, where Ctrl-C comes before all are done.
        """
        left, errors = deque(enumerate(tasks)), dict[int, Exception]()

        def work() -> None:
            while True:
                try:
                    index, task = left.popleft()
                except IndexError:
                    return
                try:
                    task()
                except Exception as error:  # noqa: BLE001  # raised below, when all are done
                    errors[index] = error

        helpers: list[Future[None]] = []
        try:
            helpers += self._start(work, min(self._num_threads, len(tasks)) - 1)
            work()
            wait(helpers)
        except BaseException:  # Ctrl-C does not wait for a game that hangs
            left.clear()
            interrupt()
            wait(helpers, _END_SECONDS)
            raise
        for helper in helpers:
            helper.result()
        if errors:
            raise errors[min(errors)]

    def _start(self, work: Task, count: int) -> list[Future[None]]:
        return [self._threads.submit(work) for _ in range(count)] if self._threads is not None else []

    def close(self) -> None:
        """Let go of the threads once they are done."""
        if self._threads is not None:
            self._threads.shutdown()
