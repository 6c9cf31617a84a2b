"""What a replay's player saw and decided as rows of a recording, and z, which is kept beside them.

z is hidden in the recorded scalars, so that who reads them can show it anew each time (`with_statistic`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.function_calls import COMPONENT_NAMES, DELAY
from envs.recordings import PlayerGameRows
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
from envs.starcraft2.human_statistics import HumanStatistic, statistic_from_json
from envs.starcraft2.replay_playback import RecordedDecision
from envs.starcraft2.scalars import SCALAR_SLICES, encode_statistic

ENTITY_ROW_KEYS = (ENTITY_CATEGORIES, ENTITY_VALUES, ENTITY_POSITIONS, ENTITY_CLASSES)
STATISTIC = "statistic"
_DELAY = COMPONENT_NAMES.index(DELAY)


def player_game_rows(
    decisions: Sequence[RecordedDecision],
    info: Mapping[str, Any],
    *,
    final_reward: float | None,
    extra: Mapping[str, Any] | None = None,
) -> PlayerGameRows:
    """Return consecutive steps of a player's game; waiting is a decision, what is no legal call is none.

    Args:
        decisions: what was seen and decided, at least one.
        info: of the player's game.
        final_reward: win or loss, at the last of these steps; None where the game goes on after them.
        extra: more facts.
    """
    observations = [decision.observation for decision in decisions]
    counts = np.asarray([int(observation[ENTITY_MASK].sum()) for observation in observations], np.int64)
    legal = [decision for decision in decisions if not decision.left_out]
    masks = [decision.observation[ACTION_MASK] for decision in legal]
    mask_size, call_size = len(observations[0][ACTION_MASK]), len(decisions[0].call)
    rewards = np.zeros((len(decisions), 1), np.float32)
    rewards[-1] = final_reward or 0
    return PlayerGameRows(
        info=info,
        sample={key: np.stack([observation[key] for observation in observations]) for key in (SCALARS, PLANES)},
        entity_counts=counts,
        entity={
            key: np.concatenate([each[key][:count] for each, count in zip(observations, counts, strict=True)])
            for key in ENTITY_ROW_KEYS
        },
        decision_counts=np.asarray([not decision.left_out for decision in decisions], np.int64),
        decision={
            ACTION_MASK: np.asarray(masks, np.bool_).reshape(-1, mask_size),
            "action": np.asarray([each.call for each in legal], np.int64).reshape(-1, call_size),
        },
        result={
            "rewards": rewards,
            "elapsed_steps": np.asarray([decision.call[_DELAY] + 1 for decision in decisions], np.int32),
            "game_loop": np.asarray([decision.game_loop for decision in decisions], np.int32),
        },
        extra=extra or {},
    )


def statistic_of(extra: Mapping[str, Any]) -> HumanStatistic | None:
    """Return z of a player's game from what a recording holds beside it; None where it is not known."""
    stored = extra.get(STATISTIC)
    return None if stored is None else statistic_from_json(stored)


def with_statistic(scalars: NDArray[np.float32], shown: Statistic | None) -> NDArray[np.float32]:
    """Return a copy of scalars [..., S] that shows z."""
    scalars = scalars.copy()
    scalars[..., SCALAR_SLICES["build_order_given"].start :] = encode_statistic(shown or Statistic())
    return scalars
