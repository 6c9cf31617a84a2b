"""A short game between two controlled players of the stand-in, saved as a replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.function_calls import sample_function_call
from envs.spaces import ACTION_MASK, ENTITY_CLASSES
from envs.starcraft2.actions import no_op
from envs.starcraft2.settings import StarCraft2Settings
from envs.starcraft2.vector_env import StarCraft2VectorEnv
from tests.starcraft2_standin.install import install


@dataclass(frozen=True)
class Played:
    """A replay and what its two players decided: game loop and call of each, in order."""

    folder: Path
    replay: Path
    calls: tuple[list[tuple[int, np.ndarray]], list[tuple[int, np.ndarray]]]


def play_for_replay(directory: Path, game_loops: int) -> Played:
    """Play a short game of random legal calls between two controlled players of the stand-in."""
    folder = install(directory)
    replays = directory.with_name(f"{directory.name}-replays")
    generator = np.random.default_rng(0)
    calls: tuple[list[Any], list[Any]] = ([], [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SC2PATH", str(folder))
        settings = StarCraft2Settings(
            map_name="Flat32", race="terran", opponent_race="zerg", max_game_loops=game_loops, replay_directory=replays
        )
        env = StarCraft2VectorEnv(settings, [None], seed=3)
        try:
            _play(env, generator, calls)
        finally:
            env.close()
    return Played(folder, next(replays.glob("*.SC2Replay")), calls)


def _play(env: StarCraft2VectorEnv, generator: np.random.Generator, calls: tuple[list[Any], list[Any]]) -> None:
    observation, _ = env.reset(seed=3)
    now, ended = 0, False
    while not ended:
        actions = np.tile(no_op(512), (2, 1))
        for row in np.flatnonzero(observation[ACTION_MASK].any(1)):
            mask, classes = observation[ACTION_MASK][row], observation[ENTITY_CLASSES][row]
            actions[row] = sample_function_call(mask, classes, env.single_action_space, generator)
            actions[row, 1] = generator.integers(2, 12)
            calls[row].append((now, actions[row].copy()))
        observation, _, terminated, truncated, infos = env.step(actions)
        assert not infos["dropped"].any()
        now += int(infos["elapsed_steps"][0])
        ended = bool((terminated | truncated).any())
