"""Experience made in the learner's own process."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import torch

from agent import Agent, AgentConfig
from training.config import TrainConfig
from training.environment_config import GymnasiumConfig
from training.environments import league_of, make_environment, spec_of
from training.recipes import gymnasium
from training.sources import LocalSource


def make_config() -> TrainConfig:
    config = gymnasium()
    actors = dataclasses.replace(config.actors, num_actors=0, games_per_actor=3, unroll_length=5)
    return dataclasses.replace(config, actors=actors, agent=AgentConfig.of_size("dummy"), unrolls_per_update=2)


def make_agent(config: TrainConfig) -> Agent:
    torch.manual_seed(0)
    assert isinstance(config.environment, GymnasiumConfig)
    environment = make_environment(config.environment, 1, seed=0)
    agent = Agent(spec_of(environment), config.agent)
    environment.close()
    return agent


def test_equal_seeds_give_equal_experience() -> None:
    config = make_config()
    agent = make_agent(config)
    batches = []
    for _ in range(2):
        source = LocalSource(config, agent, league_of(config.environment, config.league))
        source.publish(agent, 4)
        batches.append(source.next())
        source.close()
    for first, second in zip(batches[0].trajectories, batches[1].trajectories, strict=True):
        np.testing.assert_array_equal(first.observations.sample["scalars"], second.observations.sample["scalars"])
        np.testing.assert_array_equal(first.policy_version, [4, 4, 4])
    assert len(batches[0].trajectories) == 2
    assert not np.array_equal(
        batches[0].trajectories[0].observations.sample["scalars"],
        batches[0].trajectories[1].observations.sample["scalars"],
    )


def test_published_weights_act_even_if_the_agent_is_another() -> None:
    """As with a learner on a GPU, whose weights are copied to the acting agent."""
    config = make_config()
    agent = make_agent(config)
    source = LocalSource(config, agent, league_of(config.environment, config.league))
    learnt = copy.deepcopy(agent)
    with torch.no_grad():
        learnt.action_head.output.bias[:] = torch.tensor([0.0, 50.0])
    source.publish(learnt, 1)
    for trajectory in source.next().trajectories:
        assert (trajectory.observations.decision["action"] == 1).all()
    source.close()
