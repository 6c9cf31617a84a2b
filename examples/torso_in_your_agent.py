"""EntityTorso in a policy of your own: nothing but torch is needed.

python examples/torso_in_your_agent.py
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perceiver_io import EntityTorso, EntityTorsoConfig

NUM_UNITS, NUM_FEATURES, NUM_ORDERS = 64, 12, 3


class UnitPolicy(nn.Module):
    """One order for each unit, and one value for the whole army."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(NUM_FEATURES, channels)
        # In place of nn.TransformerEncoder(...)(units, src_key_padding_mask=~unit_mask): a list in, a list out.
        self.torso = EntityTorso(
            EntityTorsoConfig(
                entity_channels=channels,
                output_channels=channels,
                num_latents=8,
                latent_channels=channels,
                num_layers=2,
            )
        )
        self.orders = nn.Linear(channels, NUM_ORDERS)
        self.value = nn.Linear(channels, 1)

    def forward(self, units: Tensor, unit_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, E, orders] and values [B] of units [B, E, features], where unit_mask [B, E] is True."""
        output = self.torso(self.embed(units), unit_mask)
        return self.orders(output.entity_embeddings), self.value(output.pooled).squeeze(-1)


def random_armies(batch_size: int) -> tuple[Tensor, Tensor]:
    """Return made-up units [B, E, features] and their mask [B, E]: armies of 1 to all units, padded."""
    sizes = torch.randint(1, NUM_UNITS + 1, (batch_size, 1))
    return torch.randn(batch_size, NUM_UNITS, NUM_FEATURES), torch.arange(NUM_UNITS) < sizes


def rewards_of(orders: Tensor, units: Tensor) -> Tensor:
    """Return rewards [B, E]: 1 for order 1 where a unit's first feature is positive, and for order 0 elsewhere."""
    return (orders == (units[..., 0] > 0).long()).float()


def train_step(policy: UnitPolicy, optimiser: torch.optim.Optimizer, batch_size: int = 32) -> float:
    """Take one step of advantage actor-critic on random armies and return their mean reward."""
    units, unit_mask = random_armies(batch_size)
    logits, values = policy(units, unit_mask)
    distribution = torch.distributions.Categorical(logits=logits)
    orders = distribution.sample()
    advantages = rewards_of(orders, units) - values[:, None]
    policy_loss = -(distribution.log_prob(orders) * advantages.detach())[unit_mask].mean()
    value_loss = advantages[unit_mask].square().mean()
    optimiser.zero_grad()
    (policy_loss + value_loss).backward()
    optimiser.step()
    return float(rewards_of(orders, units)[unit_mask].mean())


def main() -> None:
    """Train for a moment and show the reward."""
    torch.manual_seed(0)
    policy = UnitPolicy()
    optimiser = torch.optim.Adam(policy.parameters(), lr=3e-3)
    for step in range(61):
        reward = train_step(policy, optimiser)
        if step % 20 == 0:
            print(f"step {step:3d}: {100 * reward:.0f} % of the orders are right")


if __name__ == "__main__":
    main()
