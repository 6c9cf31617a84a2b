from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import get_args

import pytest
import torch

from perceiver_io import EntityTorsoKind

pytest.importorskip("stable_baselines3")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def example(load_example: Callable[[str], ModuleType]) -> ModuleType:
    return load_example("sb3_features_extractor")


def test_a_few_hundred_steps_change_every_weight_of_the_torso(example: ModuleType) -> None:
    agent = example.make_agent(num_envs=4)
    extractor = agent.policy.features_extractor
    before = {name: value.clone() for name, value in extractor.named_parameters()}
    agent.learn(512)
    assert agent.num_timesteps == 512
    assert [name for name, value in extractor.named_parameters() if torch.equal(value, before[name])] == []
    assert all(value.isfinite().all() for value in extractor.parameters())


@pytest.mark.parametrize("kind", get_args(EntityTorsoKind))
def test_padding_changes_no_feature(example: ModuleType, kind: EntityTorsoKind) -> None:
    env = example.Collector()
    observation, _ = env.reset(seed=4)
    tensors = {key: torch.from_numpy(value)[None] for key, value in observation.items()}
    assert not tensors["entity_mask"].all()
    extractor = example.EntityFeatures(env.observation_space, 16, kind)
    features = extractor(tensors)
    assert features.shape == (1, extractor.features_dim) == (1, 16)
    assert not torch.allclose(features, extractor({**tensors, "entities": tensors["entities"] + 1.0}))
    tensors["entities"] = tensors["entities"].masked_fill(tensors["entity_mask"][..., None] == 0, torch.nan)
    torch.testing.assert_close(extractor(tensors), features)


@pytest.mark.slow
def test_learns_to_collect_gems(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    before, after = (float(line.split()[3]) for line in capsys.readouterr().out.splitlines())
    assert before < 1.0
    assert after > 2.0
