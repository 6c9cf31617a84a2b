"""One controlled player of a game: what it sees, what it may order, what it gets; one row of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.spaces import ACTION_MASK, ENTITY_CLASSES, ENTITY_MASK, SCALARS, VALUE_SCALARS
from envs.starcraft2 import actions
from envs.starcraft2.action_masks import FunctionMasks
from envs.starcraft2.functions import FUNCTIONS
from envs.starcraft2.game import View
from envs.starcraft2.guidance import EpisodeGuidance
from envs.starcraft2.limits import ActionBudget
from envs.starcraft2.names import RACE_NAMES
from envs.starcraft2.observation import EncodedObservation, ObservationEncoder
from envs.starcraft2.rewards import PSEUDO_REWARD_NAMES
from envs.starcraft2.scalars import LastAction, value_scalars
from envs.starcraft2.settings import StarCraft2Settings, allowed_functions, score_term_columns

SCORE_TERM_UNIT = 1000.0
"""Points of the score that make a reward of 1: the minerals and vespene of a small army."""
_NO_OP = 0


class Player:
    """Fills the arrays of one row.

    The reward is win and loss, with the pseudo-rewards after it where there is a guidance; or the map's score. After
    them stand the terms of the score.

    Args:
        arrays: of the row, by name (see `row_buffers`); written into.
        settings: what it may order, how often, what it is rewarded for.
        is_scored: whether the reward is the map's score.

    Attributes:
        next_decision: game loop of its next decision.
    """

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], settings: StarCraft2Settings, *, is_scored: bool = False
    ) -> None:
        self._arrays, self._settings, self._is_scored = arrays, settings, is_scored
        self._allowed = allowed_functions(settings.functions)
        self._score_terms = score_term_columns(settings.score_terms)
        self._followed: EpisodeGuidance | None = None
        self._budget = ActionBudget(settings.limits)
        self._encoder: ObservationEncoder | None = None
        self._seen: EncodedObservation | None = None
        self._masks: FunctionMasks | None = None
        self._last_action: LastAction | None = None
        self.next_decision = 0

    def begin(
        self, game_info: Any, view: View, masks: FunctionMasks, *, map_name: str, generator: np.random.Generator
    ) -> None:
        """Begin an episode.

        Args:
            game_info: the episode's ResponseGameInfo.
            view: what the player sees first.
            masks: which functions can be called in this version of the game.
            map_name: the map.
            generator: draws the human statistic to follow, and whether the opponent's race is hidden.
        """
        self._budget = ActionBudget(self._settings.limits)
        self._masks = masks
        self._followed = None
        guidance = self._settings.guidance
        if guidance is not None:
            race, opponent_race = _races(game_info, view.message.observation.player_common.player_id)
            self._followed = guidance.begin(generator, race=race, opponent_race=opponent_race, map_name=map_name)
        self._encoder = ObservationEncoder(
            game_info,
            max_entities=len(self._arrays[ENTITY_MASK]),
            statistic=self._followed.shown if self._followed else None,
            away_race_hidden=generator.random() < self._settings.hide_opponent_race,
        )
        self._last_action = None
        self._seen = None
        self.next_decision = int(view.message.observation.game_loop)
        self.see(view)

    @property
    def is_asked(self) -> bool:
        """Whether its arrays hold an observation that asks for a decision."""
        return bool(self._arrays[ACTION_MASK].any())

    @property
    def outcome(self) -> int:
        """+1 won, 0 drawn or not over, -1 lost."""
        return int(self._arrays["outcome"][0])

    def orders(self, action: NDArray[np.int64], game_loop: int) -> list[Any]:
        """Return the sc_pb.Action of a decision [6 + K] that is taken now, and plan the next decision."""
        seen, encoder = self._seen, self._encoder
        assert seen is not None
        assert encoder is not None
        orders = actions.to_protobuf(action, seen.tags, encoder.grid)
        if action[0] != _NO_OP:
            self._budget.record(game_loop)
        self.next_decision = self._budget.next_decision(game_loop, actions.delay(action))
        self._last_action = actions.last_action(action, seen.tags)
        return orders

    def see(self, view: View, *, outcome: int | None = None, truncated: bool = False) -> None:
        """Write what the player sees and its results into the arrays.

        Args:
            outcome: +1, 0 or -1 where the episode has ended, None where it goes on.
            truncated: whether its time is up.
        """
        assert self._encoder is not None
        arrays, before = self._arrays, self._seen
        seen = self._encoder.encode(view.message, last_action=self._last_action, arrays=arrays, answer=view.answer)
        arrays["terminated"][0] = outcome is not None
        arrays["truncated"][0] = truncated
        arrays["outcome"][0] = outcome or 0
        if before is not None:
            arrays["elapsed_steps"][0] = seen.game_loop - before.game_loop
            arrays["reward_terms"][0] = seen.score[0] - before.score[0] if self._is_scored else outcome or 0
            growth = seen.score[self._score_terms] - before.score[self._score_terms]
            arrays["reward_terms"][len(arrays["reward_terms"]) - len(growth) :] = growth / SCORE_TERM_UNIT
        if self._followed is not None:
            effects = view.message.observation.raw_data.effects
            arrays["reward_terms"][1 : 1 + len(PSEUDO_REWARD_NAMES)] = self._followed.step(
                seen, effects, self._encoder.grid
            )
        self._seen = seen
        arrays[ACTION_MASK][:] = 0
        if outcome is None and not truncated and seen.game_loop >= self.next_decision:
            arrays[ACTION_MASK][:] = self._function_mask(seen)

    def share_opponent(self, opponent: Player) -> None:
        """Show the value functions what the opponent's observation tells."""
        self._arrays[VALUE_SCALARS][:] = value_scalars(opponent._arrays[SCALARS])

    def drop(self) -> None:
        """End the episode because the game failed; the observation stays the last one, or what there is of the next."""
        self._arrays[ACTION_MASK][:] = 0
        for name in ("terminated", "outcome", "elapsed_steps", "reward_terms"):
            self._arrays[name][:] = 0
        self._arrays["truncated"][0] = self._arrays["dropped"][0] = True

    def _function_mask(self, seen: EncodedObservation) -> NDArray[np.int8]:
        assert self._masks is not None
        if self._budget.allows_order(seen.game_loop):
            return self._allowed & self._masks.of(seen, self._arrays[ENTITY_CLASSES])
        mask = np.zeros(len(FUNCTIONS), np.int8)
        mask[_NO_OP] = 1
        return mask


def _races(game_info: Any, player_id: int) -> tuple[str, str | None]:
    """Return the race a player plays, and its opponent's where that is known and there is one."""
    mine, others = "random", None
    for player in game_info.player_info:
        race = RACE_NAMES.get(player.race_actual or player.race_requested, "random")
        if player.player_id == player_id:
            mine = race
        elif race != "random":
            others = race
    return mine, others
