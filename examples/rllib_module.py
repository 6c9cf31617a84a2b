"""EntityTorso as an RLlib module: PPO of RLlib's current API stack on observations that hold a list of entities.

pip install ray dm-tree lz4 pandas pyarrow pydantic scipy     # ray[rllib] would install gymnasium 1.2.2
python examples/rllib_module.py
"""

from __future__ import annotations

from typing import Any

import ray
from entity_game import Collector
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor, nn

from perceiver_io import entity_torso


class EntityModule(TorchRLModule, ValueFunctionAPI):
    """Policy and value of Dict observations with `entities` [B, E, F] and `entity_mask` [B, E].

    `model_config` may hold `torso`, such as "perceiver" or "transformer", and `channels`.
    """

    def setup(self) -> None:
        """Build the network."""
        channels = self.model_config.get("channels", 32)
        kind = self.model_config.get("torso", "perceiver")
        self.embed = nn.Linear(self.observation_space["entities"].shape[-1], channels)
        self.torso = entity_torso(kind, entity_channels=channels, output_channels=channels, num_layers=1)
        self.policy = nn.Linear(channels, int(self.action_space.n))
        self.value = nn.Linear(channels, 1)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Tensor]:
        """Return logits, and the features for whoever asks for values next; acting and learning read the same."""
        features = self._features(batch)
        return {Columns.ACTION_DIST_INPUTS: self.policy(features), Columns.EMBEDDINGS: features}

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """Return values [B]."""
        return self.value(self._features(batch) if embeddings is None else embeddings).squeeze(-1)

    def _features(self, batch: dict[str, Any]) -> Tensor:
        observations = batch[Columns.OBS]
        return self.torso(self.embed(observations["entities"]), observations["entity_mask"] > 0.5).pooled


def make_config(torso: str = "perceiver") -> PPOConfig:
    """Return PPO with everything in this process: one environment runner, one learner."""
    return (
        PPOConfig()
        .environment(Collector)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=4)
        .learners(num_learners=0)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=EntityModule, model_config={"torso": torso}))
        .training(train_batch_size_per_learner=512, minibatch_size=128, num_epochs=2, lr=1e-3, gamma=0.9)
        .debugging(seed=0)
    )


def main(iterations: int = 1) -> None:
    """Train and show how many gems were collected in an episode."""
    ray.init(num_cpus=1, include_dashboard=False, ignore_reinit_error=True)
    algorithm = make_config().build_algo()
    try:
        for iteration in range(iterations):
            result = algorithm.train()
            print(f"iteration {iteration}: {result['env_runners']['episode_return_mean']:.2f} gems in an episode")
    finally:
        algorithm.stop()
        ray.shutdown()


if __name__ == "__main__":
    main()
