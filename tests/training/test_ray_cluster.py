"""Where Ray's files go, and how its actors end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

ray_cluster = pytest.importorskip("training.ray_cluster")


def test_sockets_find_room_where_temporary_files_lie_deep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert ray_cluster._folder_for_sockets() == Path("/tmp")
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert ray_cluster._folder_for_sockets() == Path("/tmp")
    monkeypatch.setattr(tempfile, "tempdir", "/scratch")
    assert ray_cluster._folder_for_sockets() == Path("/scratch")


ENDING = """
import os, signal, time
from training import ray_cluster
from training.ray_cluster import kill_actors, ray, start_ray, stop_ray

class Busy:
    def process_id(self):
        return os.getpid()

    def work(self):
        time.sleep(600)

ray_cluster.END_SECONDS = 1.0 if {hangs} else 60.0
start_ray(1)
try:
    actor = ray.remote(num_cpus=1, max_restarts=0)(Busy).remote()
    process_id = ray.get(actor.process_id.remote())
    work = actor.work.remote()
    if {hangs}:
        os.kill(process_id, signal.SIGSTOP)
    kill_actors([(actor, process_id)])
    time.sleep(2)  # until Ray has told of a lost process
    print(process_id)
finally:
    stop_ray()
"""


@pytest.mark.parametrize("hangs", [False, True])
def test_an_actor_ends_as_ray_expects_it_or_at_last_by_a_signal(hangs: bool) -> None:
    command = [sys.executable, "-c", ENDING.format(hangs=hangs)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    words = ended.stdout.split()
    assert not psutil.pid_exists(int(words[-1]))
    if not hangs:
        assert len(words) == 1, "nobody is told of a worker that died"
        assert "died" not in ended.stderr
