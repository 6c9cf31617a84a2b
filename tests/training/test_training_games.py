"""Opponents are dealt at each episode's start, and every episode tells against whom it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agent import Agent, AgentConfig
from tests.training.scripted import CountingEnvironment
from training.environment_config import PAST_SELF, MicroRTSConfig
from training.environments import make_environment, seats_of, spec_of
from training.league import Deal
from training.rollout import Rollout
from training.seats import Seats
from training.training_games import TrainingGames

RUSH_OR_TURTLE = Deal(ais=({"Rush": 0.5, "Turtle": 0.5}, {"Turtle": 1.0}))


class DealtEnvironment(CountingEnvironment):
    """Keeps what each reset was told."""

    def __init__(self, lengths: tuple[int, ...]) -> None:
        super().__init__(lengths, (True,) * len(lengths))
        self.told: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.told.append((options or {}).get("opponents"))
        masked = options if options and "reset_mask" in options else None
        return super().reset(seed=seed, options=masked)


def make_games(environment: DealtEnvironment, names: list[str]) -> TrainingGames:
    return TrainingGames(environment, Seats.of(names), Agent(spec_of(environment), AgentConfig.of_size("dummy")))


def make_rollout(environment: DealtEnvironment, games: TrainingGames, length: int) -> Rollout:
    agent = Agent(spec_of(environment), AgentConfig.of_size("dummy"))
    return Rollout(games, agent, unroll_length=length, seed=5)


def test_without_a_deal_games_keep_their_opponents() -> None:
    environment = DealtEnvironment((2, 3))
    games = make_games(environment, ["Rush", "Turtle"])
    _, episodes = make_rollout(environment, games, 7).collect()
    assert {(episode.row, episode.opponent, episode.side) for episode in episodes} == {(0, "Rush", 0), (1, "Turtle", 1)}
    assert set(environment.told) == {None}


def test_a_deal_holds_from_the_next_episode_on() -> None:
    environment = DealtEnvironment((2, 99))
    games = make_games(environment, ["Rush", "Rush"])
    rollout = make_rollout(environment, games, 4)
    games.take_up(Deal(ais=({"Turtle": 1.0}, {"Turtle": 1.0})), {}.__getitem__)
    first, second = (rollout.collect()[1] for _ in range(2))
    assert [episode.opponent for episode in first] == ["Rush"]  # begun before there was a deal
    assert {episode.opponent for episode in second} == {"Turtle"}
    assert environment.told[0] is None
    assert environment.told[1:] == [["Turtle", None]] * 2  # the game that goes on is left alone


def test_sides_are_dealt_apart_and_equal_seeds_deal_equally() -> None:
    opponents = []
    for seed in (1, 1, 2):
        environment = DealtEnvironment((1,) * 8)
        games = make_games(environment, ["Rush"] * 8)
        games.take_up(RUSH_OR_TURTLE, {}.__getitem__)
        for number in (seed, None, None):
            games.reset(seed=number) if number else games.reset(options={"reset_mask": np.ones(8, bool)})
            environment._ended[:] = True
        opponents.append(environment.told)
    assert opponents[0] == opponents[1] != opponents[2]
    assert {name for names in opponents[0] for name in names[1::2]} == {"Turtle"}
    assert {name for names in opponents[0] for name in names[0::2]} == {"Rush", "Turtle"}


def test_only_the_agents_row_against_a_past_self_gives_experience() -> None:
    """Rows of the environment: an AI's game, then the agent and its past self, then its past self and the agent."""
    environment = DealtEnvironment((2, 3, 3, 3, 3))
    games = make_games(environment, ["Rush", PAST_SELF, PAST_SELF])
    assert (games.num_envs, environment.num_envs) == (3, 5)
    agent = Agent(spec_of(environment), AgentConfig.of_size("dummy"))
    with torch.no_grad():
        agent.action_head.output.bias[:] = torch.tensor([50.0, 0.0, 0.0, 0.0])
    rollout = Rollout(games, agent, unroll_length=9, seed=0)
    games.take_up(Deal(past_selves={4: 1.0}), lambda version: weights_that_choose(environment, version - 1))
    trajectory, episodes = rollout.collect()
    played = np.stack(environment.actions)
    # Rows 3 and 2 of the environment: the agent is player 1 in its first game against itself, as its row is odd.
    assert seats_rows(games) == [0, 2, 3]
    assert (played[:3, [1, 4]] == 3).all()
    assert (played[:3, [0, 2, 3]][:, 1:] == 0).all()
    assert trajectory.num_sequences == 3
    scalars = trajectory.observations.sample["scalars"].reshape(3, 10, 3)
    assert [set(row.tolist()) for row in scalars[:, :, 0]] == [{0.0}, {2.0}, {3.0}]
    assert (trajectory.rewards[:, 0, 1] == [5.0, 15.0, 20.0]).all()
    ended = {(episode.row, episode.opponent, episode.side) for episode in episodes}
    assert ended == {(0, "Rush", 0), (1, "past_self@4", 1), (2, "past_self@4", 0)}


def seats_rows(games: TrainingGames) -> list[int]:
    return list(games._seats.environment_rows)


def weights_that_choose(environment: CountingEnvironment, action: int) -> dict[str, Any]:
    agent = Agent(spec_of(environment), AgentConfig.of_size("dummy"))
    with torch.no_grad():
        agent.action_head.output.bias[:] = 50 * torch.nn.functional.one_hot(torch.tensor(action), 4)
    return agent.state_dict()


def test_microrts_plays_whom_it_is_dealt() -> None:
    """An idle agent draws with PassiveAI and loses to WorkerRush."""
    config = MicroRTSConfig(opponents=("PassiveAI",), max_steps=400, skip_idle_steps=False)
    environment = make_environment(config, 2, seed=0)
    try:
        agent = Agent(spec_of(environment), AgentConfig.of_size("dummy"))
        games = TrainingGames(environment, seats_of(config, ["PassiveAI"] * 2), agent)
        games.take_up(Deal(ais=({"WorkerRush": 1.0}, {"PassiveAI": 1.0})), {}.__getitem__)
        games.reset(seed=1)
        idle = np.zeros((2, *environment.single_action_space.shape), np.int64)
        outcomes = {}
        for _ in range(400):
            *_, terminated, truncated, infos = games.step(idle)
            for row in np.flatnonzero(terminated | truncated):
                outcomes.setdefault(infos["opponent"][row], int(infos["outcome"][row]))
    finally:
        environment.close()
    assert outcomes == {"WorkerRush": -1, "PassiveAI": 0}


def test_self_play_in_microrts_is_one_game_with_two_rows() -> None:
    config = MicroRTSConfig(opponents=("PassiveAI", "self_play"), max_steps=30)
    environment = make_environment(config, 4, seed=0)
    try:
        agent = Agent(spec_of(environment), AgentConfig.of_size("dummy"))
        games = TrainingGames(environment, seats_of(config, ["PassiveAI"] * 2 + ["self_play"] * 2), agent)
        _, episodes = Rollout(games, agent, unroll_length=32, seed=0).collect()
    finally:
        environment.close()
    ended = {(episode.row, episode.opponent, episode.side) for episode in episodes}
    assert sorted(ended) == [(0, "PassiveAI", 0), (1, "PassiveAI", 1), (2, "self_play", 0), (3, "self_play", 1)]
    with pytest.raises(ValueError, match="games_per_actor be even"):
        make_environment(config, 3, seed=0)
