"""One running StarCraft II: started on a free port in a process group of its own, spoken to with time limits, killed.

On Linux the game dies with the process that started it, however that ends; elsewhere it is killed when that process
exits in an orderly way.
"""

from __future__ import annotations

import functools
import logging
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from envs.errors import GameStartError
from envs.starcraft2 import compatibility
from envs.starcraft2.connection import GameProtocol, GameWebSocket
from envs.starcraft2.faults import HANG, START, GameFaultError, faults_reported
from envs.starcraft2.installation import program_environment, program_path, working_directory
from envs.starcraft2.temporary_folders import TemporaryFolder

HOST = "127.0.0.1"
_LAUNCHER = Path(__file__).with_name("launcher.py")
# Where there is a screen; on Linux the game draws nothing unless it is asked to.
_SMALL_WINDOW = ["-displayMode", "0", "-windowwidth", "640", "-windowheight", "480", "-windowx", "50", "-windowy", "50"]
_LOG_TAIL_BYTES = 2000
_KILL_TIMEOUT_SECONDS = 10.0
_Answer = TypeVar("_Answer")

_logger = logging.getLogger(__name__)


class GameProcess:
    """A game's process and the connection to it.

    Args:
        directory: the game's folder.
        build: number of the build to start; None for the newest.
        data_version: of the rules' data, for an older release of the build; None for the build's own.
        start_timeout_seconds: how long the game may take to listen.
        request_timeout_seconds: how long it may take to answer a request that names no other limit.
        on_launch: is given this process before it is waited for, so that others can kill it.

    Raises:
        GameNotFoundError: if the build is not installed.
        GameStartError: if the program cannot be executed.
        GameFaultError: if it ends or does not listen in time.
    """

    def __init__(
        self,
        directory: Path,
        *,
        build: int | None = None,
        data_version: str | None = None,
        start_timeout_seconds: float = 120.0,
        request_timeout_seconds: float = 60.0,
        on_launch: Callable[[GameProcess], None] | None = None,
    ) -> None:
        program = program_path(directory, build)
        self._request_timeout_seconds = request_timeout_seconds
        self._folder = TemporaryFolder()
        self.port = free_ports(1)[0]
        command = [str(program), "-listen", HOST, "-port", str(self.port), "-dataDir", f"{directory}/"]
        command += ["-tempDir", f"{self._folder.path}/", *([] if platform.system() == "Linux" else _SMALL_WINDOW)]
        if data_version is not None:
            command += ["-dataVersion", data_version.upper()]
        try:
            self._process = _launch(command, directory, self._folder.path / "output.txt")
        except OSError as error:
            self._folder.remove()
            raise GameStartError(f"StarCraft II at {program} cannot be executed: {error}") from error
        # Also runs when Python exits, and when nothing refers to this any more.
        self._end = weakref.finalize(self, _kill_and_clean_up, self._process, self._folder, os.getpid())
        try:
            if on_launch is not None:
                on_launch(self)
            self.controller = self._connect(start_timeout_seconds)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the process group."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return _exit_status(self._process) is None

    def describe_end(self, timeout_seconds: float = 0.0) -> str | None:
        """Return how the process ended and its last words, waiting for that end; None if it still runs."""
        deadline = time.monotonic() + timeout_seconds
        while (status := _exit_status(self._process)) is None:
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.02)
        words = _tail(self._folder.path / "output.txt")
        return f"the process ended with {status}{f', saying: {words}' if words else ''}"

    def request(self, name: str, ask: Callable[[Any], _Answer], *, timeout_seconds: float | None = None) -> _Answer:
        """Return the game's answer to `ask(controller)`.

        Args:
            name: of the request, for messages.
            ask: calls one of the methods of pysc2's RemoteController.
            timeout_seconds: how long the game may take.

        Raises:
            GameFaultError: if the game does not answer in time, is gone, or answers nonsense.
        """
        with faults_reported(name, self):
            self.controller.set_timeout(timeout_seconds or self._request_timeout_seconds)
            return ask(self.controller)

    @property
    def last_answer(self) -> bytes:
        """The last Response, as it came."""
        answer: bytes = self.controller.last_answer
        return answer

    def kill(self) -> None:
        """End the whole process group at once and remove the game's temporary files; again has no effect."""
        connection = getattr(self, "controller", None)
        if connection is not None:
            connection.drop()
        self._end()

    def close(self, *, timeout_seconds: float = 3.0) -> None:
        """Ask the game to quit, and kill it if it does not."""
        if self._end.alive and self.is_running:
            try:
                with faults_reported("quit", self):
                    self.controller.set_timeout(timeout_seconds)
                    self.controller.quit()
                self.describe_end(timeout_seconds)
            except GameFaultError as error:
                _logger.debug("the game does not quit by itself: %s", error)
        self.kill()

    def _connect(self, timeout_seconds: float) -> Any:
        deadline = time.monotonic() + timeout_seconds
        with faults_reported("the first connection", self):
            try:
                controller = _Controller(self, deadline, self._request_timeout_seconds)
            except compatibility.remote_controller.ConnectError as error:
                raise GameFaultError(START, f"StarCraft II did not start: {error}") from error
        end = self.describe_end()
        if end:  # another game got the port first, and it was that one which answered
            controller.drop()
            raise GameFaultError(START, f"StarCraft II did not start: {end}")
        return controller


class _Controller(compatibility.remote_controller.RemoteController):  # type: ignore[misc]
    """pysc2's controller, with a time limit that can be set for each request and a connection that does not wait."""

    def __init__(self, process: GameProcess, deadline: float, timeout_seconds: float) -> None:
        self._deadline = deadline
        self._websocket: Any = None
        super().__init__(HOST, process.port, process, timeout_seconds=timeout_seconds)
        connection: Any = self._websocket
        self._client = GameProtocol(connection, self.status)

    def _connect(self, host: str, port: int, proc: GameProcess, timeout_seconds: float) -> Any:
        url = f"ws://{host}:{port}/sc2api"
        while True:
            end = proc.describe_end()
            if end:
                raise compatibility.remote_controller.ConnectError(end)
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise GameFaultError(HANG, f"StarCraft II does not listen on port {port} in time")
            try:
                options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
                self._websocket = compatibility.websocket.create_connection(
                    url, timeout=min(left, timeout_seconds), sockopt=options, class_=GameWebSocket
                )
                return self._websocket
            except (ConnectionError, compatibility.websocket.WebSocketBadStatusException):
                time.sleep(0.05)  # it does not listen yet, or has not opened the address /sc2api

    def set_timeout(self, seconds: float) -> None:
        """Limit how long each following request may take."""
        self._websocket.settimeout(seconds)

    @property
    def last_answer(self) -> bytes:
        """The last Response, as it came."""
        answer: bytes = self._websocket.last_answer
        return answer

    def drop(self) -> None:
        """Close the connection without a word."""
        if self._websocket is not None:
            self._websocket.shutdown()


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nothing listens on now."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _launch(command: list[str], directory: Path, output: Path) -> subprocess.Popen[bytes]:
    on_linux = platform.system() == "Linux"
    if on_linux:
        command = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *command]
    with output.open("wb") as file:

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command,
                cwd=working_directory(directory),
                env=program_environment(directory),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=os.name == "posix",
            )

        # Linux counts the death of the thread that started a process as that of its parent.
        return _launching_thread(os.getpid()).submit(start).result() if on_linux else start()


@functools.lru_cache(maxsize=1)
def _launching_thread(process_id: int) -> ThreadPoolExecutor:
    """Return a thread that lives as long as this process; a forked process makes its own."""
    return ThreadPoolExecutor(1, thread_name_prefix="starcraft2-launcher")


def _kill_and_clean_up(process: subprocess.Popen[bytes], folder: TemporaryFolder, owner: int) -> None:
    if os.getpid() != owner:
        return  # a copy in a forked process, whose game this is not
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # it has ended; macOS permits no signal to a process that was not waited for yet
    process.wait(_KILL_TIMEOUT_SECONDS)
    folder.remove()


def _exit_status(process: subprocess.Popen[bytes]) -> str | None:
    """Return how a process ended, None if it has not."""
    if process.returncode is None and hasattr(os, "waitid"):
        # Not waited for before its group is killed: until then the system gives its id to no other process.
        try:
            end = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # another thread kills it, and has this moment waited for its end
            return "a status that was already taken"
        return None if end is None else f"status or signal {end.si_status}"
    code = process.poll()
    return None if code is None else f"status {code}"


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
    except OSError:
        return ""
