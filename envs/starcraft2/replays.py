"""Replays to shards for imitation, through the game: version by version, both players' views, broken ones counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby, islice
from pathlib import Path
from typing import Any

from envs.errors import GameStartError
from envs.function_calls import FunctionCallSpace
from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.faults import GameFaultError
from envs.starcraft2.functions import function_calls_space
from envs.starcraft2.human_statistics import HumanStatistic
from envs.starcraft2.installation import game_directory, list_builds
from envs.starcraft2.names import RACE_NAMES
from envs.starcraft2.observation import layout_sha256
from envs.starcraft2.process import GameProcess
from envs.starcraft2.replay_files import ReplayError, ReplayVersion, replay_version
from envs.starcraft2.replay_plan import plan_decisions
from envs.starcraft2.replay_playback import Playback, RecordedDecision, Survey, count_left_out
from envs.starcraft2.replay_shards import Shard, ShardHeader, join_rows, write_shard
from envs.starcraft2.version import GameVersion

_PARTICIPANT = 1
_OUTCOMES = {1: 1, 2: -1}  # Victory, Defeat (sc2api.proto, Result)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """Which replays to use and how.

    Attributes:
        min_mmr: players below are left out; AlphaStar took those above 3500.
        min_game_loops: shorter games are left out.
        winners_only: leave out players who did not win.
        decisions_per_shard: decisions of each file but the last one of a player's game.
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
) -> ReplayReport:
    """Write the shards of replays into a folder, and return what became of them.

    A replay is played by the build that it was made with; those of builds that are not installed, those that the game
    refuses or fails on, and files that are no replays are skipped and counted. A failed game is started anew.

    Args:
        paths: the replays.
        output_directory: made if missing; shards are named after the replay, with a number
            where several have the same name, the player and their number.
        directory: the game's folder; default the one that is found.
        settings: which replays to use and how.

    Raises:
        GameNotFoundError: if there is no game at all.
    """
    report = ReplayReport()
    output_directory.mkdir(parents=True, exist_ok=True)
    converter = _Converter(directory or game_directory(), output_directory, settings or ReplaySettings(), report)
    by_version = sorted(_with_versions(paths, report), key=lambda entry: entry[0])
    for version, entries in groupby(by_version, key=lambda entry: entry[0]):
        converter.convert_all(version, [path for _, path in entries])
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

    def __init__(self, directory: Path, output_directory: Path, settings: ReplaySettings, report: ReplayReport) -> None:
        self._directory, self._output, self._settings, self._report = directory, output_directory, settings, report
        self._space: FunctionCallSpace = function_calls_space(settings.max_entities)
        self._layout = layout_sha256()
        self._stems: set[str] = set()

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
        info = process.request("replay_info", lambda controller: controller.replay_info(replay))
        if info.HasField("error"):
            raise ReplayError(f"refused: {sc_pb.ResponseReplayInfo.Error.Name(info.error)}", info.error_details)
        if len(info.player_info) != 2:
            raise ReplayError("not one against one", f"{len(info.player_info)} players")
        if info.game_duration_loops < self._settings.min_game_loops:
            raise ReplayError("too short", f"{info.game_duration_loops} game loops")
        facts = GameVersion.of_ping(process.request("ping", lambda controller: controller.ping())).facts()
        stem = self._unused_stem(path)
        for index, player in enumerate(info.player_info):
            reason = self._reason_against(player)
            if reason:
                _skip(self._report, path, reason, f"player {player.player_info.player_id}: {reason}")
                continue
            playback = Playback(
                process,
                replay,
                player.player_info.player_id,
                map_data=self._map_data(info.local_map_path),
                load_timeout_seconds=self._settings.load_timeout_seconds,
            )
            self._convert_view(playback, path, stem, info, index, facts)

    def _unused_stem(self, path: Path) -> str:
        """Return how a replay's shards are named: as the replay, with a number where another one had that name."""
        name = path.name.removesuffix(".SC2Replay")
        stem = next(
            stem for number in count(1) if (stem := f"{name}-{number}" if number > 1 else name) not in self._stems
        )
        self._stems.add(stem)
        return stem

    def _reason_against(self, player: Any) -> str:
        """Return why a player's game is not used, "" if it is."""
        if player.player_info.type != _PARTICIPANT:
            return "played by the game's AI"
        if max(0, player.player_mmr) < self._settings.min_mmr:
            return "below min_mmr"
        if self._settings.winners_only and _OUTCOMES.get(player.player_result.result) != 1:
            return "did not win"
        return ""

    def _map_data(self, local_map_path: str) -> bytes | None:
        path = self._directory / "Maps" / local_map_path
        return path.read_bytes() if local_map_path and path.is_file() else None

    def _convert_view(
        self, playback: Playback, path: Path, stem: str, info: Any, index: int, facts: dict[str, Any]
    ) -> None:
        survey = playback.survey()
        plan, left_out = plan_decisions(survey.actions, first_loop=survey.first_loop, last_loop=survey.last_loop)
        player = info.player_info[index]
        header = ShardHeader(
            source=path.name,
            player_id=player.player_info.player_id,
            first_decision=0,
            is_last=False,
            max_entities=self._space.max_entities,
            outcome=_OUTCOMES.get(player.player_result.result, 0),
            mmr=max(0, player.player_mmr),
            version=facts,
            layout=self._layout,
        )
        statistic = _statistic(info, index, survey, facts, path.name)
        decisions = playback.record(plan, self._space)
        written: list[Path] = []
        try:
            for first in range(0, len(plan), self._settings.decisions_per_shard):
                rows = list(islice(decisions, self._settings.decisions_per_shard))
                part = replace(header, first_decision=first, is_last=first + len(rows) == len(plan))
                target = self._shard_path(stem, header.player_id, len(written))
                written.append(self._write(target, part, statistic, rows))
                left_out.update(count_left_out(rows))
            # An earlier conversion of the same game may have left more.
            for number in count(len(written)):
                if not (left := self._shard_path(stem, header.player_id, number)).exists():
                    break
                left.unlink()
        except BaseException:  # half a game is none
            for shard in written:
                shard.unlink()
            raise
        self._report.shards += written
        self._report.decisions += len(plan)
        self._report.views += 1
        self._report.left_out.update(left_out)

    def _shard_path(self, stem: str, player_id: int, number: int) -> Path:
        return self._output / f"{stem}_player{player_id}_{number:04d}.npz"

    def _write(
        self, target: Path, header: ShardHeader, statistic: HumanStatistic, rows: Sequence[RecordedDecision]
    ) -> Path:
        arrays = join_rows([row.observation for row in rows], [(row.call, row.is_order, row.game_loop) for row in rows])
        write_shard(target, Shard(header, statistic, arrays))
        return target


def _statistic(info: Any, index: int, survey: Survey, facts: dict[str, Any], source: str) -> HumanStatistic:
    player, opponent = info.player_info[index], info.player_info[1 - index]
    result = _OUTCOMES.get(player.player_result.result)
    log = survey.progress.log
    return HumanStatistic(
        race=_race(player),
        opponent_race=_race(opponent),
        map_name=info.map_name,
        build_order=tuple(log.steps),
        unit_types=frozenset(log.unit_types),
        upgrades=frozenset(log.upgrades),
        effects=frozenset(survey.progress.effects),
        mmr=max(0, player.player_mmr),
        won=None if result is None else result == 1,
        game_version=str(facts["game_version"]),
        source=f"{source}, player {player.player_info.player_id}",
    )


def _race(player: Any) -> str:
    return RACE_NAMES.get(player.player_info.race_actual or player.player_info.race_requested, "unknown")
