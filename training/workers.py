"""Processes that run jobs, one for each core: matches, recordings, trainings. They end with what started them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

_POLL_SECONDS = 0.5
_MOST_ATTEMPTS = 3


class WorkerError(RuntimeError):
    """A job could not be finished: its process died, hung or raised an error that can't be passed on."""


class Job(Protocol):
    """A piece of work; it passes process borders."""

    def run(self, context: Any) -> Any:
        """Do the work and return its result."""
        ...


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: int | None = None
    deadline: float = float("inf")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def timeout_seconds(game_steps: int) -> float:
    """Return how long a job of so many game steps may take: each of two AIs may search for a tenth of a second."""
    return 600 + 0.25 * game_steps


def run_jobs(
    context: Any,
    jobs: Sequence[Job],
    *,
    num_workers: int | None = None,
    job_timeout_seconds: float = 3600.0,
    stop: threading.Event | None = None,
) -> Iterator[tuple[int, Any]]:
    """Run jobs in processes of their own and yield the index and result of each as it is finished.

    A job whose process dies (out of memory, `kill -9`) or takes too long is given to a new process, twice at most.

    Args:
        context: what every job is run with; sent to each process once.
        jobs: the work.
        num_workers: processes; one for each usable core by default, never more than jobs.
        job_timeout_seconds: after which a process counts as hanging.
        stop: once set, the processes are ended and nothing more is yielded.

    Raises:
        ValueError: if there are no processes to run them.
        WorkerError: if a job failed three times.
        Exception: what a job raised, as it raised it.
    """
    if num_workers is not None and num_workers < 1:
        raise ValueError(f"workers must be at least 1, got {num_workers}")
    num_workers = min(num_workers or usable_cores(), len(jobs))
    pool = _Pool(context, jobs, job_timeout_seconds)
    try:
        for _ in range(num_workers):
            pool.start_worker()
        while pool.unfinished and not (stop and stop.is_set()):
            yield from pool.poll()
    finally:
        pool.close()


class _Pool:
    def __init__(self, context: Any, jobs: Sequence[Job], job_timeout_seconds: float) -> None:
        self._context, self._jobs, self._timeout = context, jobs, job_timeout_seconds
        self._waiting = deque(range(len(jobs)))
        self._attempts = [0] * len(jobs)
        self._workers: list[_Worker] = []
        self.unfinished = len(jobs)

    def start_worker(self) -> None:
        """Start a process and give it the context and a job."""
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_work, args=(theirs,), daemon=True, name="worker")
        resource_tracker.ensure_running()  # or starting the first process would start it, and unblock the signals
        with _signals_blocked():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        self._choose_job(worker)
        with contextlib.suppress(OSError):  # it has died already, which the next poll sees
            ours.send(self._context)
            self._send_job(worker)

    def poll(self) -> Iterator[tuple[int, Any]]:
        """Wait for a moment; yield what was finished, and replace what has died or hangs."""
        ready = wait([worker.connection for worker in self._workers], timeout=_POLL_SECONDS)
        for worker in list(self._workers):
            if worker.connection in ready:
                try:
                    result, error = worker.connection.recv()
                except (EOFError, OSError):
                    self._replace(worker, "died")
                    continue
                if error is not None:
                    raise error
                assert worker.job is not None
                index, self.unfinished = worker.job, self.unfinished - 1
                self._choose_job(worker)
                try:
                    self._send_job(worker)
                except OSError:
                    self._replace(worker, "died")
                yield index, result
            elif time.monotonic() > worker.deadline:
                self._replace(worker, f"took more than {self._timeout:.0f} s")

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _choose_job(self, worker: _Worker) -> None:
        """Give a process its next job before anything is sent, so that its death counts as an attempt whenever."""
        worker.job, worker.deadline = None, float("inf")
        if self._waiting:
            worker.job = self._waiting.popleft()
            worker.deadline = time.monotonic() + self._timeout

    def _send_job(self, worker: _Worker) -> None:
        if worker.job is not None:
            worker.connection.send(self._jobs[worker.job])

    def _replace(self, worker: _Worker, what: str) -> None:
        worker.process.kill()
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        if worker.job is not None:
            self._attempts[worker.job] += 1
            if self._attempts[worker.job] >= _MOST_ATTEMPTS:
                raise WorkerError(f"a process {what} {_MOST_ATTEMPTS} times while it ran {self._jobs[worker.job]}")
            self._waiting.appendleft(worker.job)
        if self._waiting:
            self.start_worker()


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Start processes deaf to Ctrl-C and SIGTERM, which the whole process group may get: their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection) -> None:
    """Run jobs until the parent is gone."""
    end_with_parent()
    _use_one_thread()
    with contextlib.suppress(EOFError, OSError):  # the parent has closed its end
        context = connection.recv()
        while True:
            connection.send(_answer(connection.recv(), context))


def _answer(job: Job, context: Any) -> tuple[Any, Exception | None]:
    """Return the job's result, or the error that it raised."""
    try:
        return job.run(context), None
    except Exception as error:  # noqa: BLE001  # raised again in the parent
        return None, _portable(error)


def _use_one_thread() -> None:
    """Keep torch to one thread; it is not imported for that, as not every job needs it."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def end_with_parent() -> None:
    """End this process, started by `multiprocessing`, as soon as its parent is gone, however that ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _portable(error: Exception) -> Exception:
    """Return the error, or one that says the same where it can't pass process borders."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    except Exception:  # noqa: BLE001  # whatever its class makes of it
        return WorkerError("".join(traceback.format_exception(error)))
    return error
