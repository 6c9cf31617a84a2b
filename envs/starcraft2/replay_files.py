"""What a .SC2Replay file tells without the game: its version, its players, and the events that its tracker wrote."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from envs.errors import GameNotFoundError

_INSTALL = "Install it with: pip install 'perceiver-star[starcraft2]'"
_METADATA = "replay.gamemetadata.json"
_RACES = {"prot": "protoss", "terr": "terran", "zerg": "zerg"}


class ReplayError(ValueError):
    """A replay that cannot be used.

    Attributes:
        reason: a short phrase to count by.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


@dataclass(frozen=True)
class ReplayPlayer:
    """A player of a replay.

    Attributes:
        player_id: 1 or 2.
        race: the race it played, "terran", "zerg" or "protoss".
        won: whether it won, None where the replay does not tell.
        mmr: its rating, 0 where the replay does not tell.
        actions_per_minute: as the game counts them.
    """

    player_id: int
    race: str
    won: bool | None
    mmr: int
    actions_per_minute: float


@dataclass(frozen=True)
class ReplayHeader:
    """What a replay says of itself.

    Attributes:
        game_version: release and build, such as 4.10.0.75689.
        base_build: number of the build that can play it.
        data_version: hash of the rules' data, "" where the replay does not tell.
        map_name: title of the map.
        game_loops: length.
        players: both players, by id.
    """

    game_version: str
    base_build: int
    data_version: str
    map_name: str
    game_loops: int
    players: tuple[ReplayPlayer, ...]


@dataclass(frozen=True, order=True)
class ReplayVersion:
    """Which game plays a replay.

    Attributes:
        base_build: number of the program's build.
        data_version: hash of the rules' data, "" where the replay does not tell.
    """

    base_build: int
    data_version: str


def replay_version(path: Path) -> ReplayVersion:
    """Return which game plays a replay.

    Raises:
        ReplayError: if the file is no replay or does not tell.
        GameNotFoundError: if mpyq is not installed.
    """
    archive = _open_archive(path)
    metadata = _metadata(_decoded("metadata", lambda: archive.read_file(_METADATA)) or b"")
    build = re.fullmatch(r"(?:Base)?(\d+)", str(metadata.get("BaseBuild", "")))
    if build is None:
        raise ReplayError("no build in the metadata", str(metadata.get("BaseBuild")))
    return ReplayVersion(int(build[1]), str(metadata.get("DataVersion", "")))


class ReplayFile:
    """A replay of one against one.

    Raises:
        ReplayError: if the file is none that can be used, with the reason.
        GameNotFoundError: if mpyq or s2protocol is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._archive = _open_archive(path)
        content = self._archive.header.get("user_data_header", {}).get("content")
        if content is None:
            raise ReplayError("no replay header", path.name)
        header = _decoded("header", lambda: _protocol(None).decode_replay_header(content))
        self._build = int(header["m_version"]["m_baseBuild"])
        metadata = _metadata(self._read(_METADATA))
        self.header = ReplayHeader(
            game_version=str(metadata.get("GameVersion", "")),
            base_build=self._build,
            data_version=str(metadata.get("DataVersion", "")),
            map_name=str(metadata.get("Title", "")),
            game_loops=int(header["m_elapsedGameLoops"]),
            players=_decoded("players", lambda: _players(metadata["Players"])),
        )
        if [player.player_id for player in self.header.players] != [1, 2]:
            raise ReplayError("not one against one", f"{path.name} has {len(self.header.players)} players")

    def tracker_events(self) -> Iterator[dict[str, Any]]:
        """Yield the tracker's events, in order, with the short name of each under "kind".

        Raises:
            ReplayError: if s2protocol has no protocol for the build, or the events are broken.
        """
        protocol, content = _protocol(self._build), self._read("replay.tracker.events")
        for event in _decoded("tracker events", lambda: list(protocol.decode_replay_tracker_events(content))):
            yield {**event, "kind": event["_event"].removeprefix("NNet.Replay.Tracker.S").removesuffix("Event")}

    def _read(self, name: str) -> bytes:
        content = _decoded(name, lambda: self._archive.read_file(name))
        if not content:
            raise ReplayError(f"no {name}")
        return bytes(content)


def _open_archive(path: Path) -> Any:
    try:
        mpyq = importlib.import_module("mpyq")
    except ImportError as error:
        raise GameNotFoundError(
            f"replays are read with mpyq, which cannot be imported ({error}). {_INSTALL}"
        ) from error
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReplayError("unreadable", str(error)) from error
    return _decoded("archive", lambda: mpyq.MPQArchive(io.BytesIO(content)))


def _decoded(what: str, read: Any) -> Any:
    """Return what `read` returns; whatever goes wrong in a broken file is one reason."""
    try:
        return read()
    except (ReplayError, GameNotFoundError, MemoryError):
        raise
    except Exception as error:  # the libraries raise anything at all on broken bytes
        raise ReplayError(f"broken {what}", f"{type(error).__name__}: {error}") from error


def _metadata(content: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise ReplayError("broken metadata", str(error)) from error
    if not isinstance(metadata, dict) or not isinstance(metadata.get("Players"), list):
        raise ReplayError("no players in the metadata")
    return metadata


def _players(entries: list[dict[str, Any]]) -> tuple[ReplayPlayer, ...]:
    return tuple(sorted(map(_player, entries), key=lambda player: player.player_id))


def _player(entry: dict[str, Any]) -> ReplayPlayer:
    race = _RACES.get(str(entry.get("AssignedRace", ""))[:4].lower())
    if race is None:
        raise ReplayError("unknown race", str(entry.get("AssignedRace")))
    return ReplayPlayer(
        player_id=int(entry["PlayerID"]),
        race=race,
        won={"Win": True, "Loss": False}.get(str(entry.get("Result"))),
        mmr=int(entry.get("MMR", 0)),
        actions_per_minute=float(entry.get("APM", 0)),
    )


def _protocol(build: int | None) -> ModuleType:
    """Return s2protocol's module for a build, the newest one for None.

    Its own loader stands on a module that Python 3.12 no longer has, so the file is loaded here.

    Raises:
        ReplayError: if there is none for the build.
        GameNotFoundError: if s2protocol is not installed.
    """
    package = importlib.util.find_spec("s2protocol")
    if package is None or not package.submodule_search_locations:
        raise GameNotFoundError(f"replays are read with s2protocol, which is not installed. {_INSTALL}")
    folder = Path(next(iter(package.submodule_search_locations))) / "versions"
    builds = {int(found[1]) for path in folder.iterdir() if (found := re.fullmatch(r"protocol(\d+)\.py", path.name))}
    number = max(builds) if build is None else build
    if number not in builds:
        raise ReplayError("no protocol for the build", f"{build}; a newer s2protocol may have it")
    return _load(folder / f"protocol{number:05d}.py")


_LOADED: dict[Path, ModuleType] = {}


def _load(path: Path) -> ModuleType:
    if path not in _LOADED:
        spec = importlib.util.spec_from_file_location(f"_s2protocol_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _LOADED[path] = module
    return _LOADED[path]
