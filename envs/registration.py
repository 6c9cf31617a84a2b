"""The environments' names for `gymnasium.make`."""

from __future__ import annotations

import gymnasium

ENVIRONMENTS = {"PerceiverStar/MicroRTS-v0": "envs.microrts.single_env:MicroRTSEnv"}


def register_environments() -> None:
    """Make every environment known to `gymnasium.make`; calling it again changes nothing."""
    for name, entry_point in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=entry_point)
