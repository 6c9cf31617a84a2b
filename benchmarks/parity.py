"""Plays the same games through our environment and through the packaged client, and counts every difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from packaged_client import PackagedClient

from envs.microrts import MicroRTSVectorEnv
from envs.microrts.layout import AWAITS_ORDER
from envs.spaces import sample_unit_actions

DEFAULT_OPPONENTS = (
    "LightDefense",
    "WorkerRush",
    "LightRush",
    "HeavyRush",
    "RangedRush",
    "PassiveAI",
    "WorkerDefense",
    "RangedDefense",
)
DEFAULT_MAPS = ("maps/16x16/basesWorkers16x16A.xml", "maps/8x8/basesWorkers8x8A.xml", "maps/NoWhereToRun9x8.xml")


def compare(
    *,
    game_steps: int,
    map_paths: Sequence[str] = DEFAULT_MAPS,
    opponents: Sequence[str] = DEFAULT_OPPONENTS,
    max_steps: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return how many of `game_steps` game steps, shared out over maps and sides, differ in masks, rewards or endings.

    The opponents must not throw dice, as the packaged client cannot seed them; this leaves out CoacAI and mayari, which
    do when they find no path.
    """
    mismatches = {"masks": 0, "rewards": 0, "endings": 0}
    played = 0
    episodes = 0
    settings = [(map_path, player) for map_path in map_paths for player in (0, 1)]
    for map_path, player in settings:
        pair = _Pair(map_path, opponents, player, max_steps, seed)
        for _ in range(-(-game_steps // (len(settings) * len(opponents)))):
            for name, count in pair.step().items():
                mismatches[name] += count
            played += len(opponents)
        episodes += pair.episodes
    return {
        "parity_game_steps": played,
        "parity_episodes": episodes,
        "parity_mismatches": sum(mismatches.values()),
        "parity_mismatches_by_kind": mismatches,
        "parity_maps": list(map_paths),
        "parity_opponents": list(opponents),
    }


class _Pair:
    """The same games, played both ways with the same actions."""

    def __init__(self, map_path: str, opponents: Sequence[str], player: int, max_steps: int, seed: int) -> None:
        self.env = MicroRTSVectorEnv(
            map_path=map_path,
            opponents=opponents,
            agent_players=[player] * len(opponents),
            max_steps=max_steps,
            canonical_orientation=False,
            seed=seed,
        )
        self.client = PackagedClient(map_path, opponents, player=player, max_steps=max_steps)
        self.generator = np.random.default_rng(seed)
        self.observation = self.env.reset()[0]
        self.client.reset()
        self.episodes = 0

    def step(self) -> dict[str, int]:
        """Play one step and return in how many games each kind of result differs."""
        self.client.number_units()
        theirs = self.client.masks()
        ours = self._masks_as_grid(theirs.shape)
        actions = sample_unit_actions(self.observation["action_mask"], self.env.single_action_space, self.generator)
        _, their_terms, their_ends = self.client.step(self._orders(actions))
        self.observation, _, terminated, truncated, infos = self.env.step(actions)
        ends = terminated | truncated
        differences = {
            "masks": int((ours != theirs).any((1, 2, 3)).sum()),
            "rewards": int((np.abs(infos["reward_terms"] - their_terms) > 1e-6).any(1).sum()),
            "endings": int((ends != their_ends).sum()),
        }
        if ends.any():
            self.episodes += int(ends.sum())
            self.observation = self.env.reset(options={"reset_mask": ends.copy()})[0]
        return differences

    def _waiting(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        game, slot = np.nonzero(self.observation["entity_categories"][:, :, AWAITS_ORDER])
        return game, slot

    def _masks_as_grid(self, shape: tuple[int, ...]) -> NDArray[np.int32]:
        game, slot = self._waiting()
        x, y = self.observation["entity_positions"][game, slot].T
        grid = np.zeros(shape, np.int32)
        grid[game, y, x, 0] = 1
        grid[game, y, x, 1:] = self.observation["action_mask"][game, slot]
        return grid

    def _orders(self, actions: NDArray[np.int64]) -> list[NDArray[np.int32]]:
        """Return the same orders in the packaged client's form, in the order of our slots."""
        game, slot = self._waiting()
        x, y = self.observation["entity_positions"][game, slot].T
        orders = np.concatenate([(x + self.env.width * y)[:, None], actions[game, slot]], 1).astype(np.int32)
        return np.split(orders, np.searchsorted(game, np.arange(1, len(actions))))
