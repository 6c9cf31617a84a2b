"""EntityTorso as the features extractor of Stable-Baselines3: PPO on observations that hold a list of entities.

pip install stable-baselines3
python examples/sb3_features_extractor.py
"""

from __future__ import annotations

from typing import Any

from entity_game import Collector
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from perceiver_io import EntityTorsoKind, entity_torso


class EntityFeatures(BaseFeaturesExtractor):
    """Features [B, C] of Dict observations with `entities` [B, E, F] and `entity_mask` [B, E]: the mean over entities.

    Args:
        observation_space: a Dict with both keys.
        channels: width of the torso and of the features.
        kind: the torso, such as "perceiver" or "transformer".
        torso_settings: more fields of its configuration.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        channels: int = 32,
        kind: EntityTorsoKind = "perceiver",
        torso_settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(observation_space, features_dim=channels)
        self.embed = nn.Linear(observation_space["entities"].shape[-1], channels)
        self.torso = entity_torso(kind, entity_channels=channels, output_channels=channels, **(torso_settings or {}))

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return features [B, C]."""
        # Stable-Baselines3 hands every part of a Dict observation over as float.
        output = self.torso(self.embed(observations["entities"]), observations["entity_mask"] > 0.5)
        return output.pooled


def make_agent(num_envs: int = 8, seed: int = 0) -> PPO:
    """Return a PPO agent whose policy and value read the torso's features."""
    return PPO(
        "MultiInputPolicy",
        make_vec_env(Collector, num_envs, seed=seed),
        policy_kwargs={
            "features_extractor_class": EntityFeatures,
            "features_extractor_kwargs": {
                "kind": "perceiver",
                "torso_settings": {"num_layers": 1, "num_latents": 4, "latent_channels": 32},
            },
            "net_arch": [32],
        },
        n_steps=64,
        batch_size=128,
        n_epochs=4,
        learning_rate=2e-3,
        gamma=0.9,
        seed=seed,
        device="cpu",
    )


def main(total_steps: int = 20_000) -> None:
    """Train for a moment and show how many gems are collected in an episode, before and after."""
    agent = make_agent()
    for steps in (0, total_steps):
        if steps:
            agent.learn(steps)
        mean, _ = evaluate_policy(agent, make_vec_env(Collector, 8, seed=1), n_eval_episodes=96, deterministic=False)
        print(f"after {steps:,} steps: {mean:.2f} gems in an episode")


if __name__ == "__main__":
    main()
