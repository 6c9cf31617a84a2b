"""Frozen agents: each row is played by the weights that were drawn for it, with a memory of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agent import Agent, AgentConfig
from tests.training.scripted import CountingEnvironment
from training.environments import spec_of
from training.league import Deal
from training.past_selves import PastSelves

NUM_ROWS = 4


def make_agent(seed: int = 0) -> Agent:
    torch.manual_seed(seed)
    return Agent(spec_of(CountingEnvironment((1,), (True,))), AgentConfig.of_size("dummy"))


def weights_of(version: int) -> dict[str, Any]:
    """Version v always takes action v."""
    agent = make_agent()
    with torch.no_grad():
        agent.action_head.output.bias[:] = 50 * torch.nn.functional.one_hot(torch.tensor(version), 4)
    return {name: value.numpy() for name, value in agent.state_dict().items()}


def make_past_selves(deal: Deal) -> PastSelves:
    past_selves = PastSelves(make_agent(), NUM_ROWS)
    past_selves.take_up(deal, weights_of)
    return past_selves


def act(past_selves: PastSelves, plays: list[bool] | None = None) -> list[int]:
    actions = np.full(NUM_ROWS, -1)
    observation = {"scalars": np.ones((NUM_ROWS, 3), np.float32)}
    past_selves.act(observation, np.ones(NUM_ROWS, bool) if plays is None else np.array(plays), actions)
    return list(actions)


def test_rows_are_played_by_the_version_that_was_drawn_for_them() -> None:
    past_selves = make_past_selves(Deal(past_selves={1: 1.0}))
    assert act(past_selves) == [1, 1, 1, 1]
    past_selves.take_up(Deal(past_selves={2: 1.0}), weights_of)
    assert act(past_selves) == [1, 1, 1, 1]  # their episodes go on
    past_selves.begin(np.array([True, False, False, False]))
    assert act(past_selves) == [2, 1, 1, 1]
    assert act(past_selves, [False, True, False, True]) == [-1, 1, -1, 1]
    assert past_selves.versions.tolist() == [2, 1, 1, 1]


def test_a_version_is_drawn_for_as_many_episodes_as_there_are_rows() -> None:
    past_selves = make_past_selves(Deal(past_selves={0: 0.5, 1: 0.25, 3: 0.25}))
    drawn = []
    for _ in range(300):
        versions = act(past_selves)
        assert len(set(versions)) == 1
        drawn.append(versions[0])
        past_selves.begin(np.ones(NUM_ROWS, bool))
        assert len(past_selves._agents) <= 2
    assert drawn.count(0) / 300 == pytest.approx(0.5, abs=0.1)
    assert drawn.count(2) == 0


def test_equal_seeds_draw_and_act_equally_and_nothing_else_is_disturbed() -> None:
    agent = make_agent(1)
    deal = Deal(past_selves={0: 0.5, 1: 0.5})
    past_selves = PastSelves(agent, NUM_ROWS)
    past_selves.take_up(deal, lambda version: agent.state_dict())
    torch.manual_seed(7)
    runs = []
    for seed in (1, 1, 2):
        past_selves.restart(seed)
        runs.append([])
        for _ in range(20):
            runs[-1].append((act(past_selves), past_selves.versions.tolist()))
            past_selves.begin(np.array([True, False, True, False]))
    assert runs[0] == runs[1] != runs[2]
    assert torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(7))
    assert all(weight.requires_grad for weight in agent.parameters())


def test_memory_begins_anew_with_an_episode_and_goes_on_within() -> None:
    past_selves = make_past_selves(Deal(past_selves={1: 1.0}))
    act(past_selves)
    first = past_selves._state.clone()
    act(past_selves, [True, True, False, True])
    past_selves.begin(np.array([False, True, False, False]))
    second = past_selves._state.clone()
    act(past_selves, [False, True, False, True])
    assert torch.equal(second[2], first[2])
    assert not torch.equal(second[0], first[0])
    torch.testing.assert_close(past_selves._state[1], first[1])
    assert not torch.allclose(past_selves._state[3], second[3])


def test_nobody_plays_before_there_is_a_deal() -> None:
    with pytest.raises(ValueError, match="there is no past self"):
        act(PastSelves(make_agent(), NUM_ROWS))
