"""Where Ray's files go, and how its actors end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from training.sources import ActorError

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


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", "expected HOST:PORT"),
        ("127.0.0.1:{port}", "no Ray cluster answers at"),
        ("head..local:1", "no Ray cluster answers at"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ray_cluster.check_address(f"ray://127.0.0.1:{port}")
    monkeypatch.setenv("RAY_ADDRESS", address.format(port=port))
    with pytest.raises(ActorError, match=message):
        ray_cluster.start_ray(1)
    assert not ray_cluster.ray.is_initialized()


def test_a_signal_while_ray_starts_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    def exit_as_rays_handler_does(**settings: object) -> None:
        raise SystemExit(15)

    monkeypatch.setattr(ray_cluster.ray, "init", exit_as_rays_handler_does)
    with pytest.raises(KeyboardInterrupt):
        ray_cluster.start_ray(1)
    ray_cluster.stop_ray()


@pytest.mark.parametrize("address", ["", "local"])
def test_an_address_of_no_cluster_is_none(address: str) -> None:
    """Settings for a cluster would open a local Ray to the network."""
    code = "import os; from training import ray_cluster; print(os.environ['RAY_AUTH_MODE'])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "RAY_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert found.stdout == "token\n"
