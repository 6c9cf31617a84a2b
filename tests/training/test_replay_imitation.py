"""Calls of functions are imitated too: replays of StarCraft II, on the stand-in."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from envs.starcraft2.replays import ReplaySettings
from tests.envs.starcraft2.played_replays import play_for_replay
from training.imitation_config import ImitationConfig
from training.imitation_run import open_imitation
from training.loop import Update
from training.replay_recordings import record_replays
from training.starcraft2_recipes import starcraft2_tiny

PARTS = ("function", "delay", "queued", "repeat", "selected", "target_entity", "target_point")


@pytest.mark.slow
def test_replays_are_imitated(tmp_path: Path, stand_in: Path) -> None:
    played = [play_for_replay(tmp_path / f"game{loops}", loops) for loops in (150, 190)]
    settings = ReplaySettings(max_entities=64)
    record_replays([each.replay for each in played], tmp_path / "data", directory=stand_in, settings=settings)
    config = starcraft2_tiny()
    config = dataclasses.replace(
        config,
        environment=dataclasses.replace(config.environment, max_entities=64, score_terms=(), reward_weights=()),
        learner=dataclasses.replace(config.learner, discounts=(0.999,)),
        checkpoint_interval_updates=4,
    )
    run = open_imitation(config, ImitationConfig(data=str(tmp_path / "data"), streams=2, passes=4), tmp_path / "run")
    reports: list[dict[str, float]] = []

    def report(update: Update) -> None:
        reports.append(update.metrics)

    run.train(report, threading.Event())
    assert run.complete
    assert all(f"held_out/accuracy/{part}" in reports[0] for part in PARTS)
    losses = [figures["held_out/policy_loss"] for figures in reports]
    total = sum(reports[0][f"held_out/cross_entropy/{part}"] for part in PARTS)
    assert losses[-1] < losses[0] < total
