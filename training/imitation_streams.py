"""The recorded steps that a run of imitation learns from, and those that it is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.config import TrainConfig
from training.demonstration_choice import Choice, ChosenGame
from training.demonstration_streams import DemonstrationStreams
from training.demonstrations import Demonstrations
from training.imitation_config import ImitationConfig

_HELD_OUT_UNROLL_LENGTH = 32


def training_streams(
    demonstrations: Demonstrations, choice: Choice, config: TrainConfig, imitation: ImitationConfig
) -> DemonstrationStreams:
    """Return all passes of the games to learn from."""
    return _streams(
        demonstrations,
        choice.train,
        config,
        imitation,
        unroll_length=imitation.unroll_length,
        passes=imitation.passes,
        seed=config.seed,
        wait_share=imitation.wait_share_of(config.agent) if demonstrations.manifest.spec.action.has_waits else 1.0,
    )


def held_out_streams(
    demonstrations: Demonstrations, choice: Choice, config: TrainConfig, imitation: ImitationConfig
) -> DemonstrationStreams:
    """Return one pass of all steps of the games to be measured on."""
    return _streams(demonstrations, choice.held_out, config, imitation, unroll_length=_HELD_OUT_UNROLL_LENGTH)


def _streams(
    demonstrations: Demonstrations,
    games: Sequence[ChosenGame],
    config: TrainConfig,
    imitation: ImitationConfig,
    **how: Any,
) -> DemonstrationStreams:
    num_terms = len(demonstrations.manifest.reward_term_names)
    weights = np.asarray(getattr(config.environment, "reward_weights", ()) or np.ones(num_terms), np.float32)
    return DemonstrationStreams(
        demonstrations,
        games,
        num_streams=imitation.streams,
        reward_weights=weights,
        discounts=config.learner.discounts,
        wait_weight=imitation.wait_weight if demonstrations.manifest.spec.action.has_waits else 1.0,
        **how,
    )
