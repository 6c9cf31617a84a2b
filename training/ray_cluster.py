"""A Ray of our own for one run: on the loopback address, behind a token, and gone without a trace afterwards.

Ray offers no public way to keep to the loopback address: `_node_ip_address="127.0.0.1"` is replaced by the host's
address on Linux, other addresses of the loopback network make it listen everywhere all the same, and so every port is
open to the network. But Ray does stay on 127.0.0.1 where it does not support clusters (Windows and macOS), and a
variable tells it to do the same here. Ray reads such variables while it is imported, and so they are set before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import psutil

_CLUSTER_VARIABLE = "RAY_ADDRESS"
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to Ray's makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # actors keep CUDA_VISIBLE_DEVICES as it is
    "RAY_worker_niceness": "0",  # beside other work, actors would get next to nothing and the learner wait for them
}
_LOCAL_SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}


def _cluster_address() -> str | None:
    """Return the address of the cluster to join, None to start a Ray of our own."""
    address = os.environ.get(_CLUSTER_VARIABLE)
    return None if address in (None, "", "local") else address


if "ray" not in sys.modules:
    _settings = _SETTINGS if _cluster_address() else _SETTINGS | _LOCAL_SETTINGS
    os.environ.update({name: value for name, value in _settings.items() if name not in os.environ})
    if _settings.get("RAY_AUTH_MODE") == os.environ.get("RAY_AUTH_MODE") == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
import ray  # noqa: E402

from training.signal_handlers import handlers_kept  # noqa: E402
from training.sources import ActorError  # noqa: E402

__all__ = ["check_address", "kill_actors", "ray", "start_ray", "stop_ray"]

_CONNECT_SECONDS = 10.0
OBJECT_STORE_BYTES = 512 * 2**20
END_SECONDS = 5.0
"""How long an actor may take to end before a signal ends its process."""
_FOLDER_PREFIX = "perceiver-star-ray-"
_LOCK_FILE = "in-use"
# A socket's path has 107 bytes at most; Ray's sessions and our folder take 94 of them.
_LONGEST_PARENT = 13
_open_locks: list[IO[bytes]] = []


def start_ray(num_actors: int) -> None:
    """Start a local Ray with room for this many actors, or join the cluster that RAY_ADDRESS names.

    The local one listens on the loopback address only, accepts only callers with a token that this process has drawn,
    holds 512 MiB of objects, and keeps its files in a temporary folder which `stop_ray` removes; those of processes
    that were killed are removed at the next start. Where Ray was imported before this module, it keeps its own ways of
    listening and of authentication. Once connected, do nothing.

    Raises:
        ActorError: if the cluster does not answer.
    """
    if ray.is_initialized():
        return
    address = _cluster_address()
    if address:
        check_address(address)
    with handlers_kept(), _interruptible():  # Ray sets its own when it starts, and none when it ends
        if address:
            ray.init(log_to_driver=False, configure_logging=False)
            return
        ray.init(
            address="local",
            num_cpus=num_actors,
            num_gpus=0,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(_new_folder()),
        )


def check_address(address: str) -> None:
    """Check that something answers at the address of a cluster, because Ray itself would try for a quarter of an hour.

    Raises:
        ActorError: if it is none, or nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdecimal():
        raise ActorError(f"RAY_ADDRESS is {address!r}, expected HOST:PORT, ray://HOST:PORT or auto; unset it for none")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise ActorError(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({error}): start it, or unset the variable to play on "
            "this machine"
        ) from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the exit by which Ray's own handler answers SIGTERM while it starts into an interruption."""
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error


def stop_ray() -> None:
    """Disconnect; end a local Ray with all its processes and remove its files.

    Where it is not called because this process was killed, the actors and their games go at once, and the last two idle
    helpers of Ray within a minute.
    """
    with handlers_kept():
        ray.shutdown()
    while _open_locks:
        lock = _open_locks.pop()
        shutil.rmtree(Path(lock.name).parent, ignore_errors=True)
        lock.close()


def kill_actors(actors: Iterable[tuple[Any, int | None]]) -> None:
    """End actors; on this machine by a signal too if need be, as a process that hangs may not hear Ray.

    The signal comes only after a while: a process that ends otherwise than Ray told it to is reported as lost.

    Args:
        actors: the handle of each, and the id of its process where it has started.
    """
    processes = []
    for actor, process_id in actors:
        with contextlib.suppress(ray.exceptions.RayError):  # it has ended with Ray
            ray.kill(actor)
        if process_id is not None and not _cluster_address():
            with contextlib.suppress(psutil.Error):
                processes.append(psutil.Process(process_id))
    _, left = psutil.wait_procs([each for each in processes if _is_actor(each)], timeout=END_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _is_actor(process: psutil.Process) -> bool:
    """Return whether a process is one of Ray's, and not another to which its id was given since."""
    try:
        return bool(process.name().startswith("ray::"))
    except psutil.Error:
        return False


def _new_folder() -> Path:
    """Return a new folder that is marked as in use as long as this process lives, and remove those that are not."""
    parent = _folder_for_sockets()
    for folder in parent.glob(f"{_FOLDER_PREFIX}*"):
        _remove_if_unused(folder)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=parent))
    lock = (folder / _LOCK_FILE).open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _open_locks.append(lock)
    return folder


def _folder_for_sockets() -> Path:
    """Return the folder of temporary files, or /tmp where its name is too long for the sockets that Ray makes in it."""
    usual, short = Path(tempfile.gettempdir()), Path("/tmp")
    return usual if len(str(usual)) <= _LONGEST_PARENT or not os.access(short, os.W_OK) else short


def _remove_if_unused(folder: Path) -> None:
    try:
        with (folder / _LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # in use, another user's, or being made at this moment
        return
