"""The batched contract of GymnasiumVectorEnv, with plain Gymnasium environments as the oracle."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from envs.function_calls import SELECTED, FunctionCallSpace
from envs.gymnasium_adapter import GymnasiumVectorEnv
from envs.spaces import ACTION_MASK


class Countdown(gymnasium.Env[Any, Any]):
    """Ends after `length` steps with reward `reward` each; observes the steps left and remembers what it was given."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def __init__(self, action_space: spaces.Space[Any] | None = None, length: int = 3, reward: float = 1.0) -> None:
        self.action_space = spaces.Discrete(2) if action_space is None else action_space
        self.length, self.reward, self.left = length, reward, 0
        self.actions: list[Any] = []
        self.seeds: list[int | None] = []
        self.options: list[dict[str, Any] | None] = []
        self.closed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.options.append(options)
        self.left = self.length
        return np.array([self.left], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.actions.append(action)
        self.left -= 1
        return np.array([self.left], np.float32), self.reward, self.left == 0, False, {}

    def close(self) -> None:
        self.closed = True


class Masked(Countdown):
    """Allows only the action that `allowed` gives, and forgets its mask where that is None."""

    allowed: Any = (0, 1, 0)

    def __init__(self, action_space: spaces.Space[Any] | None = None, length: int = 3) -> None:
        super().__init__(spaces.Discrete(3) if action_space is None else action_space, length)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        return super().reset(**kwargs)[0], {"action_mask": np.array(self.allowed, np.int8)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *result, _ = super().step(action)
        return *result, {"action_mask": np.array([1, 0, 0])} if self.left == 2 else {}


def plain_cartpole(**kwargs: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make("CartPole-v1", **kwargs)


def balance(scalars: np.ndarray) -> np.ndarray:
    """Return the actions of a linear controller that keeps the pole up for 500 steps."""
    return (scalars @ np.array([0.048, 0.01, 0.209, 0.1]) > 0).astype(int)


@pytest.mark.parametrize("env", ["CartPole-v1", plain_cartpole], ids=["batch", "separate"])
def test_episodes_equal_those_of_plain_environments(env: Any) -> None:
    rows, generator = 3, np.random.default_rng(0)
    batch = GymnasiumVectorEnv(env, rows, seed=7)
    oracles = [gymnasium.make("CartPole-v1") for _ in range(rows)]
    scale = np.array([1 / 4.8, 1, 1 / (24 * np.pi / 180), 1])
    observations, _ = batch.reset()
    expected = np.stack([oracle.reset(seed=7 + row)[0] for row, oracle in enumerate(oracles)])
    np.testing.assert_allclose(observations["scalars"], expected * scale, rtol=1e-5)
    episodes = np.zeros(rows)
    returns = np.zeros(rows)
    while episodes.min() < 4:
        actions = generator.integers(0, 2, rows)
        observations, rewards, terminated, truncated, infos = batch.step(actions)
        for row, oracle in enumerate(oracles):
            expected[row], reward, over, cut, _ = oracle.step(int(actions[row]))
            assert (rewards[row], terminated[row], truncated[row]) == (reward, over, cut)
            returns[row] += reward
        np.testing.assert_allclose(observations["scalars"], expected * scale, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(infos["reward_terms"] @ batch.reward_weights, rewards)
        np.testing.assert_array_equal(infos["elapsed_steps"], 1)
        ended = terminated | truncated
        np.testing.assert_array_equal(infos["outcome"], np.sign(returns) * ended)
        episodes += ended
        if ended.any():
            kept = observations["scalars"][~ended].copy()
            observations, _ = batch.reset(options={"reset_mask": ended})
            np.testing.assert_array_equal(observations["scalars"][~ended], kept)
            for row in np.flatnonzero(ended):
                expected[row], returns[row] = oracles[row].reset()[0], 0
            np.testing.assert_allclose(observations["scalars"], expected * scale, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("env", ["CartPole-v1", plain_cartpole], ids=["batch", "separate"])
def test_ended_rows_stay_untouched_until_their_reset(env: Any) -> None:
    batch = GymnasiumVectorEnv(env, 2, seed=1)
    observations, _ = batch.reset()
    ended = np.zeros(2, bool)
    while not ended[0]:
        balanced = balance(observations["scalars"])
        observations, _, terminated, truncated, _ = batch.step(np.array([0, balanced[1]]))
        ended = terminated | truncated
    assert ended.tolist() == [True, False]
    final = observations["scalars"][0].copy()
    for _ in range(3):
        moving = observations["scalars"][1].copy()
        actions = np.array([1, balance(observations["scalars"])[1]])
        observations, rewards, terminated, truncated, infos = batch.step(actions)
        np.testing.assert_array_equal(observations["scalars"][0], final)
        assert (observations["scalars"][1] != moving).any()
        assert rewards.tolist() == [0, 1]
        assert infos["elapsed_steps"].tolist() == [0, 1]
        assert infos["reward_terms"].tolist() == [[0], [1]]
        assert not np.stack([terminated, truncated, infos["outcome"]]).any()
    observations, _ = batch.reset(options={"reset_mask": np.array([True, False])})
    assert (np.abs(observations["scalars"][0]) <= 0.13).all()
    _, rewards, *_ = batch.step(np.array([0, 0]))
    assert rewards.tolist() == [1, 1]


@pytest.mark.parametrize("env", ["CartPole-v1", plain_cartpole], ids=["batch", "separate"])
def test_time_limit_truncates_and_counts_from_each_reset(env: Any) -> None:
    batch = GymnasiumVectorEnv(env, 2, max_episode_steps=5)
    batch.reset()
    batch.step(np.array([0, 0]))
    batch.reset(options={"reset_mask": np.array([True, False])})
    ends = []
    for step in range(1, 7):
        *_, terminated, truncated, _ = batch.step(np.full(2, step % 2))
        assert not terminated.any()
        ends.append(truncated.tolist())
    assert ends == [[False, False]] * 3 + [[False, True], [True, False], [False, False]]


def test_balanced_cartpole_is_cut_at_500_steps() -> None:
    batch = GymnasiumVectorEnv("CartPole-v1", 4)
    observations, _ = batch.reset()
    for step in range(1, 501):
        observations, _, terminated, truncated, _ = batch.step(balance(observations["scalars"]))
        assert not terminated.any()
        assert truncated.all() == (step == 500)


def test_batched_cartpole_is_used_only_where_it_plays_the_same_game() -> None:
    assert not GymnasiumVectorEnv("CartPole-v1", 1).envs
    assert not GymnasiumVectorEnv("CartPole-v0", 1, sutton_barto_reward=True).envs
    assert len(GymnasiumVectorEnv("CartPole-v1", 1, max_episode_steps=-1).envs) == 1
    assert len(GymnasiumVectorEnv("CartPole-v1", 1, render_mode="rgb_array").envs) == 1
    assert len(GymnasiumVectorEnv(plain_cartpole, 1).envs) == 1


def test_options_reach_batched_cartpole_as_they_reach_plain_ones() -> None:
    options = {"low": 0.02, "high": 0.03}
    fast, slow = GymnasiumVectorEnv("CartPole-v1", 2), GymnasiumVectorEnv(plain_cartpole, 2)
    np.testing.assert_array_equal(fast.reset(options=options)[0]["scalars"], slow.reset(options=options)[0]["scalars"])


TAXI = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"


@pytest.mark.parametrize(
    "env_id", ["CartPole-v1", "MountainCarContinuous-v0", "Acrobot-v1", "FrozenLake-v1", TAXI, "Blackjack-v1"]
)
def test_registered_environments_keep_to_their_spaces(env_id: str) -> None:
    batch = GymnasiumVectorEnv(env_id, 3, seed=2)
    assert batch.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    batch.action_space.seed(0)
    observations, _ = batch.reset()
    for _ in range(60):
        assert batch.observation_space.contains(observations)
        observations, rewards, terminated, truncated, infos = batch.step(batch.action_space.sample())
        assert rewards.dtype == np.float32
        assert infos["reward_terms"].shape == (3, 1)
        assert infos["elapsed_steps"].dtype == np.int32
        assert infos["outcome"].dtype == np.int8
        batch.reset(options={"reset_mask": terminated | truncated})
    batch.close()


def test_rows_draw_from_their_own_seeds_and_go_on_without_one() -> None:
    games: list[Countdown] = []
    batch = GymnasiumVectorEnv(lambda: games.append(Countdown()) or games[-1], 3, seed=10)
    for game in games:
        game.seeds.clear()
    batch.reset(options={"reset_mask": np.array([False, True, False])})
    batch.reset()
    batch.reset(seed=50)
    batch.reset(seed=[1, None, 3])
    assert [game.seeds for game in games] == [[10, 50, 1], [11, None, 51, None], [12, 52, 3]]


def test_options_other_than_the_mask_reach_the_games() -> None:
    batch = GymnasiumVectorEnv(Countdown, 2)
    batch.reset(options={"reset_mask": np.array([False, True]), "map": "small"})
    assert batch.envs[1].options == [{"map": "small"}]
    assert {"map": "small"} not in batch.envs[0].options


def test_outcome_is_the_sign_of_the_whole_episode() -> None:
    batch = GymnasiumVectorEnv(Countdown, 1, length=2, reward=-0.5)
    batch.reset()
    assert batch.step(np.array([0]))[-1]["outcome"].tolist() == [0]
    assert batch.step(np.array([0]))[-1]["outcome"].tolist() == [-1]


def test_actions_arrive_in_the_environments_own_form() -> None:
    given = {
        "discrete": (spaces.Discrete(3, start=-1), [0, 2], [-1, 1]),
        "multi": (spaces.MultiDiscrete([[2, 3]], start=[[5, 0]]), [[1, 2], [0, 0]], [[[6, 2]], [[5, 0]]]),
        "box": (spaces.Box(-1, 2, (1, 2), np.float64), [[-3.0, 0.5], [2.5, 2.0]], [[[-1, 0.5]], [[2, 2]]]),
    }
    for space, actions, expected in given.values():
        batch = GymnasiumVectorEnv(Countdown, 2, action_space=space)
        batch.reset()
        batch.step(np.array(actions))
        arrived = [game.actions[0] for game in batch.envs]
        np.testing.assert_array_equal(arrived, expected)
        assert all(space.contains(action) for action in arrived)
        assert len(batch.single_action_space.shape) <= 1


@pytest.mark.parametrize(
    ("space", "actions", "message"),
    [
        (spaces.Discrete(2), [0, 2], r"action 2 at index \(1,\) does not exist; actions lie in Discrete\(2\)"),
        (spaces.Discrete(2), [0.0, 1.0], "whole-numbered"),
        (spaces.Discrete(2), [0, 1, 1], r"expected actions of shape \(2,\), got \(3,\)"),
        (spaces.MultiDiscrete([2, 3]), [[0, 0], [1, -1]], r"action -1 at index \(1, 1\)"),
        (spaces.Box(-1, 1, (1,)), [[np.nan], [0]], "must be finite, got nan"),
    ],
)
def test_actions_that_do_not_exist_are_refused(space: Any, actions: Any, message: str) -> None:
    batch = GymnasiumVectorEnv(Countdown, 2, action_space=space)
    batch.reset()
    with pytest.raises(ValueError, match=message):
        batch.step(np.array(actions))
    assert batch.envs[0].actions == []


def test_action_mask_of_the_info_becomes_an_observation() -> None:
    batch = GymnasiumVectorEnv(Masked, 2)
    observations, _ = batch.reset()
    assert batch.single_observation_space["action_mask"] == spaces.Box(0, 1, (3,), np.int8)
    assert observations["action_mask"].tolist() == [[0, 1, 0]] * 2
    assert batch.step(np.array([1, 1]))[0]["action_mask"].tolist() == [[1, 0, 0]] * 2
    assert batch.step(np.array([0, 0]))[0]["action_mask"].tolist() == [[1, 1, 1]] * 2


def test_action_mask_of_the_wrong_size_is_refused() -> None:
    batch = GymnasiumVectorEnv(type("Wrong", (Masked,), {"allowed": (1, 0)}), 1)
    with pytest.raises(ValueError, match=r"action_mask with \(3,\) entries.*got shape \(2,\)"):
        batch.reset()


def test_masks_of_box_actions_are_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Moving(Masked):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = spaces.Box(-1, 1, (1,))

    with caplog.at_level(logging.WARNING):
        assert "action_mask" not in GymnasiumVectorEnv(Moving, 1).single_observation_space.spaces
    assert "do not apply" in caplog.text


def test_stepping_before_the_first_reset_is_refused() -> None:
    for env in ("CartPole-v1", Countdown):
        with pytest.raises(ValueError, match="call reset"):
            GymnasiumVectorEnv(env, 1).step(np.array([0]))


@pytest.mark.parametrize("mask", [[True], [1, 0], np.zeros((2, 1), bool)])
def test_reset_masks_of_another_form_are_refused(mask: Any) -> None:
    batch = GymnasiumVectorEnv(Countdown, 2)
    with pytest.raises(ValueError, match=r"reset_mask'\] bool \[2\]"):
        batch.reset(options={"reset_mask": mask})


def test_bad_constructions_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="CartPole-v1"):
        GymnasiumVectorEnv("CartPoll-v1", 1)
    with pytest.raises(ValueError, match=r"did you mean envs\.registration:PerceiverStar/MicroRTS-v0"):
        GymnasiumVectorEnv("envs.registration:PerceiverStar/MicroRT-v0", 1)
    with pytest.raises(ValueError, match="nosuchmodule"):
        GymnasiumVectorEnv("nosuchmodule:Game-v0", 1)
    with pytest.raises(ValueError, match="does not take the options"):
        GymnasiumVectorEnv("MountainCar-v0", 1, colour="red")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        GymnasiumVectorEnv("CartPole-v1", 0)
    with pytest.raises(ValueError, match="one seed for each of the 2 rows"):
        GymnasiumVectorEnv(Countdown, 2).reset(seed=[1])
    game = Countdown()
    with pytest.raises(ValueError, match="same environment twice"):
        GymnasiumVectorEnv(lambda: game, 2)
    with pytest.raises(ValueError, match=r"action space MultiBinary.*supported: Discrete"):
        GymnasiumVectorEnv(Countdown, 1, action_space=spaces.MultiBinary(3))


def test_closing_closes_every_game() -> None:
    batch = GymnasiumVectorEnv(Countdown, 2)
    batch.close()
    assert all(game.closed for game in batch.envs)


def test_games_that_are_refused_are_closed() -> None:
    made: list[Countdown] = []

    def make() -> Countdown:
        made.append(Countdown(spaces.MultiBinary(3)))
        return made[-1]

    with pytest.raises(ValueError, match="not supported"):
        GymnasiumVectorEnv(make, 2)
    assert [game.closed for game in made] == [True, True]


def test_function_calls_are_passed_on_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Masked, "allowed", (1, 0))
    call_space = FunctionCallSpace(
        [(), (SELECTED,)],
        max_entities=4,
        max_selected=2,
        max_delay=4,
        point_shape=(4, 4),
        selection_table=np.ones((2, 3)),
        target_table=np.ones((2, 3)),
    )
    batch = GymnasiumVectorEnv(Masked, 2, action_space=call_space, length=2)
    observations, _ = batch.reset()
    assert batch.single_action_space is call_space
    assert observations[ACTION_MASK].tolist() == [[1, 0], [1, 0]]
    call = np.array([1, 3, 0, 0, 0, 0, 2, 4])
    batch.step(np.stack([call, call * 0]))
    np.testing.assert_array_equal(batch.envs[0].actions[0], call)
