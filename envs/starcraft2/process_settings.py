"""How the game's program is started, watched and renewed, and which versions of it are accepted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.starcraft2.installation import game_directory
from envs.starcraft2.observation import layout_sha256
from envs.starcraft2.process import GameProcess
from envs.starcraft2.releases import find_release
from envs.starcraft2.version import GameVersion, VersionGuard


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """Care for the game's processes.

    Attributes:
        release: of the game, such as 4.10.0; None starts the newest installed build.
        expected_version: entries of `GameVersion.facts()` that the game must have, such as those of a checkpoint; None
            expects of all games what the first one has.
        allowed_versions: game or data versions to accept all the same; "any" accepts every one.
        episodes_per_process: episodes after which a game's process is started anew, before its memory grows too far.
        request_timeout_seconds: how long a game may take to answer before it is killed.
        start_timeout_seconds: how long it may take to start, and to load a map.
    """

    release: str | None = None
    expected_version: Mapping[str, Any] | None = None
    allowed_versions: tuple[str, ...] = ()
    episodes_per_process: int = 100
    request_timeout_seconds: float = 60.0
    start_timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("episodes_per_process", "request_timeout_seconds", "start_timeout_seconds"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")

    def starter(self, directory: Path) -> Callable[..., GameProcess]:
        """Return what starts a process of the game in `directory`, with other arguments of GameProcess if need be.

        Raises:
            UnknownNameError: if there is no such release.
            GameNotFoundError: if its build is not installed.
        """
        build, data_version = find_release(self.release, directory) if self.release is not None else (None, None)
        return functools.partial(
            GameProcess,
            directory,
            build=build,
            data_version=data_version,
            start_timeout_seconds=self.start_timeout_seconds,
            request_timeout_seconds=self.request_timeout_seconds,
        )

    def version_guard(self) -> VersionGuard:
        """Return what refuses games of another version."""
        return VersionGuard(self.expected_version, self.allowed_versions)


def game_version(settings: ProcessSettings = ProcessSettings()) -> dict[str, Any]:
    """Return what identifies the game that `settings` start: its version, and the hash of our layout.

    The game is started for it, asked, and ended.

    Raises:
        GameNotFoundError: if it is not installed.
        GameCrashedError: if it does not start.
        GameVersionError: if it is not the version that the settings expect.
    """
    process = settings.starter(game_directory())()
    try:
        version = GameVersion.of_ping(process.request("ping", lambda controller: controller.ping()))
    finally:
        process.close()
    settings.version_guard().check(version)
    return {**version.facts(), "layout_sha256": layout_sha256()}
