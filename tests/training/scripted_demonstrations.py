"""A recording that is made up in memory: what each of its steps holds is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from agent.interface import PackedObservation
from envs.spaces import ACTION_MASK, SCALARS
from tests.agent import games
from training.demonstrations import PlayerGame, RecordedSteps

REWARD_TERMS = ("win", "harvest")


class ScriptedDemonstrations:
    """Games of units. Step s of player game g has the scalars (g, s, 0), and s % 3 units decide to wait.

    At steps 1, 6, 11, ... they do not, but decide by the second choices.

    Its rewards are (1, s), and s + 1 game steps pass.

    Args:
        lengths: steps of each player game; games 2n and 2n + 1 are the two sides of game n.
        outcomes: of each player game; by default the first side wins.
    """

    def __init__(self, lengths: Sequence[int], outcomes: Sequence[int] = ()) -> None:
        self.manifest: Any = SimpleNamespace(reward_term_names=REWARD_TERMS)
        self.player_games = tuple(
            PlayerGame(
                game=index // 2,
                player=("Ann", "Bob")[index % 2],
                opponent=("Bob", "Ann")[index % 2],
                side=index % 2,
                outcome=outcomes[index] if outcomes else 1 - 2 * (index % 2),
                seed=index // 2,
                num_steps=length,
            )
            for index, length in enumerate(lengths)
        )

    def read(
        self, index: int, first: int = 0, length: int | None = None, *, only_decided: bool = False
    ) -> RecordedSteps:
        num_steps = self.player_games[index].num_steps
        steps = np.arange(num_steps)[first : None if length is None else first + length]
        last = steps == num_steps - 1
        observations = self._observations(index, steps)
        return RecordedSteps(
            observations=replace(observations, sample={}, entity={}) if only_decided else observations,
            rewards=np.stack([np.ones(len(steps)), steps], 1).astype(np.float32),
            elapsed_steps=steps + 1,
            terminated=last,
            truncated=np.zeros_like(last),
        )

    def _observations(self, index: int, steps: Any) -> PackedObservation:
        packed = games.random_units(index, [4] * self.player_games[index].num_steps)
        entities = np.repeat(np.isin(np.arange(len(packed)), steps), packed.entity_counts)
        counts = steps % 3
        slots = np.concatenate([np.zeros(0, np.int64), *(np.arange(count) for count in counts)])
        size = games.unit_action_space().mask_size
        decision = {
            "slot": slots,
            ACTION_MASK: np.ones((len(slots), size), bool),
            "action": np.repeat(steps % 5 == 1, counts)[:, None] * np.ones((1, 3), np.int64),
        }
        sample = {key: value[steps] for key, value in packed.sample.items()}
        sample[SCALARS] = np.stack([np.full(len(steps), index), steps, 0 * steps], 1).astype(np.float32)
        entity = {key: value[entities] for key, value in packed.entity.items()}
        return PackedObservation(sample, packed.entity_counts[steps], entity, counts, decision)
