"""Games between two of the game's AIs, with every decision of both in our observation and action layout."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.microrts import layout
from envs.microrts.ais import ai_factory
from envs.microrts.installation import map_size, resolve_map
from envs.microrts.jvm import crashes_reported, direct_buffers, java_class, unit_type_table
from envs.recordings import PlayerGameRows
from envs.spaces import (
    ACTION_MASK,
    ENTITY_CATEGORIES,
    ENTITY_MASK,
    ENTITY_POSITIONS,
    ENTITY_VALUES,
    PLANES,
    SCALARS,
)

_ENTITY_KEYS = (ENTITY_CATEGORIES, ENTITY_VALUES, ENTITY_POSITIONS)
_Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class AiGame:
    """A recorded game.

    Attributes:
        views: the steps of decision of player 0 and of player 1. A step is one of decision where a unit that awaits an
            order has one, besides waiting, that would be carried out. An AI orders waits of several steps, an agent
            one step at a time: so units that wait are shown as awaiting an order, and decide only where the AI does.
        left_out: orders that are no part of the recorded actions, by reason and type; of their units no decision is
            recorded at that step.
        game_steps: how long it took.
    """

    views: tuple[PlayerGameRows, PlayerGameRows]
    left_out: Counter[str]
    game_steps: int


class AiGameRecorder:
    """Records games between two AIs.

    Args:
        map_path: a map's name or file, as for `MicroRTSVectorEnv`.
        players: names of the AIs of player 0 and player 1.
        max_steps: game steps after which a game is truncated.
        canonical_orientation: turn the map by 180 degrees for player 1, as `MicroRTSVectorEnv` does.
        random_orders: share of the orders that are replaced by random legal ones after they are recorded: what is
            recorded stays what the AI wants, in more situations than it would come into by itself.

    Raises:
        UnknownNameError: if the map or an AI does not exist.
        GameNotFoundError: if the game, Java or the bridge between them is not installed.
    """

    def __init__(
        self,
        *,
        map_path: str,
        players: tuple[str, str],
        max_steps: int = 2000,
        canonical_orientation: bool = True,
        random_orders: float = 0.0,
    ) -> None:
        if max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {max_steps}")
        if not 0 <= random_orders <= 1:
            raise ValueError(f"random_orders must lie between 0 and 1, got {random_orders}")
        self.players = players
        map_file = resolve_map(map_path)
        width, height = map_size(map_file)
        max_entities = layout.default_max_entities(width, height)
        space = layout.observation_space(max_entities=max_entities, width=width, height=height)
        self._buffers = layout.allocate_buffers(space, num_rows=2)
        makers = java_class("perceiverstar.AiFactory")[:]([ai_factory(name) for name in players])
        table = unit_type_table()
        with crashes_reported(f"loading the map {map_path}"):
            start = java_class("rts.PhysicalGameState").load(str(map_file), table)
            self._games = java_class("perceiverstar.RecordedGames")(
                start,
                table,
                makers,
                max_steps,
                max_entities,
                canonical_orientation,
                random_orders,
                direct_buffers(self._buffers),
            )

    def record(self, seed: int) -> AiGame:
        """Play a game and return it; equal seeds give equal games, except with AIs that search against the clock.

        Raises:
            GameCrashedError: if the game or an AI fails.
        """
        views = (_View(self._buffers, 0), _View(self._buffers, 1))
        buffers = self._buffers
        game_steps = 0
        with crashes_reported(f"in a game of {self.players[0]} against {self.players[1]}"):
            self._games.reset(seed)
            while True:
                recorded = int(self._games.play())
                for player, view in enumerate(views):
                    if recorded & 1 << player:
                        view.add_step()
                    view.add_results()
                game_steps += int(buffers["elapsed_steps"][0])
                if buffers["terminated"][0] or buffers["truncated"][0]:
                    break
            left_out = Counter(
                {str(entry.getKey()): int(entry.getValue()) for entry in self._games.leftOut().entrySet()}
            )
        names = self.players
        rows = [view.rows({"player": names[side], "opponent": names[1 - side], "side": side, "seed": seed})
                for side, view in enumerate(views)]  # fmt: skip
        return AiGame(views=(rows[0], rows[1]), left_out=left_out, game_steps=game_steps)


class _View:
    """The steps of one player, collected from the buffers."""

    def __init__(self, buffers: dict[str, _Array], player: int) -> None:
        self._buffers = {name: buffer[player] for name, buffer in buffers.items()}
        self._flags = {name: buffers[name][player : player + 1] for name in ("terminated", "truncated", "outcome")}
        self._elapsed = buffers["elapsed_steps"][player : player + 1]
        self._steps: list[dict[str, _Array]] = []
        self._rewards: list[_Array] = []
        self._elapsed_steps: list[int] = []

    def add_step(self) -> None:
        """Take what the player has seen and ordered."""
        buffers = self._buffers
        used = int(buffers[ENTITY_MASK].sum())
        mask = buffers[ACTION_MASK][:used]
        slots = np.flatnonzero(mask[:, : len(layout.ACTION_TYPE_NAMES)].any(1))
        step = {key: buffers[key][:used].copy() for key in _ENTITY_KEYS}
        step[SCALARS] = buffers[SCALARS].copy()
        step |= {"slot": slots, ACTION_MASK: mask[slots].astype(np.bool_), "action": buffers["actions"][slots]}
        self._steps.append(step)
        self._rewards.append(np.zeros(len(layout.REWARD_TERM_NAMES), np.float32))
        self._elapsed_steps.append(0)

    def add_results(self) -> None:
        """Add what the latest game steps have brought to the latest step of decision."""
        if self._steps:  # what comes before the first one is no decision's doing
            self._rewards[-1] += self._buffers["reward_terms"]
            self._elapsed_steps[-1] += int(self._elapsed[0])

    def rows(self, info: dict[str, Any]) -> PlayerGameRows:
        """Return all steps."""
        steps = self._steps
        joined = {key: _joined(steps, key, self._buffers[key]) for key in _ENTITY_KEYS}
        length, mask_size = len(layout.ACTION_COMPONENTS), layout.ACTION_MASK_SIZE
        decision = {
            "slot": _joined(steps, "slot", np.zeros(0, np.int64)),
            ACTION_MASK: _joined(steps, ACTION_MASK, np.zeros((0, mask_size), np.bool_)),
            "action": _joined(steps, "action", np.zeros((0, length), np.int64)),
        }
        terms, planes = len(layout.REWARD_TERM_NAMES), self._buffers[PLANES]
        return PlayerGameRows(
            info={
                **info,
                "outcome": int(self._flags["outcome"][0]),
                "terminated": bool(self._flags["terminated"][0]),
                "truncated": bool(self._flags["truncated"][0]),
            },
            sample={
                SCALARS: np.asarray([step[SCALARS] for step in steps], np.float32).reshape(len(steps), -1),
                PLANES: np.broadcast_to(planes, (len(steps), *planes.shape)),
            },
            entity_counts=np.asarray([len(step[ENTITY_CATEGORIES]) for step in steps], np.int64),
            entity=joined,
            decision_counts=np.asarray([len(step["slot"]) for step in steps], np.int64),
            decision=decision,
            result={
                "rewards": np.asarray(self._rewards, np.float32).reshape(len(steps), terms),
                "elapsed_steps": np.asarray(self._elapsed_steps, np.int32),
            },
        )


def _joined(steps: list[dict[str, _Array]], key: str, like: _Array) -> _Array:
    return np.concatenate([*(step[key] for step in steps), like[:0]])
