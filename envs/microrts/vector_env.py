"""A batch of real µRTS games behind gymnasium's vector interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from envs.errors import GameCrashedError
from envs.microrts import layout
from envs.microrts.ais import ai_factory
from envs.microrts.installation import map_size, resolve_map
from envs.microrts.jvm import crashes_reported, direct_buffers, java_class, java_runs, unit_type_table
from envs.pickling import PickledAsMade
from envs.rows import RowTable
from envs.spaces import UnitActionSpace

_ALL_LEGAL = -1


class MicroRTSVectorEnv(VectorEnv[dict[str, NDArray[Any]], NDArray[np.int64], NDArray[Any]], PickledAsMade):
    """Games of the real Java µRTS, stepped together in one call.

    A row of the batch is one controlled player of one game: a game against an AI has one row, a game with `None` as
    its opponent has two rows one after the other, player 0 and player 1, for self-play. Every own unit that awaits
    an order is ordered at each step. Nothing resets by itself: a row whose episode has ended is left untouched by
    `step` until `reset` names it.

    Observations and results are views of buffers which the next call overwrites. `metadata`,
    `single_observation_space` and `single_action_space` describe the layout; `envs.microrts.layout` names every column.

    Args:
        map_path: a name of `list_maps()`, such as maps/8x8/basesWorkers8x8A.xml, or a file of your own.
        opponents: for each game the name of its AI (see `ais.ai_factory`), or None to control both players.
        agent_players: for each game which player, 0 or 1, the row is; default 0. Ignored where both are controlled.
        max_steps: game steps after which an episode is truncated.
        reward_weights: weight of each of `reward_term_names` in the reward.
        max_entities: entity slots of a row; default one for each cell of the map, at most 256. Where a game has more
            units, own units come first, then the nearest enemies, then everything else.
        skip_idle_steps: go on until a controlled player has a unit with a legal order, besides waiting, that would be
            carried out, or the episode ends; units without an order wait meanwhile. infos["elapsed_steps"] counts the
            game steps, and the reward terms are summed over them.
        canonical_orientation: turn the map by 180 degrees for rows that are player 1, so that on the usual symmetric
            maps every row starts in the same corner; actions are turned back.
        num_threads: Java threads that step games.
        seed: seed of the AIs' random choices; equal seeds and actions replay equal games, except against AIs that
            search against the clock.

    Raises:
        UnknownNameError: if a map or an AI does not exist.
        GameNotFoundError: if the game, Java or the bridge between them is not installed.
        ValueError: if an argument is out of its range.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}  # noqa: RUF012
    reward_term_names: tuple[str, ...] = layout.REWARD_TERM_NAMES
    _games: Any = None  # until they are made

    def __init__(
        self,
        *,
        map_path: str,
        opponents: Sequence[str | None],
        agent_players: Sequence[int] | None = None,
        max_steps: int = 2000,
        reward_weights: ArrayLike = layout.DEFAULT_REWARD_WEIGHTS,
        max_entities: int | None = None,
        skip_idle_steps: bool = False,
        canonical_orientation: bool = True,
        num_threads: int = 1,
        seed: int | None = None,
    ) -> None:
        PickledAsMade.__init__(
            self,
            map_path=map_path,
            opponents=opponents,
            agent_players=agent_players,
            max_steps=max_steps,
            reward_weights=reward_weights,
            max_entities=max_entities,
            skip_idle_steps=skip_idle_steps,
            canonical_orientation=canonical_orientation,
            num_threads=num_threads,
            seed=seed,
        )
        _require_positive(max_steps=max_steps, num_threads=num_threads)
        self.reward_weights = _checked_weights(reward_weights)
        self.rows = RowTable.of_games(opponents, agent_players)
        map_file = resolve_map(map_path)
        self.map_path = map_path
        self.width, self.height = map_size(map_file)
        self.max_entities = _checked_max_entities(max_entities, self.width, self.height)
        self.max_steps = max_steps
        self.num_envs = len(self.rows)
        space = layout.observation_space(max_entities=self.max_entities, width=self.width, height=self.height)
        self.single_observation_space = space
        self._observation_keys = tuple(space)
        self.single_action_space: UnitActionSpace = layout.action_space(max_entities=self.max_entities)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._buffers = layout.allocate_buffers(space, num_rows=self.num_envs)
        self._finished: NDArray[np.bool_] = np.ones(self.num_envs, np.bool_)
        self._factories: dict[str, Any] = {}
        self._games = self._make_games(str(map_file), skip_idle_steps, canonical_orientation, num_threads)
        self._set_seeds(seed, np.ones(self.rows.num_games, np.bool_))

    def _make_games(self, map_file: str, skip_idle_steps: bool, canonical_orientation: bool, num_threads: int) -> Any:
        players = [self._makers(pair) for pair in self.rows.ais]
        games = java_class("perceiverstar.VectorGames")
        factories = java_class("perceiverstar.AiFactory")[:][:]
        table = unit_type_table()
        with crashes_reported(f"loading the map {self.map_path}"):
            start = java_class("rts.PhysicalGameState").load(map_file, table)
            return games(
                start,
                table,
                factories(players),
                self.max_steps,
                self.max_entities,
                skip_idle_steps,
                canonical_orientation,
                num_threads,
                direct_buffers(self._buffers),
            )

    def _makers(self, ais: tuple[str | None, str | None]) -> list[Any]:
        for ai in ais:
            if ai is not None and ai not in self._factories:
                self._factories[ai] = ai_factory(ai)
        return [ai and self._factories[ai] for ai in ais]

    def _meet(self, opponents: Sequence[str | None], chosen: NDArray[np.bool_]) -> None:
        rows = self.rows.meeting(opponents, chosen)
        factories = java_class("perceiverstar.AiFactory")[:]
        changed = [game for game, ais in enumerate(rows.ais) if ais != self.rows.ais[game]]
        for game, players in [(game, self._makers(rows.ais[game])) for game in changed]:
            self._games.setPlayers(game, factories(players))
        self.rows = rows

    def _set_seeds(self, seed: int | None, chosen_games: NDArray[np.bool_]) -> None:
        # One seed for each game, whichever games are chosen: a game's seed depends only on `seed` and its index.
        seeds = np.random.SeedSequence(seed).generate_state(self.rows.num_games, np.uint64).view(np.int64)
        self._games.setSeeds(chosen_games, seeds)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Begin new episodes and return observations and infos.

        Args:
            seed: starts the random choices of the games' AIs over; None goes on with the ones before.
            options: {"reset_mask": bool [num_envs]} resets only those rows; the observations of the others are
                returned as they are. {"opponents": for each game the name of its AI from now on, or None} gives those
                that are reset other AIs; None leaves a game's as it is.

        Raises:
            ValueError: if the mask has another shape or only one of a game's two rows, or an AI is named for a game
                without one.
            UnknownNameError: if an AI does not exist.
        """
        options = options or {}
        chosen = self.rows.chosen_games(options.get("reset_mask"))
        games = self._open_games()
        if "opponents" in options:
            self._meet(options["opponents"], chosen)
        super().reset(seed=seed)
        if seed is not None:
            self._set_seeds(seed, chosen)
        with crashes_reported("starting an episode"):
            games.reset(chosen)
        self._finished[chosen[self.rows.game]] = False
        return self._observations(), self._infos()

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Give the orders of `actions` [num_envs, max_entities, 7] to the waiting units and play on.

        Returns:
            observations; rewards float32 [num_envs]; terminated and truncated bool [num_envs]; infos with
            "reward_terms" float32 [num_envs, 6], "elapsed_steps" int32 [num_envs] and "outcome" int8 [num_envs] (+1
            won, 0 drawn, -1 lost, where the episode has ended).

        Raises:
            ValueError: if the shape is wrong or a waiting unit is given an illegal order; no game is stepped then.
            GameCrashedError: if the game or an AI fails; a reset of all rows begins anew.
        """
        games = self._open_games()
        actions = np.asarray(actions)
        expected = self._buffers["actions"].shape
        if actions.shape != expected or actions.dtype.kind not in "iu":
            raise ValueError(f"actions must be integers {expected}, got {actions.dtype} {actions.shape}")
        # Java reads only the slots in use, and the highest slot in use of any row is what has to be copied.
        used = int(self._buffers["entity_mask"].any(0).sum())
        self._buffers["actions"][:, :used] = actions[:, :used]
        with crashes_reported("in a step"):
            illegal = int(games.step())
        if illegal != _ALL_LEGAL:
            raise ValueError(self._describe_illegal(illegal))
        buffers = self._buffers
        self._finished |= buffers["terminated"] | buffers["truncated"]
        rewards = buffers["reward_terms"] @ self.reward_weights
        return self._observations(), rewards, buffers["terminated"], buffers["truncated"], self._infos()

    def _open_games(self) -> Any:
        if self._games is None:
            raise GameCrashedError("this environment is closed; make a new one")
        return self._games

    def _observations(self) -> dict[str, NDArray[Any]]:
        return {key: self._buffers[key] for key in self._observation_keys}

    def _infos(self) -> dict[str, Any]:
        return {name: self._buffers[name] for name in ("reward_terms", "elapsed_steps", "outcome")}

    def _describe_illegal(self, code: int) -> str:
        components = list(layout.ACTION_COMPONENTS)
        slot_code, column = divmod(code, len(components))
        row, slot = divmod(slot_code, self.max_entities)
        name = components[column]
        asked = int(self._buffers["actions"][row, slot, column])
        part = self.single_action_space.component_slices()[name]
        legal = np.flatnonzero(self._buffers["action_mask"][row, slot, part]).tolist()
        unit = layout.UNIT_TYPE_NAMES[self._buffers["entity_categories"][row, slot, layout.UNIT_TYPE]]
        x, y = self._buffers["entity_positions"][row, slot].tolist()
        return (
            f"illegal action: row {row}, slot {slot} ({unit} at x={x}, y={y}): component {name!r} is {asked}, "
            f"legal are {legal}; choose under observation['action_mask']"
        )

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Which rows' episodes have ended and wait for `reset`, [num_envs]."""
        return self._finished.copy()

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the games; the Java virtual machine stays for the next environment."""
        if self._games is not None and java_runs():
            self._games.close()
        self._games = None


def _require_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def _checked_weights(weights: ArrayLike) -> NDArray[np.float32]:
    array = np.asarray(weights, np.float32)
    expected = (len(layout.REWARD_TERM_NAMES),)
    if array.shape != expected or not np.isfinite(array).all():
        raise ValueError(
            f"reward_weights must be finite and one for each of {layout.REWARD_TERM_NAMES}, got {weights!r}"
        )
    return array


def _checked_max_entities(max_entities: int | None, width: int, height: int) -> int:
    if max_entities is None:
        return layout.default_max_entities(width, height)
    _require_positive(max_entities=max_entities)
    return max_entities
