"""The environments' names for `gymnasium.make`."""

from __future__ import annotations

import gymnasium

ENVIRONMENTS = {
    "PerceiverStar/MicroRTS-v0": "envs.microrts.single_env:MicroRTSEnv",
    "PerceiverStar/StarCraft2-v0": "envs.starcraft2.single_env:StarCraft2Env",
}


def register_environments() -> None:
    """Make every environment known to `gymnasium.make`; calling it again changes nothing."""
    for name, entry_point in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=entry_point)
