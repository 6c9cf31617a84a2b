"""Jobs are run in processes that are replaced when they die and always end."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from training import workers
from training.workers import WorkerError, run_jobs

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True)
class Add:
    number: int

    def run(self, context: Any) -> tuple[int, int]:
        return context + self.number, os.getpid()


@dataclass(frozen=True)
class Die:
    """Is killed as often as `path` allows, then returns."""

    path: Path
    deaths: int

    def run(self, context: Any) -> str:
        with self.path.open("a") as file:
            file.write("x")
        if len(self.path.read_text()) <= self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return "alive"


@dataclass(frozen=True)
class BlockedSignals:
    def run(self, context: Any) -> set[int]:
        time.sleep(0.5)  # so that the other job falls to the other process
        return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


@dataclass(frozen=True)
class Hang:
    path: Path

    def run(self, context: Any) -> None:
        self.path.write_text(str(os.getpid()))
        time.sleep(1000)


@dataclass(frozen=True)
class Fail:
    error: Exception

    def run(self, context: Any) -> None:
        raise self.error


class UnportableError(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


@dataclass(frozen=True)
class FailUnportably:
    def run(self, context: Any) -> None:
        raise UnportableError(1, 2)


@dataclass(frozen=True)
class CountThreads:
    def run(self, context: Any) -> int:
        import torch

        return torch.get_num_threads()


def die_at_start(connection: Any) -> None:
    os._exit(1)


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_every_job_is_run_once_on_all_processes() -> None:
    results = dict(run_jobs(100, [Add(number) for number in range(6)], num_workers=2))
    assert {index: value for index, (value, _) in results.items()} == {index: 100 + index for index in range(6)}
    assert os.getpid() not in {pid for _, pid in results.values()}
    assert children() == []


def test_no_process_hears_the_signals_of_its_group() -> None:
    blocked = dict(run_jobs(0, [BlockedSignals(), BlockedSignals()], num_workers=2))
    assert all({signal.SIGINT, signal.SIGTERM} <= signals for signals in blocked.values())


def test_processes_do_not_fight_for_cores() -> None:
    assert list(run_jobs(0, [CountThreads()])) == [(0, 1)]


def test_a_job_whose_process_dies_is_run_again_but_not_for_ever(tmp_path: Path) -> None:
    jobs = [Die(tmp_path / "twice", 2), Add(1)]
    results = dict(run_jobs(0, jobs, num_workers=1))
    assert results[0] == "alive"
    with pytest.raises(WorkerError, match="a process died 3 times while it ran Die"):
        list(run_jobs(0, [Die(tmp_path / "always", 99)]))
    assert children() == []


def test_processes_that_die_before_they_hear_of_their_work_are_not_started_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What every job is run with is more than a pipe holds: sending it fails."""
    monkeypatch.setattr(workers, "_work", die_at_start)
    with pytest.raises(WorkerError, match="a process died 3 times while it ran Add"):
        list(run_jobs(bytes(2**22), [Add(1)]))


def test_a_process_that_hangs_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"took more than 8 s 3 times while it ran Hang"):
        list(run_jobs(0, [Hang(tmp_path / "pid")], job_timeout_seconds=8.0))
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert children() == []


def test_there_must_be_somebody_to_work() -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got -1"):
        list(run_jobs(0, [Fail(KeyError())], num_workers=-1))


def test_errors_of_jobs_come_back_as_they_were() -> None:
    with pytest.raises(KeyError, match="scalars"):
        list(run_jobs(0, [Fail(KeyError("scalars"))]))
    with pytest.raises(WorkerError, match="UnportableError: 1 and 2"):
        list(run_jobs(0, [FailUnportably()]))
    assert children() == []


def test_a_stop_ends_all_processes_in_the_middle_of_their_work(tmp_path: Path) -> None:
    stop = threading.Event()
    pid_file = tmp_path / "pid"

    def stop_once_it_runs() -> None:
        while not (pid_file.exists() and pid_file.read_text()):
            time.sleep(0.05)
        stop.set()

    waiting = threading.Thread(target=stop_once_it_runs)
    waiting.start()
    assert list(run_jobs(0, [Hang(pid_file)], stop=stop)) == []
    waiting.join()
    assert not psutil.pid_exists(int(pid_file.read_text()))


def test_processes_end_when_the_caller_turns_away(tmp_path: Path) -> None:
    results = run_jobs(0, [Add(1), Hang(tmp_path / "pid")], num_workers=2)
    assert next(results)[0] == 0
    results.close()
    assert children() == []
