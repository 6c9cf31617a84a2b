"""Replays to recordings, through the game: version by version, both players' views, broken ones counted."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from envs.errors import GameStartError
from envs.function_calls import FunctionCallSpace
from envs.recording_writer import RecordingWriter, shard_name, write_shard
from envs.recordings import Shard
from envs.starcraft2.faults import GameFaultError
from envs.starcraft2.functions import function_calls_space
from envs.starcraft2.human_statistics import statistic_to_json
from envs.starcraft2.installation import game_directory, list_builds
from envs.starcraft2.observation import layout_sha256
from envs.starcraft2.process import GameProcess
from envs.starcraft2.replay_facts import OUTCOMES, PlayerView
from envs.starcraft2.replay_files import ReplayError, ReplayVersion, replay_version
from envs.starcraft2.replay_plan import plan_decisions
from envs.starcraft2.replay_playback import Playback, ask_for_replay, count_left_out
from envs.starcraft2.replay_shards import STATISTIC, player_game_rows
from envs.starcraft2.version import GameVersion

_PARTICIPANT = 1

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """Which replays to use and how.

    Attributes:
        min_mmr: players below are left out; AlphaStar took those above 3500.
        min_game_loops: shorter games are left out.
        winners_only: leave out players who did not win.
        decisions_per_shard: decisions of each shard but the last one of a player's game.
        max_entities: entity slots of the observations.
        request_timeout_seconds: how long the game may take to answer.
        load_timeout_seconds: how long it may take to start, and to begin a replay.
    """

    min_mmr: int = 0
    min_game_loops: int = 0
    winners_only: bool = False
    decisions_per_shard: int = 256
    max_entities: int = 512
    request_timeout_seconds: float = 60.0
    load_timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.decisions_per_shard < 1 or self.max_entities < 1:
            raise ValueError(
                f"decisions_per_shard and max_entities must be at least 1, got {self.decisions_per_shard} and "
                f"{self.max_entities}"
            )

    def choices(self) -> dict[str, Any]:
        """Return what decides which decisions are recorded."""
        timeouts = ("request_timeout_seconds", "load_timeout_seconds")
        return {name: value for name, value in asdict(self).items() if name not in timeouts}


@dataclass
class ReplayReport:
    """What became of replays.

    Attributes:
        shards: files that were written.
        decisions: decisions in them.
        views: players' games in them.
        skipped: replays, and players' games, that were not used, by reason.
        left_out: actions of used games that are no decisions of ours, by reason.
    """

    shards: list[Path] = field(default_factory=list)
    decisions: int = 0
    views: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def convert_replays(
    paths: Iterable[Path],
    output_directory: Path,
    *,
    directory: Path | None = None,
    settings: ReplaySettings | None = None,
    header: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> ReplayReport:
    """Write a recording of replays into a folder, and return what became of them.

    A replay is played by the build that it was made with; those of builds that are not installed, those that the game
    refuses or fails on, and files that are no replays are skipped and counted. A failed game is started anew.

    Args:
        paths: the replays.
        output_directory: made if missing.
        directory: the game's folder; default the one that is found.
        settings: which replays to use and how.
        header: more facts of the whole recording.
        resume: go on with the recording in the folder; what it has of the same replays is not converted again, just as
            a replay that is there under two names.

    Raises:
        GameNotFoundError: if there is no game at all.
        RecordingError: if the folder holds a recording already, or, to resume, one with another header or without
            all of its shards; or if another process writes there.
    """
    report = ReplayReport()
    directory, settings = directory or game_directory(), settings or ReplaySettings()
    game = {"name": "starcraft2", "layout_sha256": layout_sha256()}
    facts = {**(header or {}), "game": game, "settings": settings.choices()}
    writer = RecordingWriter(output_directory, facts, resume=resume)
    try:
        converter = _Converter(directory, writer, settings, report)
        by_version = sorted(_with_versions(paths, report), key=lambda entry: entry[0])
        for version, entries in groupby(by_version, key=lambda entry: entry[0]):
            converter.convert_all(version, [path for _, path in entries])
    finally:
        writer.close()
    return report


def _with_versions(paths: Iterable[Path], report: ReplayReport) -> Iterator[tuple[ReplayVersion, Path]]:
    for path in paths:
        try:
            yield replay_version(path), path
        except ReplayError as error:
            _skip(report, path, error.reason, error)


def _skip(report: ReplayReport, path: Path, reason: str, error: Exception | str) -> None:
    report.skipped[reason] += 1
    _logger.warning("%s is skipped: %s", path.name, error)


class _Converter:
    """Converts replays of one version after another."""

    def __init__(
        self, directory: Path, writer: RecordingWriter, settings: ReplaySettings, report: ReplayReport
    ) -> None:
        self._directory, self._writer, self._settings, self._report = directory, writer, settings, report
        self._space: FunctionCallSpace = function_calls_space(settings.max_entities)
        recorded = [game for shard in writer.shards for game in shard.player_games]
        self._recorded = {(game["replay_sha256"], game["side"]): game["game"] for game in recorded}
        self._next_game = 1 + max(self._recorded.values(), default=-1)

    def convert_all(self, version: ReplayVersion, paths: Sequence[Path]) -> None:
        installed = list_builds(self._directory)
        if version.base_build not in installed:
            for path in paths:
                _skip(self._report, path, f"build {version.base_build} is not installed", f"there are {installed}")
            return
        process: GameProcess | None = None
        try:
            for path in paths:
                try:
                    process = process or self._start(version)
                    self._convert(process, path)
                except GameFaultError as fault:
                    _skip(self._report, path, f"the game failed: {fault.kind}", fault)
                    if process is not None:
                        process.kill()
                    process = None
                except GameStartError as error:
                    _skip(self._report, path, "the game failed: start", error)
                except ReplayError as error:
                    _skip(self._report, path, error.reason, error)
        finally:
            if process is not None:
                process.close()

    def _start(self, version: ReplayVersion) -> GameProcess:
        return GameProcess(
            self._directory,
            build=version.base_build,
            data_version=version.data_version or None,
            start_timeout_seconds=self._settings.load_timeout_seconds,
            request_timeout_seconds=self._settings.request_timeout_seconds,
        )

    def _convert(self, process: GameProcess, path: Path) -> None:
        """Write the shards of both players of a replay.

        Raises:
            ReplayError: if the game refuses the replay, or it is none of one against one.
            GameFaultError: if the game fails.
        """
        replay = path.read_bytes()
        info = ask_for_replay(process, "replay_info", lambda controller: controller.replay_info(replay))
        if len(info.player_info) != 2:
            raise ReplayError("not one against one", f"{len(info.player_info)} players")
        if info.game_duration_loops < self._settings.min_game_loops:
            raise ReplayError("too short", f"{info.game_duration_loops} game loops")
        facts = GameVersion.of_ping(process.request("ping", lambda controller: controller.ping())).facts()
        sha256 = hashlib.sha256(replay).hexdigest()
        sides = {side: game for (known, side), game in self._recorded.items() if known == sha256}
        number = next(iter(sides.values()), self._next_game)
        self._next_game = max(self._next_game, number + 1)
        for side, player in enumerate(info.player_info):
            reason = "recorded already" if side in sides else self._reason_against(player)
            if reason:
                _skip(self._report, path, reason, f"player {player.player_info.player_id}: {reason}")
                continue
            view = PlayerView(info, side, path.name, facts)
            playback = Playback(
                process,
                replay,
                player.player_info.player_id,
                map_data=self._map_data(info.local_map_path),
                load_timeout_seconds=self._settings.load_timeout_seconds,
            )
            self._convert_view(playback, view, {"game": number, **view.facts(), "replay_sha256": sha256})
            self._recorded[sha256, side] = number

    def _reason_against(self, player: Any) -> str:
        """Return why a player's game is not used, "" if it is."""
        if player.player_info.type != _PARTICIPANT:
            return "played by the game's AI"
        if max(0, player.player_mmr) < self._settings.min_mmr:
            return "below min_mmr"
        if self._settings.winners_only and OUTCOMES.get(player.player_result.result) != 1:
            return "did not win"
        return ""

    def _map_data(self, local_map_path: str) -> bytes | None:
        path = self._directory / "Maps" / local_map_path
        return path.read_bytes() if local_map_path and path.is_file() else None

    def _convert_view(self, playback: Playback, view: PlayerView, facts: dict[str, Any]) -> None:
        survey = playback.survey()
        plan, left_out = plan_decisions(survey.actions, first_loop=survey.first_loop, last_loop=survey.last_loop)
        extra = {STATISTIC: statistic_to_json(view.statistic(survey.progress)), "version": view.version}
        decisions = playback.record(plan, self._space)
        shards: list[Shard] = []
        try:
            for first in range(0, len(plan), self._settings.decisions_per_shard):
                rows = list(islice(decisions, self._settings.decisions_per_shard))
                is_last = first + len(rows) == len(plan)
                part = player_game_rows(
                    rows,
                    {**facts, "first_step": first},
                    final_reward=facts["outcome"] if is_last else None,
                    extra=None if first else extra,
                )
                name = shard_name(len(self._writer.shard_names) + len(shards))
                counts = count_left_out(rows) + (left_out if is_last else Counter())
                shards.append(write_shard(self._writer.directory, name, [part], counts))
        except BaseException:  # half a game is none
            self._writer.remove_unfinished()
            raise
        self._writer.add(*shards)
        self._report.shards += [self._writer.directory / shard.name for shard in shards]
        self._report.decisions += len(plan)
        self._report.views += 1
        for shard in shards:
            self._report.left_out.update(shard.left_out)
