"""One observation of StarCraft II, from the game's protobuf to the layout of `envs.spaces`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.spaces import (
    ACTION_MASK,
    ENTITY_CLASSES,
    ENTITY_KEYS,
    ENTITY_VALUES,
    PLANES,
    SCALARS,
    VALUE_SCALARS,
    entity_spaces,
)
from envs.starcraft2 import conditioning, planes, scalars, tables
from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.conditioning import Statistic
from envs.starcraft2.coordinates import GRID_SIZE, Grid
from envs.starcraft2.entity_classes import NUM_SELECTION_CLASSES, TARGET_CLASS_NAMES
from envs.starcraft2.entity_columns import CATEGORY_SIZES, MAX_ENTITIES, PLACEHOLDER, VALUE_NAMES
from envs.starcraft2.functions import FUNCTIONS
from envs.starcraft2.native_planes import native_minimap
from envs.starcraft2.raw_units import COLUMN
from envs.starcraft2.scalars import LastAction
from envs.starcraft2.unit_encoder import unit_encoder

NUMBER_LIMIT = 1000.0
_ENTITY_ARRAYS = (*ENTITY_KEYS, ENTITY_CLASSES)
_WRITTEN_KEYS = (*_ENTITY_ARRAYS, SCALARS, PLANES)


@dataclass(frozen=True)
class EncodedObservation:
    """An observation in the layout, and the facts beside it that orders and action masks need.

    Attributes:
        arrays: the observation by key, without `action_mask` and `value_scalars`.
        tags: int64 [max_entities], the game's tag of each slot; 0 for effects and padding.
        raw_units: int64 [N, 46], pysc2's `raw_units` of every unit and passenger, nothing cut, in the game's order.
        player: int32 [11], pysc2's player vector (`scalars.PLAYER_NAMES`).
        upgrades: int32 ids of the player's upgrades.
        score: float64 [77] (`scalars.SCORE_NAMES`, then `SCORE_DETAIL_NAMES`).
        game_loop: the game's clock, 22.4 loops a second.
    """

    arrays: dict[str, NDArray[Any]]
    tags: NDArray[np.int64]
    raw_units: NDArray[np.int64]
    player: NDArray[np.int32]
    upgrades: NDArray[np.int32]
    score: NDArray[np.float64]
    game_loop: int


class ObservationEncoder:
    """Encodes what one player sees in one game. Not to be shared between threads.

    Attributes:
        grid: the grid of entity positions and target points on this map.
    """

    def __init__(
        self,
        game_info: Any,
        *,
        max_entities: int = MAX_ENTITIES,
        statistic: Statistic | None = None,
        away_race_hidden: bool = False,
    ) -> None:
        """Prepare for a game.

        Args:
            game_info: the `ResponseGameInfo` of the game, joined with the raw interface and a minimap of 128 x 128.
            statistic: z of this game; None for none.
            away_race_hidden: whether the opponent's race is left out (AlphaStar: in 10 % of the games).

        Raises:
            ValueError: if `game_info` has no map size.
        """
        self.grid = Grid(game_info.start_raw.map_size)
        self.max_entities = max_entities
        space = observation_space(max_entities=max_entities)
        self._specs: dict[str, Any] = {key: (space[key].shape, space[key].dtype) for key in _WRITTEN_KEYS}
        self._units, self._minimap = unit_encoder(self.grid), native_minimap()
        self._races = {player.player_id: _known_races(player) for player in game_info.player_info}
        self._away_race_hidden = away_race_hidden
        self._constant_of: int | None = None
        self._constant = np.zeros(scalars.NUM_SCALARS, np.float32)
        self._constant[scalars.SCALAR_SLICES["build_order_given"].start :] = scalars.encode_statistic(
            statistic or Statistic()
        )

    def empty_arrays(self) -> dict[str, NDArray[Any]]:
        """Return zeroed arrays that `encode` can fill."""
        return {key: np.zeros(shape, dtype) for key, (shape, dtype) in self._specs.items()}

    def encode(
        self,
        observation: Any,
        *,
        last_action: LastAction | None = None,
        arrays: Mapping[str, NDArray[Any]] | None = None,
        answer: bytes | None = None,
    ) -> EncodedObservation:
        """Return the observation that a `ResponseObservation`, a message or its bytes, holds.

        Args:
            last_action: the decision before it, None at the start of a game.
            arrays: where to write in full, rows of a batch for instance: every key but `action_mask` and
                `value_scalars`; default new arrays.
            answer: the Response in which it came, as bytes, where they are at hand: units are faster read from them.

        Raises:
            ValueError: if a minimap layer has another size than the planes.
        """
        if isinstance(observation, bytes):
            observation = sc_pb.ResponseObservation.FromString(observation)
        state = observation.observation
        arrays = self.empty_arrays() if arrays is None else arrays
        entities = {key: arrays[key] for key in _ENTITY_ARRAYS}
        units, tags = self._units.encode(state.raw_data, entities, last_action, answer)
        if answer is None or self._minimap is None or not self._minimap.write(answer, arrays[PLANES]):
            planes.write_minimap(state.feature_layer_data.minimap_renders, arrays[PLANES])
        encoded = EncodedObservation(
            arrays={key: arrays[key] for key in _WRITTEN_KEYS},
            tags=tags,
            raw_units=units,
            player=scalars.player_vector(state),
            upgrades=np.asarray(state.raw_data.player.upgrade_ids, np.int32),
            score=scalars.score_vector(state),
            game_loop=state.game_loop,
        )
        self._write_scalars(encoded, last_action)
        return encoded

    def _write_scalars(self, encoded: EncodedObservation, last_action: LastAction | None) -> None:
        values, player_id = encoded.arrays[SCALARS], int(encoded.player[0])
        if player_id != self._constant_of:
            home = self._races.get(player_id, (0, 0))[1]
            others = [requested for other, (requested, _) in self._races.items() if other != player_id]
            scalars.write_races(self._constant, home, 0 if self._away_race_hidden or not others else others[0])
            self._constant_of = player_id
        values[:] = self._constant
        scalars.write_last_action(values, last_action)
        units = encoded.raw_units
        scalars.write_game_state(
            values,
            player=encoded.player,
            upgrades=encoded.upgrades,
            unit_type_indices=tables.unit_type_index(units[:, COLUMN["unit_type"]]),
            # What is only about to be built belongs to nobody yet.
            alliances=units[:, COLUMN["alliance"]] * (units[:, COLUMN["display_type"]] != PLACEHOLDER),
            score=encoded.score,
            game_loop=encoded.game_loop,
        )


def _known_races(player: Any) -> tuple[int, int]:
    """Return the race that others know a player by, the requested one, and the one that the player plays."""
    return player.race_requested, player.race_actual or player.race_requested


def observation_space(
    *, max_entities: int = MAX_ENTITIES, minimap_size: int = planes.MINIMAP_SIZE, with_value_scalars: bool = False
) -> spaces.Dict:
    """Return the space of what one player sees, the mask of functions included.

    Args:
        with_value_scalars: whether the value functions see the opponent's state (`scalars.value_scalars`).
    """
    categories = list(CATEGORY_SIZES.values())
    entities = entity_spaces(
        max_entities=max_entities,
        category_sizes=categories,
        num_values=len(VALUE_NAMES),
        width=GRID_SIZE,
        height=GRID_SIZE,
    )
    plane_highs = np.asarray(planes.PLANE_HIGHS, np.uint8)[:, None, None]
    plane_shape = (len(planes.PLANE_NAMES), minimap_size, minimap_size)
    class_highs = np.asarray([NUM_SELECTION_CLASSES - 1, len(TARGET_CLASS_NAMES) - 1], np.int32)
    class_highs = np.tile(class_highs, (max_entities, 1))
    observation: dict[str, spaces.Space[Any]] = {
        **entities,
        ENTITY_VALUES: spaces.Box(-NUMBER_LIMIT, NUMBER_LIMIT, (max_entities, len(VALUE_NAMES)), np.float32),
        ENTITY_CLASSES: spaces.Box(np.zeros_like(class_highs), class_highs, dtype=np.int32),
        SCALARS: spaces.Box(-NUMBER_LIMIT, NUMBER_LIMIT, (scalars.NUM_SCALARS,), np.float32),
        PLANES: spaces.Box(np.zeros(plane_shape, np.uint8), np.broadcast_to(plane_highs, plane_shape), dtype=np.uint8),
        ACTION_MASK: spaces.Box(0, 1, (len(FUNCTIONS),), np.int8),
    }
    if with_value_scalars:
        size = (scalars.NUM_VALUE_SCALARS,)
        observation[VALUE_SCALARS] = spaces.Box(-NUMBER_LIMIT, NUMBER_LIMIT, size, np.float32)
    return spaces.Dict(observation)


def layout_sha256() -> str:
    """Return a hash of everything that gives a column of observations or actions its meaning."""
    ids = [tables.UNIT_TYPE_IDS, tables.BUFF_IDS, tables.UPGRADE_IDS, tables.EFFECT_IDS]
    names = [VALUE_NAMES, planes.PLANE_NAMES, TARGET_CLASS_NAMES, scalars.SCORE_NAMES, scalars.SCORE_DETAIL_NAMES]
    sizes = [CATEGORY_SIZES, scalars.SCALAR_PART_SIZES, NUM_SELECTION_CLASSES, GRID_SIZE, planes.MINIMAP_SIZE]
    items = [conditioning.BUILD_UNIT_TYPES, conditioning.BUILD_UPGRADES]
    functions = [(function.index, function.name, function.arguments) for function in FUNCTIONS]
    return hashlib.sha256(json.dumps([ids, names, sizes, items, functions]).encode()).hexdigest()
