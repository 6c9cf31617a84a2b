from __future__ import annotations

import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs
from envs.microrts import MicroRTSEnv
from envs.registration import register_environments
from envs.spaces import ACTION_MASK
from tests.envs.microrts.games import MAP_8

ENV_ID = "PerceiverStar/MicroRTS-v0"


@pytest.mark.parametrize("agent_player", [0, 1])
def test_gymnasium_finds_no_fault(agent_player: int) -> None:
    env = gymnasium.make(
        ENV_ID,
        map_path=MAP_8,
        opponent="RandomBiasedAI",
        agent_player=agent_player,
        max_steps=300,
        render_mode="rgb_array",
    )
    check_env(env.unwrapped)
    env.close()


def test_importing_envs_registers_and_registering_again_changes_nothing() -> None:
    assert envs.__name__ == "envs"
    before = gymnasium.registry[ENV_ID]
    register_environments()
    assert gymnasium.registry[ENV_ID] is before


def test_importing_envs_loads_no_game() -> None:
    script = "import sys, envs; assert not {'jpype', 'torch', 'envs.microrts'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_sampled_actions_are_legal_and_a_game_can_be_played_to_its_end() -> None:
    env = MicroRTSEnv(opponent="WorkerRush", max_steps=400)
    env.action_space.seed(0)
    env.reset(seed=0)
    ended = False
    while not ended:
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        ended = terminated or truncated
        assert reward == pytest.approx(float(info["reward_terms"] @ env.reward_weights))
    assert info["outcome"] in (-1, 0, 1)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())
    assert observation[ACTION_MASK].shape == (64, 78)
    env.close()


def test_observations_are_the_callers_own() -> None:
    env = MicroRTSEnv()
    first, _ = env.reset(seed=0)
    kept = {key: value.copy() for key, value in first.items()}
    for _ in range(20):
        env.step(env.action_space.sample())
    assert all(np.array_equal(first[key], kept[key]) for key in kept)
    env.close()


def test_render_needs_a_mode_and_a_reset() -> None:
    env = MicroRTSEnv()
    env.reset(seed=0)
    assert env.render() is None
    env.close()
    pictured = MicroRTSEnv(render_mode="rgb_array")
    with pytest.raises(gymnasium.error.ResetNeeded):
        pictured.render()
    pictured.reset(seed=0)
    picture = pictured.render()
    assert picture is not None
    assert picture.dtype == np.uint8
    pictured.close()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="render_mode must be"):
        MicroRTSEnv(render_mode="human")
    with pytest.raises(ValueError, match="name of an AI"):
        MicroRTSEnv(opponent=None)  # type: ignore[arg-type]


def test_pickling_keeps_the_settings() -> None:
    env = pickle.loads(pickle.dumps(MicroRTSEnv(opponent="LightRush", agent_player=1, max_steps=12)))
    assert env.observation_space.contains(env.reset(seed=0)[0])
    env.close()
