from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "examples" / "torso_in_your_agent.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("torso_in_your_agent", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_needs_torch_and_the_torso_only() -> None:
    nodes = list(ast.walk(ast.parse(SCRIPT.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names == {"__future__", "torch", "perceiver_io"}


def test_one_step_changes_every_weight(example: ModuleType) -> None:
    torch.manual_seed(0)
    policy = example.UnitPolicy()
    before = {name: value.clone() for name, value in policy.named_parameters()}
    example.train_step(policy, torch.optim.Adam(policy.parameters(), lr=1e-2))
    assert [name for name, value in policy.named_parameters() if torch.equal(value, before[name])] == []


def test_learns(example: ModuleType) -> None:
    torch.manual_seed(0)
    policy = example.UnitPolicy()
    optimiser = torch.optim.Adam(policy.parameters(), lr=3e-3)
    rewards = [example.train_step(policy, optimiser) for _ in range(60)]
    assert rewards[0] < 0.6
    assert rewards[-1] > 0.85


def test_padding_changes_nothing(example: ModuleType) -> None:
    torch.manual_seed(0)
    policy = example.UnitPolicy()
    units, unit_mask = example.random_armies(4)
    logits, values = policy(units, unit_mask)
    changed, changed_values = policy(units.masked_fill(~unit_mask[..., None], 7.0), unit_mask)
    torch.testing.assert_close(changed_values, values)
    torch.testing.assert_close(changed[unit_mask], logits[unit_mask])
