"""Values in units of their targets: what PopArt's rescaling does, without rescaling anything."""

from __future__ import annotations

import pytest
import torch

from agent import Agent, AgentConfig, AgentSpec
from agent.interface import ActionSpec
from training.value_scale import ValueScale


def make_agent() -> Agent:
    action = ActionSpec(component_sizes=(2,), scalar=True)
    spec = AgentSpec(entities=None, num_scalars=2, plane_shape=None, action=action)
    return Agent(spec, AgentConfig.of_size("dummy"))


def test_the_first_targets_count_in_full_and_later_ones_little() -> None:
    scale = ValueScale(enabled=True)
    assert scale.current == 1.0
    scale.follow(30.0)
    assert scale.current == 30.0
    scale.follow(40.0)
    assert scale.current == pytest.approx((0.99 * 30.0**2 + 0.01 * 40.0**2) ** 0.5)


def test_it_does_not_shrink_to_nothing() -> None:
    scale = ValueScale(enabled=True)
    scale.follow(0.0)
    assert scale.current == 0.1


def test_switched_off_it_changes_nothing() -> None:
    scale, agent = ValueScale(enabled=False), make_agent()
    scale.follow(30.0)
    assert scale.step_sizes(0.5) == (0.5, 0.5)
    assert [len(group["params"]) for group in scale.parameter_groups(agent)] == [len(list(agent.parameters()))]


def test_every_parameter_is_in_one_group_and_only_the_values_last_layer_in_the_second() -> None:
    agent = make_agent()
    others, last = (group["params"] for group in ValueScale(enabled=True).parameter_groups(agent))
    assert {id(parameter) for parameter in last} == {id(agent.value_weight), id(agent.value_bias)}
    assert sorted(map(id, [*others, *last])) == sorted(map(id, agent.parameters()))


def test_state_returns() -> None:
    scale, other = ValueScale(enabled=True), ValueScale(enabled=True)
    scale.follow(7.0)
    other.load_state_dict(scale.state_dict())
    scale.follow(9.0)
    other.follow(9.0)
    assert other.current == scale.current


def test_a_layer_with_scaled_steps_moves_as_one_behind_a_factor() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 5, generator=generator, dtype=torch.float64)
    targets = 40.0 * torch.randn(64, generator=generator, dtype=torch.float64)
    scale = ValueScale(enabled=True)
    scale.follow(40.0)
    plain = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    behind_factor = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    for weight, factor, step_size in ((plain, 1.0, scale.step_sizes(0.01)[1]), (behind_factor, 40.0, 0.01)):
        optimiser = torch.optim.Adam([weight], lr=step_size, eps=0.0)
        for _ in range(20):
            optimiser.zero_grad()
            ((factor * inputs @ weight - targets) / scale.current).square().mean().backward()
            optimiser.step()
    torch.testing.assert_close(plain, 40.0 * behind_factor)
    assert plain.abs().max() > 1.0
