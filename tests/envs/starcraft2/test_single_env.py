from __future__ import annotations

import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  # registers the environments
from envs.errors import UnknownNameError
from envs.spaces import ACTION_MASK, SCALARS
from envs.starcraft2.actions import no_op
from envs.starcraft2.settings import StarCraft2Settings
from envs.starcraft2.single_env import StarCraft2Env

pytestmark = pytest.mark.usefixtures("stand_in")


def test_it_is_made_by_name_and_passes_gymnasiums_checks() -> None:
    env = gymnasium.make(
        "PerceiverStar/StarCraft2-v0", map_name="Flat32", opponent="very_easy", race="zerg", opponent_race="protoss"
    )
    with warnings.catch_warnings():
        # The checker advises against spaces without bounds or of other dtypes for images; ours are for neither.
        warnings.filterwarnings("ignore", message=".*WARN.*")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_sampled_actions_are_legal_and_an_episode_ends() -> None:
    env = StarCraft2Env(map_name="Flat32", opponent="cheat_insane", race="protoss")
    env.reset(seed=3)
    env.action_space.seed(0)
    kept, ended, total = None, False, 0.0
    for _ in range(3000):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        kept = kept or (observation, observation[SCALARS].copy())
        total += reward
        if terminated or truncated:
            ended = True
            break
    assert ended
    assert (total, info["outcome"], info["dropped"], truncated) == (-1, -1, False, False)
    assert kept is not None
    np.testing.assert_array_equal(kept[0][SCALARS], kept[1])  # an observation is not overwritten by later steps
    assert not observation[ACTION_MASK].any()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())
    env.close()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="opponent must be the name of an AI or 'none', got None"):
        StarCraft2Env(opponent=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="render_mode must be None, got 'human'"):
        StarCraft2Env(render_mode="human")
    with pytest.raises(UnknownNameError, match="did you mean map_name"):
        StarCraft2Env(mapname="Flat32")


def test_settings_may_be_given_whole_and_changed_by_name() -> None:
    settings = StarCraft2Settings(map_name="Flat32", max_game_loops=9, score_terms=("spent_minerals",))
    for changes in ({}, {"max_game_loops": 7}):
        env = StarCraft2Env(settings=settings, **changes)
        assert env.reward_term_names == ("win_loss", "spent_minerals")
        env.reset()
        action = no_op(512)
        action[1] = 99
        *_, truncated, info = env.step(action)
        assert (truncated, info["elapsed_steps"]) == (True, changes.get("max_game_loops", 9))
        env.close()


def test_it_pickles() -> None:
    env = StarCraft2Env(map_name="Flat32", opponent="easy:macro", max_game_loops=50)
    other = pickle.loads(pickle.dumps(env))
    first, second = (each.reset(seed=2)[0] for each in (env, other))
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert (other.restarts, other.version) == (0, env.version)
    env.close()
    other.close()
