"""One game of a batch: its episodes one after another, the faults on the way, and the replays."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import GameCrashedError, GameVersionError
from envs.starcraft2.abilities import costs_from_game
from envs.starcraft2.action_masks import FunctionMasks
from envs.starcraft2.faults import GARBAGE, VERSION, GameFaultError, nonsense_reported
from envs.starcraft2.game import EpisodeSetup, Game, interface_options
from envs.starcraft2.match_settings import MatchSettings
from envs.starcraft2.names import NO_OPPONENT, RACE_NAMES, BuiltInOpponent
from envs.starcraft2.native_masks import fastest_masks
from envs.starcraft2.player import Player
from envs.starcraft2.process import GameProcess
from envs.starcraft2.replay_records import ReplayRecord, save_replay

START_ATTEMPTS = 3
"""How often an episode is begun anew, each time with a fresh process, before the error is the caller's."""
_RESULTS = {1: 1, 2: -1}  # Victory, Defeat (sc2api.proto, Result); a tie or an undecided game is 0
_RESULT_WORDS = {1: "win", -1: "loss", 0: "tie"}

_logger = logging.getLogger(__name__)


class Match:
    """One game of a batch.

    Args:
        settings: what it shares with the others.
        opponent: the built-in AI; None where both players are controlled or the map is for one.
        players: the controlled players, whose arrays are filled.

    Attributes:
        faults: how often the game failed, by kind.
        restarts: how often a failed game was started anew.
        planned_restarts: how often it was started anew after `episodes_per_process` episodes.
        version: entries of the game's version, once it has been started.
    """

    def __init__(self, settings: MatchSettings, opponent: BuiltInOpponent | None, players: Sequence[Player]) -> None:
        self.settings, self.opponent, self.players = settings, opponent, players
        self.faults: Counter[str] = Counter()
        self.restarts = self.planned_restarts = 0
        self.version: dict[str, Any] = {}
        self._options = interface_options()
        self._seeds = np.random.default_rng()
        self._seed = 0
        self._game: Game | None = None
        self._masks: FunctionMasks | None = None
        self._has_failed = self._is_interrupted = False
        self._launched: list[GameProcess] = []
        self._episodes = self._episodes_of_process = 0
        self._game_loop = 0
        self._race_names: tuple[str, ...] = ()

    def seed(self, seeds: np.random.SeedSequence) -> None:
        """Draw the seeds of the next episodes from here on."""
        self._seeds = np.random.default_rng(seeds)

    @property
    def process_ids(self) -> list[int]:
        """Ids of the game's processes."""
        return self._game.process_ids if self._game is not None else []

    def begin(self) -> None:
        """Begin an episode, in a fresh process where the last one failed.

        Raises:
            GameCrashedError: if it fails `START_ATTEMPTS` times in a row.
            GameVersionError: if the game is another version than before or than expected.
        """
        if self._is_interrupted:
            self.close()
            self._is_interrupted = False
        for attempt in range(1, START_ATTEMPTS + 1):
            self._seed = int(self._seeds.integers(1, 2**31))
            try:
                return self._begin_episode()
            except GameVersionError as error:
                self._drop_game(VERSION, error)
                if attempt == START_ATTEMPTS:
                    raise
            except GameFaultError as error:
                self._drop_game(error.kind, error)
                if self._is_interrupted:
                    raise
                if attempt == START_ATTEMPTS:
                    raise GameCrashedError(f"StarCraft II failed {attempt} times in a row, last: {error}") from error
        raise AssertionError("unreachable")

    def play(self, actions: NDArray[np.int64]) -> None:
        """Give the orders of the players whose decision it is, [players, 6 + K], and go on to the next decision.

        A fault ends the episode: its rows are truncated and marked as dropped.
        """
        try:
            self._play(actions)
        except GameFaultError as fault:
            self._drop_game(fault.kind, fault)
            for player in self.players:
                player.drop()

    def interrupt(self) -> None:
        """End the game's processes at once, whatever a thread is asking them, and any that is being started."""
        self._is_interrupted = True
        for process in tuple(self._launched):
            process.kill()

    def close(self) -> None:
        """Let the game's processes quit."""
        if self._game is not None:
            self._game.close()
            self._game = None

    def _begin_episode(self) -> None:
        settings = self.settings
        if self._game is not None and self._episodes_of_process >= settings.episodes_per_process:
            self.close()
            self.planned_restarts += 1
        game = self._game or self._start_game()
        races = settings.races[: len(self.players)]
        setup = EpisodeSetup(
            game_map=settings.game_map,
            map_data=settings.map_data,
            races=races,
            opponent=self.opponent,
            opponent_race=(self.opponent.race or settings.races[1]) if self.opponent is not None else None,
            seed=self._seed,
            options=self._options,
        )
        infos = game.begin(setup)
        if self._masks is None:
            self._masks = fastest_masks(costs_from_game(game.data()))
        views = game.observe()
        self._race_names = _race_names(infos)
        generators = [np.random.default_rng([self._seed, index]) for index in range(len(self.players))]
        with nonsense_reported():
            for player, info, view, generator in zip(self.players, infos, views, generators, strict=True):
                player.begin(info, view, self._masks, map_name=settings.game_map.name, generator=generator)
        self._share_views()
        self._game_loop = int(views[0].message.observation.game_loop)
        self._episodes += 1
        self._episodes_of_process += 1

    def _start_game(self) -> Game:
        settings = self.settings
        self._episodes_of_process, self._masks = 0, None
        if self._has_failed:
            self.restarts += 1
            self._has_failed = False
        self._launched.clear()
        start = functools.partial(settings.start_process, on_launch=self._know)
        game = Game(start, len(self.players), load_timeout_seconds=settings.load_timeout_seconds)
        self._game = game
        settings.version_guard.check(game.version)
        self.version = game.version.facts()
        return game

    def _know(self, process: GameProcess) -> None:
        self._launched.append(process)
        if self._is_interrupted:
            process.kill()

    def _play(self, actions: NDArray[np.int64]) -> None:
        game, now = self._game, self._game_loop
        assert game is not None
        for index, player in enumerate(self.players):
            if player.is_asked:
                game.act(index, player.orders(actions[index], now))
        target = min(*(player.next_decision for player in self.players), self.settings.max_game_loops)
        game.step(target - now)
        views = game.observe()
        messages = [view.message for view in views]
        self._game_loop = int(messages[0].observation.game_loop)
        has_ended = game.has_ended or any(message.player_result for message in messages)
        if not has_ended and self._game_loop != target:
            raise GameFaultError(GARBAGE, f"the game is at loop {self._game_loop} after a step to {target}")
        truncated = not has_ended and self._game_loop >= self.settings.max_game_loops
        outcomes = _outcomes(messages) if has_ended else [None] * len(messages)
        with nonsense_reported():
            for player, view, outcome in zip(self.players, views, outcomes, strict=True):
                player.see(view, outcome=outcome, truncated=truncated)
        self._share_views()
        if has_ended or truncated:
            self._save_replay(finished=has_ended)

    def _share_views(self) -> None:
        """Let the value functions of two controlled players see both sides."""
        if len(self.players) == 2:
            first, second = self.players
            first.share_opponent(second)
            second.share_opponent(first)

    def _save_replay(self, *, finished: bool) -> None:
        settings = self.settings
        if settings.replay_directory is None or (self._episodes - 1) % settings.replay_interval:
            return
        assert self._game is not None
        opponent = self.opponent.name if self.opponent else ("self_play" if len(self.players) == 2 else NO_OPPONENT)
        record = ReplayRecord(
            map_name=settings.game_map.name,
            label=settings.replay_label,
            races=self._race_names,
            opponent=opponent,
            result=_RESULT_WORDS[self.players[0].outcome] if finished else "unfinished",
            game_loops=self._game_loop,
            seed=self._seed,
            version=self.version,
        )
        # The episode itself is complete, whatever becomes of its replay.
        try:
            save_replay(settings.replay_directory, self._game.save_replay(), record)
        except GameFaultError as fault:
            self._drop_game(fault.kind, fault)
        except OSError as error:
            _logger.warning("the replay of an episode is not saved: %s", error)

    def _drop_game(self, kind: str, error: Exception) -> None:
        self.faults[kind] += 1
        self._has_failed = True
        _logger.warning("%s: its processes are killed (%s)", kind, error)
        if self._game is not None:
            self._game.kill()
        self.close()


def _outcomes(messages: Sequence[Any]) -> list[int | None]:
    """Return +1, 0 or -1 for the player that each ResponseObservation belongs to; any of them may tell the results."""
    results = {entry.player_id: entry.result for message in messages for entry in message.player_result}
    return [_RESULTS.get(results.get(message.observation.player_common.player_id, 0), 0) for message in messages]


def _race_names(game_infos: Sequence[Any]) -> tuple[str, ...]:
    """Return the race of each player, the requested one where none of the controlled players knows the actual one."""
    races: dict[int, int] = {}
    for player in (player for info in game_infos for player in info.player_info):
        races[player.player_id] = player.race_actual or races.get(player.player_id) or player.race_requested
    return tuple(RACE_NAMES.get(races[player_id], "unknown") for player_id in sorted(races))
