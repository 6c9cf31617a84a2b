"""Actors meet past selves and those that win, in a run that stops and goes on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from training.checkpoint import load_checkpoint
from training.config import TrainConfig
from training.environment_config import MicroRTSConfig
from training.league import LeagueConfig
from training.recipes import get_recipe
from training.run import run_training

# Ray's own use of sockets, files and event loops is not ours to mend.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.timeout(240)]
pytest.importorskip("training.actors")


def make_config(total_steps: int) -> TrainConfig:
    config = get_recipe("tiny")
    return dataclasses.replace(
        config,
        environment=MicroRTSConfig(max_steps=40, opponents=("past_self", "WorkerRush", "PassiveAI")),
        actors=dataclasses.replace(config.actors, num_actors=1, games_per_actor=6),
        league=LeagueConfig(deal="prioritised", snapshot_interval_updates=2, max_snapshots=3),
        total_steps=total_steps,
    )


def test_past_selves_reach_the_actors_also_after_a_resume(tmp_path: Path) -> None:
    run_training(make_config(2500), tmp_path)
    before = load_checkpoint(tmp_path)
    assert len(before.training_state["league"]["snapshots"]) == 3
    resumed = run_training(make_config(5000), tmp_path, resume=True)
    after = load_checkpoint(tmp_path)
    assert resumed.complete
    assert after.step > before.step
    assert max(after.training_state["league"]["snapshots"]) > max(before.training_state["league"]["snapshots"])
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    last = lines[-1]
    assert last["league/past_selves"] == 3
    assert last["env/restarts"] == 0
    assert {
        "charts/win_rate/past_self",
        "league/payoff/WorkerRush",
        "league/share/PassiveAI",
        "league/elo/agent",
    } <= set(last)
    assert not [name for line in lines for name in line if "@" in name]
