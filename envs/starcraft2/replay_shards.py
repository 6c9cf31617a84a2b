"""Shards: games of humans (or agents) as arrays on disk, for imitation; plain .npz files without pickled objects.

A shard holds T consecutive decisions of one player: observations in the layout of `envs.spaces` with only the real
entities (`entity_counts` tells how many each has), and the decision made on each. z is kept beside them and written
into the scalars where they are used, so that it can be hidden anew each time.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.spaces import (
    ACTION_MASK,
    ENTITY_CATEGORIES,
    ENTITY_CLASSES,
    ENTITY_MASK,
    ENTITY_POSITIONS,
    ENTITY_VALUES,
    PLANES,
    SCALARS,
)
from envs.starcraft2.conditioning import Statistic
from envs.starcraft2.functions import FUNCTIONS
from envs.starcraft2.human_statistics import HumanStatistic, statistic_from_json, statistic_to_json
from envs.starcraft2.scalars import SCALAR_SLICES, encode_statistic

FORMAT_VERSION = 1
ENTITY_ROW_KEYS = (ENTITY_CATEGORIES, ENTITY_VALUES, ENTITY_POSITIONS, ENTITY_CLASSES)
_ROW_KEYS = (SCALARS, PLANES, "action", "is_order", "game_loop", "entity_counts")
_HEADER = "header"


@dataclass(frozen=True, kw_only=True)
class ShardHeader:
    """What a shard shows.

    Attributes:
        source: where it is from, such as the name of a replay.
        player_id: 1 or 2.
        first_decision: how many decisions of the same player's game stand in shards before this one.
        is_last: whether the game ends with it.
        max_entities: entity slots of the observations; the selected value that ends a selection.
        outcome: +1 won, 0 drawn or not known, -1 lost.
        mmr: the player's rating, 0 where it is not known.
        version: facts of the game's version (`version.GameVersion.facts`).
        layout: `observation.layout_sha256()` of the observations and actions.
    """

    source: str
    player_id: int
    first_decision: int
    is_last: bool
    max_entities: int
    outcome: int
    mmr: int
    version: Mapping[str, Any]
    layout: str


@dataclass(frozen=True)
class Shard:
    """T decisions of one player.

    Attributes:
        header: what it shows.
        statistic: z of the player's whole game, None where it is not known.
        arrays: `entity_counts` [T]; entity rows of all observations one after the other, by key; `scalars` [T, S]
            with z hidden; `planes`; `action_mask` bool [T, F]; `action` int32 [T, 6 + K]; `is_order` bool [T], False
            where the player waited or its action is none of ours; `game_loop` [T].
    """

    header: ShardHeader
    statistic: HumanStatistic | None
    arrays: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        """Number of decisions."""
        return len(self.arrays["action"])

    def observation(self, index: int, shown: Statistic | None = None) -> dict[str, NDArray[Any]]:
        """Return one padded observation in the layout of `envs.spaces`.

        Args:
            index: which decision it belongs to.
            shown: what is shown of z; None hides it all.
        """
        counts, size = self.arrays["entity_counts"], self.header.max_entities
        first, count = int(counts[:index].sum()), int(counts[index])
        observation = {}
        for key in ENTITY_ROW_KEYS:
            rows = self.arrays[key]
            padded = np.zeros((size, *rows.shape[1:]), rows.dtype)
            padded[:count] = rows[first : first + count]
            observation[key] = padded
        observation[ENTITY_MASK] = (np.arange(size) < count).astype(np.int8)
        observation[SCALARS] = with_statistic(self.arrays[SCALARS][index], shown)
        observation[PLANES] = self.arrays[PLANES][index]
        observation[ACTION_MASK] = self.arrays[ACTION_MASK][index].astype(np.int8)
        return observation


def with_statistic(scalars: NDArray[np.float32], shown: Statistic | None) -> NDArray[np.float32]:
    """Return a copy of scalars [..., S] that shows z."""
    scalars = scalars.copy()
    scalars[..., SCALAR_SLICES["build_order_given"].start :] = encode_statistic(shown or Statistic())
    return scalars


def join_rows(
    observations: Sequence[Mapping[str, NDArray[Any]]],
    decisions: Sequence[tuple[NDArray[np.int64], bool, int]],
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a shard.

    Args:
        observations: padded ones, with their masks of functions.
        decisions: the call, whether it is an order of the player, and the game loop of each.
    """
    counts = [int(observation[ENTITY_MASK].sum()) for observation in observations]
    arrays: dict[str, NDArray[Any]] = {
        key: np.concatenate([each[key][:count] for each, count in zip(observations, counts, strict=True)])
        for key in ENTITY_ROW_KEYS
    }
    for key in (SCALARS, PLANES):
        arrays[key] = np.stack([observation[key] for observation in observations])
    arrays[ACTION_MASK] = np.stack([observation[ACTION_MASK] for observation in observations]).astype(np.bool_)
    arrays["entity_counts"] = np.asarray(counts, np.int32)
    arrays["action"] = np.stack([call for call, _, _ in decisions]).astype(np.int32)
    arrays["is_order"] = np.asarray([ordered for _, ordered, _ in decisions], np.bool_)
    arrays["game_loop"] = np.asarray([game_loop for _, _, game_loop in decisions], np.int32)
    return arrays


def write_shard(path: Path, shard: Shard) -> None:
    """Write a shard, whole or not at all."""
    header = {
        "version": FORMAT_VERSION,
        "header": asdict(shard.header),
        "statistic": None if shard.statistic is None else statistic_to_json(shard.statistic),
    }
    arrays: dict[str, Any] = {**shard.arrays, ACTION_MASK: np.packbits(shard.arrays[ACTION_MASK], axis=1)}
    arrays[_HEADER] = np.array(json.dumps(header))
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".shard-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez_compressed(file, **arrays)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_shard(path: Path) -> Shard:
    """Return a shard from its file.

    Raises:
        ValueError: if the file is none of `write_shard`, or of another version.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        content = json.loads(str(arrays.pop(_HEADER)))
        if content["version"] != FORMAT_VERSION:
            raise ValueError(f"version {content['version']}, expected {FORMAT_VERSION}")
        missing = {*ENTITY_ROW_KEYS, *_ROW_KEYS, ACTION_MASK} - set(arrays)
        if missing:
            raise ValueError(f"no arrays {sorted(missing)}")
        header = ShardHeader(**content["header"])
        statistic = content["statistic"] and statistic_from_json(content["statistic"])
    except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no shard of this software: {type(error).__name__}: {error}") from error
    arrays[ACTION_MASK] = np.unpackbits(arrays[ACTION_MASK], axis=1, count=len(FUNCTIONS)).astype(np.bool_)
    return Shard(header, statistic, arrays)
