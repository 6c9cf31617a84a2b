from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from training.ray_cluster import ray, start_ray, stop_ray

# RLlib is in Ray's package; what it needs beyond that package may be missing.
pytest.importorskip("ray.rllib.algorithms.ppo", exc_type=ImportError)
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def example(load_example: Callable[[str], ModuleType]) -> ModuleType:
    return load_example("rllib_module")


@pytest.fixture
def algorithm(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """PPO in a Ray of its own, which leaves nothing in the home folder."""
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path))
    start_ray(1)
    assert ray.is_initialized()
    algorithm = example.make_config().build_algo()
    yield algorithm
    algorithm.stop()
    stop_ray()


def test_one_iteration_of_ppo_changes_every_weight(algorithm: Any) -> None:
    module = algorithm.get_module()
    before = {name: value.clone() for name, value in module.named_parameters()}
    result = algorithm.train()
    assert 0.0 < result["env_runners"]["episode_return_mean"] < 4.0
    assert result["env_runners"]["num_env_steps_sampled_lifetime"] >= 512
    assert [name for name, value in module.named_parameters() if torch.equal(value, before[name])] == []
    assert all(value.isfinite().all() for value in module.parameters())
    # Where RLlib and Gymnasium disagree about resets, rewards belong to other observations.
    for episode in algorithm.env_runner.sample(num_timesteps=200, random_actions=False):
        gems = episode.get_observations()["entities"][:, :, 0].sum(axis=1)
        np.testing.assert_array_equal(episode.get_rewards(), gems[:-1] - gems[1:])
        assert episode.is_terminated == (gems[-1] == 0)


def test_values_are_the_same_with_and_without_the_policys_features(example: ModuleType) -> None:
    env = example.Collector()
    module = example.EntityModule(
        observation_space=env.observation_space, action_space=env.action_space, model_config={"torso": "transformer"}
    )
    observations = [env.reset(seed=seed)[0] for seed in range(3)]
    batch = {"obs": {key: torch.from_numpy(np.stack([o[key] for o in observations])) for key in observations[0]}}
    with torch.no_grad():
        outputs = module.forward_train(batch)
        assert outputs["action_dist_inputs"].shape == (3, 4)
        values = module.compute_values(batch, outputs["embeddings"])
        torch.testing.assert_close(module.compute_values(batch), values)
    assert values.std() > 0.0
