"""pysc2's own transformation of observations, which ours is compared with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.compatibility import PYSC2_NAME, remote_controller  # noqa: F401  # pysc2 is there
from envs.starcraft2.planes import PLANE_NAMES

features = importlib.import_module(f"{PYSC2_NAME}.lib.features")


def transform(map_size: Any, *, minimap: int = 128, cargo: bool = True) -> Callable[[Any], Any]:
    """Return pysc2's transformation at the resolutions of our encoder."""
    interface = features.AgentInterfaceFormat(
        feature_dimensions=features.Dimensions(screen=128, minimap=minimap),
        use_raw_units=True,
        use_raw_actions=True,
        max_selected_units=64,
        camera_width_world_units=24,
        raw_resolution=256,
        add_cargo_to_units=cargo,
        use_unit_counts=True,
    )
    transformation: Callable[[Any], Any] = features.Features(interface, map_size=map_size).transform_obs
    return transformation


def minimap_planes(observation: Any) -> NDArray[Any]:
    """Return the layers of our planes from a transformed observation."""
    names = list(features.MinimapFeatures._fields)
    return np.asarray(observation["feature_minimap"])[[names.index(name) for name in PLANE_NAMES]]


def columns_that_differ(ours: NDArray[Any], theirs: NDArray[Any]) -> dict[str, int]:
    """Return how many units differ in which column of FeatureUnit."""
    assert ours.shape == theirs.shape
    differing = (ours != theirs).sum(0)
    return {features.FeatureUnit(column).name: int(differing[column]) for column in np.flatnonzero(differing)}
