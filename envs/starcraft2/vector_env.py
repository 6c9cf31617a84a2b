"""A batch of StarCraft II games behind gymnasium's vector interface."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.errors import GameCrashedError
from envs.function_calls import FunctionCallSpace
from envs.pickling import PickledAsMade
from envs.spaces import ACTION_MASK, ENTITY_CLASSES
from envs.starcraft2.functions import function_calls_space
from envs.starcraft2.game_maps import find_map
from envs.starcraft2.installation import game_directory
from envs.starcraft2.legality import describe_illegal
from envs.starcraft2.match import Match
from envs.starcraft2.match_settings import MatchSettings
from envs.starcraft2.names import parse_opponent
from envs.starcraft2.observation import observation_space
from envs.starcraft2.player import Player
from envs.starcraft2.row_buffers import RowBuffers
from envs.starcraft2.settings import StarCraft2Settings, checked_weights, table_of_rows
from envs.starcraft2.side_by_side import SideBySide, Task


class StarCraft2VectorEnv(VectorEnv[dict[str, NDArray[Any]], NDArray[np.int64], NDArray[Any]], PickledAsMade):
    """Games of StarCraft II, stepped together, each in a process of its own and in parallel.

    A row of the batch is one controlled player of one game: a game against a built-in AI has one row, a game with
    `None` as its opponent has two rows one after the other, player 0 and player 1, for self-play. A step gives the
    orders of one decision and goes on by its delay. With two players a game goes on to the earlier of the two next
    decisions, and the row that is not asked has an action mask of zeros; its action is ignored. Nothing resets by
    itself: a row whose episode has ended is left untouched by `step` until `reset` names it.

    A game that hangs, dies or answers nonsense is killed and counted: its rows are truncated with outcome 0 and marked
    in infos["dropped"], and the next reset starts it anew. Observations and results are views of buffers which the next
    call overwrites.

    Args:
        settings: what all games have in common.
        opponents: for each game its AI (see `names.parse_opponent`), or None to control both players; on a map for one
            player "none" or None.
        num_threads: games stepped at the same time; default all.
        seed: of the games' random choices.

    Attributes:
        settings: as given.
        map: the map that is played.
        max_game_loops: game loops after which an episode is truncated.
        reward_term_names: the reward's terms.

    Raises:
        UnknownNameError: if a map, an AI or a release does not exist.
        GameNotFoundError: if the game, the map or pysc2 is not installed.
        ValueError: if an argument is out of its range.
        OSError: if the folder for replays cannot be made.
    """

    _is_closed = True  # until everything is there to be closed

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        settings: StarCraft2Settings,
        opponents: Sequence[str | None],
        *,
        num_threads: int | None = None,
        seed: int | None = None,
    ) -> None:
        PickledAsMade.__init__(self, settings, opponents, num_threads=num_threads, seed=seed)
        if num_threads is not None and num_threads <= 0:
            raise ValueError(f"num_threads must be positive, got {num_threads}")
        directory = game_directory()
        self.settings, self.map = settings, find_map(settings.map_name, directory)
        self.rows = table_of_rows(self.map, opponents)
        settings.check_guidance(both_players=None in opponents)
        self.num_envs = len(self.rows)
        self.reward_term_names = settings.reward_term_names(self.map)
        self.reward_weights = checked_weights(settings.reward_weights, self.reward_term_names)
        self.single_observation_space = observation_space(max_entities=settings.max_entities, with_value_scalars=True)
        self.single_action_space: FunctionCallSpace = function_calls_space(settings.max_entities)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._buffers = RowBuffers(self.single_observation_space, self.num_envs, len(self.reward_term_names))
        self._rows_of_game = [np.flatnonzero(self.rows.game == game) for game in range(self.rows.num_games)]
        self._finished: NDArray[np.bool_] = np.ones(self.num_envs, np.bool_)
        match_settings = MatchSettings.of(settings, self.map, directory)
        self.max_game_loops = match_settings.max_game_loops
        self._matches = [self._make_match(match_settings, game, opponent) for game, opponent in enumerate(opponents)]
        self._side_by_side = SideBySide(num_threads or len(self._matches))
        self._is_closed = False
        self._set_seeds(seed, np.ones(self.rows.num_games, np.bool_))

    def _make_match(self, settings: MatchSettings, game: int, opponent: str | None) -> Match:
        rows, is_scored = self._rows_of_game[game].tolist(), self.map.is_scored
        players = [Player(self._buffers.row(row), self.settings, is_scored=is_scored) for row in rows]
        return Match(settings, parse_opponent(opponent) if opponent is not None and not is_scored else None, players)

    def _meet(self, opponents: Sequence[str | None], chosen: NDArray[np.bool_]) -> None:
        rows = self.rows.meeting(opponents, chosen)
        if self.map.is_scored:
            table_of_rows(self.map, opponents)  # refuses AIs
        changed = [game for game, ais in enumerate(rows.ais) if ais != self.rows.ais[game]]
        for game, opponent in [(game, parse_opponent(str(opponents[game]))) for game in changed]:
            self._matches[game].opponent = opponent
        self.rows = rows

    def _set_seeds(self, seed: int | None, chosen_games: NDArray[np.bool_]) -> None:
        # A game's seeds depend only on `seed` and its index, whichever games are chosen.
        sequences = np.random.SeedSequence(seed).spawn(self.rows.num_games)
        for match, sequence, is_chosen in zip(self._matches, sequences, chosen_games, strict=True):
            if is_chosen:
                match.seed(sequence)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Begin new episodes and return observations and infos.

        Args:
            seed: starts the games' random choices over; None goes on with the ones before.
            options: {"reset_mask": bool [num_envs]} resets only those rows; the observations of the others are
                returned as they are. {"opponents": for each game the name of its AI from now on, or None} gives those
                that are reset other AIs; None leaves a game's as it is.

        Raises:
            ValueError: if the mask has another shape or only one of a game's two rows, or an AI is named for a game
                without one.
            UnknownNameError: if an AI does not exist.
            GameCrashedError: if a game fails several times in a row.
            GameVersionError: if it is another version than expected.
        """
        self._require_open()
        options = options or {}
        chosen = self.rows.chosen_games(options.get("reset_mask"))
        if "opponents" in options:
            self._meet(options["opponents"], chosen)
        super().reset(seed=seed)
        if seed is not None:
            self._set_seeds(seed, chosen)
        self._finished[chosen[self.rows.game]] = True
        self._buffers.clear_results(chosen[self.rows.game])
        self._play_all([self._matches[game].begin for game in np.flatnonzero(chosen)])
        self._finished[chosen[self.rows.game]] = False
        return self._buffers.observations(), self._buffers.infos()

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Give the orders of `actions` [num_envs, 6 + K] and go on to the next decisions.

        Returns:
            observations; rewards float32 [num_envs]; terminated and truncated bool [num_envs]; infos with
            "reward_terms" float32 [num_envs, terms], "elapsed_steps" int32 [num_envs] (game loops), "outcome" int8
            [num_envs] (+1 won, 0 drawn, -1 lost, where the episode has ended) and "dropped" bool [num_envs] (the game
            failed).

        Raises:
            ValueError: if the shape is wrong or an action is illegal under the row's mask; no game is stepped then.
        """
        self._require_open()
        actions = np.asarray(actions)
        self._check_actions(actions)
        buffers, arrays = self._buffers, self._buffers.arrays
        buffers.clear_results()
        going_on = dict.fromkeys(self.rows.game[~self._finished].tolist())
        self._play_all(
            [functools.partial(self._matches[game].play, actions[self._rows_of_game[game]]) for game in going_on]
        )
        self._finished |= arrays["terminated"] | arrays["truncated"]
        rewards = arrays["reward_terms"] @ self.reward_weights
        return buffers.observations(), rewards, arrays["terminated"], arrays["truncated"], buffers.infos()

    def _check_actions(self, actions: NDArray[np.int64]) -> None:
        expected = (self.num_envs, *self.single_action_space.shape)
        if actions.shape != expected or actions.dtype.kind not in "iu":
            raise ValueError(f"actions must be integers {expected}, got {actions.dtype} {actions.shape}")
        masks, classes = (self._buffers.arrays[name] for name in (ACTION_MASK, ENTITY_CLASSES))
        for row in np.flatnonzero(~self._finished & masks.any(1)):
            problem = describe_illegal(actions[row], masks[row], classes[row], self.single_action_space)
            if problem:
                raise ValueError(f"illegal action: row {row}: {problem}; choose under observation['action_mask']")

    def _play_all(self, tasks: Sequence[Task]) -> None:
        self._side_by_side.run(tasks, interrupt=self._interrupt)

    def _interrupt(self) -> None:
        for match in self._matches:
            match.interrupt()

    def _require_open(self) -> None:
        if self._is_closed:
            raise GameCrashedError("this environment is closed; make a new one")

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Which rows' episodes have ended and wait for `reset`, [num_envs]."""
        return self._finished.copy()

    @property
    def restarts(self) -> int:
        """How many games that failed have been started anew."""
        return sum(match.restarts for match in self._matches)

    @property
    def planned_restarts(self) -> int:
        """How many games have been started anew after `episodes_per_process` episodes."""
        return sum(match.planned_restarts for match in self._matches)

    @property
    def faults(self) -> dict[str, int]:
        """How often games failed, by kind (see `faults.FAULT_KINDS`)."""
        return dict(sum((match.faults for match in self._matches), Counter()))

    @property
    def version(self) -> dict[str, Any]:
        """Entries of the game's version; empty before the first reset."""
        return dict(self._matches[0].version)

    @property
    def process_ids(self) -> list[int]:
        """Ids of the games' processes."""
        return [process_id for match in self._matches for process_id in match.process_ids]

    def close_extras(self, **kwargs: Any) -> None:
        """Let the games quit."""
        if not self._is_closed:
            self._is_closed = True
            try:
                self._play_all([match.close for match in self._matches])
            except RuntimeError:  # Python is exiting, and its threads take no more tasks
                self._interrupt()
            self._side_by_side.close()
