"""Runs resume exactly, equal seeds learn equally, and what cannot go on is refused before anything starts."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agent import AgentConfig
from training import checkpoint, run
from training.checkpoint import (
    CheckpointMismatchError,
    CheckpointNotFoundError,
    CheckpointWriteError,
    CorruptedCheckpointError,
    load_checkpoint,
)
from training.config import ConfigError, EvaluationConfig, TrainConfig, to_dict
from training.environment_config import GymnasiumConfig, MicroRTSConfig
from training.environments import league_of
from training.league import LeagueConfig
from training.loop import Update
from training.recipes import get_recipe
from training.run import load_agent, make_source, open_run, resolve_device, run_training
from training.run_directory import RunDirectoryError
from training.sources import ActorError


def small(recipe: str, **changes: object) -> TrainConfig:
    """Return a recipe cut down to a few updates in this process, with a checkpoint every third."""
    config = get_recipe(recipe)
    actors = dataclasses.replace(config.actors, num_actors=0, games_per_actor=3, unroll_length=8)
    return dataclasses.replace(
        config,
        actors=actors,
        agent=AgentConfig.of_size("dummy"),
        evaluation=EvaluationConfig(games=2),
        total_steps=100_000,
        checkpoint_interval_updates=3,
        **changes,  # type: ignore[arg-type]
    )


def train_until(config: TrainConfig, path: Path, updates: int, *, resume: bool = False) -> run.TrainingRun:
    stop = threading.Event()

    def report(update: Update) -> None:
        if update.progress.updates == updates:
            stop.set()

    return run_training(config, path, resume=resume, report=report, stop=stop)


def assert_equal_states(first: object, second: object) -> None:
    if isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys()
        for key in first:
            assert_equal_states(first[key], second[key])
    elif isinstance(first, torch.Tensor):
        assert isinstance(second, torch.Tensor)
        assert torch.equal(first, second)
    else:
        assert first == second


def meets_those_that_win(config: TrainConfig) -> TrainConfig:
    """Return the run with games short enough for records to come about."""
    environment = MicroRTSConfig(max_steps=40, opponents=("WorkerRush", "RandomBiasedAI", "PassiveAI"))
    return dataclasses.replace(config, environment=environment, league=LeagueConfig(deal="prioritised"))


def meets_past_selves(config: TrainConfig) -> TrainConfig:
    """Return the run against an AI, itself and past selves, frozen anew at every second update."""
    environment = MicroRTSConfig(max_steps=20, opponents=("past_self", "self_play", "PassiveAI"))
    actors = dataclasses.replace(config.actors, games_per_actor=6)
    league = LeagueConfig(snapshot_interval_updates=2, max_snapshots=2)
    return dataclasses.replace(config, environment=environment, actors=actors, league=league)


@pytest.mark.parametrize(
    "config",
    [small("gymnasium"), small("tiny"), meets_those_that_win(small("tiny")), meets_past_selves(small("tiny"))],
    ids=["gymnasium", "tiny", "league", "past_selves"],
)
def test_a_run_in_two_parts_ends_where_the_whole_run_ends(config: TrainConfig, tmp_path: Path) -> None:
    whole = train_until(config, tmp_path / "whole", 6)
    train_until(config, tmp_path / "parts", 3)
    torch.manual_seed(12345)  # nothing may come from what this process happens to have drawn
    parts = train_until(config, tmp_path / "parts", 6, resume=True)
    first, second = (load_checkpoint(trained.directory.path) for trained in (whole, parts))
    assert first.step == second.step > 0
    assert_equal_states(first.weights, second.weights)
    league = first.training_state["league"]
    assert league["payoff"] or config.league.deal == "in_turn"
    assert len(league["snapshots"]) == (2 if "past_self" in getattr(config.environment, "opponents", ()) else 0)
    for state in (first.training_state, second.training_state):
        assert state["progress"].pop("seconds") > 0
    assert_equal_states(first.training_state, second.training_state)


def test_equal_seeds_learn_equally_and_others_do_not(tmp_path: Path) -> None:
    weights = [
        load_checkpoint(train_until(small("tiny", seed=seed), tmp_path / str(number), 2).directory.path).weights
        for number, seed in enumerate((7, 7, 8))
    ]
    assert_equal_states(weights[0], weights[1])
    assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_a_run_leaves_all_there_is_to_know(tmp_path: Path) -> None:
    config = dataclasses.replace(small("gymnasium"), total_steps=60)
    finished = run_training(config, tmp_path)
    assert finished.complete
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads(json.dumps(to_dict(config)))
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["game"]["name"] == "CartPole-v1"
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == finished.progress.updates == 3
    assert {"charts/SPS", "losses/policy_loss", "rollout/policy_lag", "env/step_ms"} <= set(lines[-1])
    assert list(tmp_path.glob("events.out.tfevents*"))
    agent, loaded, found = load_agent(tmp_path)
    assert loaded == config
    assert found.path == finished.checkpoint
    assert_equal_states(agent.state_dict(), finished.agent.state_dict())


def test_a_damaged_checkpoint_does_not_keep_a_run_from_going_on(tmp_path: Path) -> None:
    train_until(small("gymnasium"), tmp_path, 7)
    newest, older = sorted((tmp_path / "checkpoints").glob("0*"), reverse=True)[:2]
    weights = newest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    resumed = open_run(small("gymnasium"), tmp_path, resume=True)
    assert resumed.checkpoint == older
    assert resumed.progress.updates == 6


def test_damage_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    train_until(small("gymnasium"), tmp_path / "a", 7)
    newest = max((tmp_path / "a/checkpoints").glob("0*"))
    (newest / "weights.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    open_run(small("gymnasium"), "a", resume=True)
    assert [newest.name in record.getMessage() for record in caplog.records] == [True]


def test_what_was_logged_before_the_first_checkpoint_does_not_count(tmp_path: Path) -> None:
    """A killed run begins anew in its directory, and would be drawn over what is left of it."""
    config = dataclasses.replace(small("gymnasium"), total_steps=60)
    begun = open_run(config, tmp_path)
    with contextlib.closing(begun.loggers()) as metrics:
        metrics.log(40, {"charts/SPS": 1.0})
    run_training(config, tmp_path, resume=True)
    lines = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[:2] == [40, 24]
    assert [event.step for event in scalars(tmp_path, "charts/SPS")] == lines[1:]


def scalars(path: Path, name: str) -> list[Any]:
    accumulator = EventAccumulator(str(path))
    accumulator.Reload()
    return list(accumulator.Scalars(name))


def test_games_after_a_resume_are_not_those_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds, make = [], run.make_source

    def noted(config: Any, agent: Any, league: Any, seed: int, stop: Any) -> Any:
        seeds.append(seed)
        return make(config, agent, league, seed, stop)

    monkeypatch.setattr(run, "make_source", noted)
    for updates in (3, 5, 7):
        train_until(small("gymnasium"), tmp_path, updates, resume=True)
    assert len(set(seeds)) == 3


def test_statistics_of_opponents_that_are_met_no_more_are_dropped(tmp_path: Path) -> None:
    config = small("tiny", environment=MicroRTSConfig(max_steps=20, opponents=("PassiveAI",)))
    assert set(train_until(config, tmp_path, 6).statistics.recent) == {"PassiveAI"}
    assert set(open_run(config, tmp_path, resume=True).statistics.recent) == {"PassiveAI"}
    other = dataclasses.replace(config, environment=MicroRTSConfig(max_steps=20, opponents=("RandomAI",)))
    assert not open_run(other, tmp_path, resume=True).statistics.recent


@pytest.mark.parametrize(
    ("deal", "opponents", "unmet"),
    [
        ("in_turn", ("CoacAI", "WorkerRush", "PassiveAI", "past_self"), "PassiveAI, past_self"),
        ("prioritised", ("CoacAI", "WorkerRush", "PassiveAI", "self_play"), "self_play"),
        ("prioritised", ("CoacAI", "WorkerRush", "PassiveAI"), None),
        ("in_turn", ("CoacAI", "WorkerRush"), None),
    ],
)
def test_opponents_whom_nobody_meets_are_told(
    deal: Any, opponents: tuple[str, ...], unmet: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = small("tiny", environment=MicroRTSConfig(opponents=opponents), league=LeagueConfig(deal=deal))
    config = dataclasses.replace(config, actors=dataclasses.replace(config.actors, games_per_actor=4))
    open_run(config, tmp_path)
    expected = [] if unmet is None else [f"nobody plays against {unmet}: 4 games are too few"]
    assert [record.getMessage().split(" for")[0] for record in caplog.records] == expected


def test_a_complete_run_is_left_as_it_is(tmp_path: Path) -> None:
    config = dataclasses.replace(small("gymnasium"), total_steps=60)
    run_training(config, tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "checkpoints").rglob("*"))
    again = run_training(config, tmp_path, resume=True)
    assert again.complete
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "checkpoints").rglob("*")) == before


def test_a_run_that_another_process_has_begun_meanwhile_is_not_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small("gymnasium")
    train_until(config, tmp_path, 1)
    monkeypatch.setattr(run, "has_checkpoint", lambda path: False)  # as it was when this process looked
    with pytest.raises(RunDirectoryError, match="until now: give the command again"):
        open_run(config, tmp_path, resume=True)


def test_what_cannot_go_on_is_refused(tmp_path: Path) -> None:
    config = small("gymnasium")
    train_until(config, tmp_path, 1)
    with pytest.raises(RunDirectoryError, match="--resume auto"):
        open_run(config, tmp_path)
    wider = dataclasses.replace(config, agent=dataclasses.replace(config.agent, channels=32))
    with pytest.raises(CheckpointMismatchError, match=r"agent\.channels: expected 32, the checkpoint has 16"):
        open_run(wider, tmp_path, resume=True)
    other = dataclasses.replace(config, environment=GymnasiumConfig(env_id="Acrobot-v1"))
    with pytest.raises(CheckpointMismatchError, match=r'game\.name: expected "Acrobot-v1"'):
        open_run(other, tmp_path, resume=True)
    weights = next((tmp_path / "checkpoints").glob("0*/weights.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CorruptedCheckpointError, match=r"weights\.safetensors"):
        open_run(config, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"environment": GymnasiumConfig(env_id="CartPol-v1")},
            "'CartPol-v1': did you mean CartPole-v1",
        ),
        ({"evaluation": EvaluationConfig(opponents=("CoacAI",))}, "CartPole-v1 has no opponents, got CoacAI"),
        ({"device": "gpu"}, "cannot compute on 'gpu', expected cpu, .* or auto: .*device string: gpu"),
    ],
)
def test_a_config_is_checked_before_anything_is_written(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    config = dataclasses.replace(small("gymnasium"), **changes)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        open_run(config, tmp_path / "new")
    assert not (tmp_path / "new").exists()


# In the second, only the third actor's rows begin in the middle of a pair.
@pytest.mark.parametrize(
    ("opponents", "num_actors"),
    [(("self_play",), 0), (("CoacAI", "mayari", "WorkerRush", "LightRush", "self_play"), 3)],
)
def test_games_of_self_play_come_in_pairs(opponents: tuple[str, ...], num_actors: int, tmp_path: Path) -> None:
    config = small("tiny")
    environment = dataclasses.replace(config.environment, opponents=opponents)
    actors = dataclasses.replace(config.actors, num_actors=num_actors, games_per_actor=3)
    config = dataclasses.replace(config, environment=environment, actors=actors)
    with pytest.raises(ConfigError, match=r"let actors\.games_per_actor be even"):
        open_run(config, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_every_opponent_of_the_end_is_known_at_the_start(tmp_path: Path) -> None:
    config = dataclasses.replace(small("tiny"), evaluation=EvaluationConfig(opponents=("WorkerRush", "CoacIA")))
    with pytest.raises(ConfigError, match="unknown AI 'CoacIA': did you mean CoacAI"):
        open_run(config, tmp_path)


def test_a_full_disk_ends_the_run_with_the_last_checkpoint_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint.write_durably

    def write_until_full(path: Path, data: bytes) -> None:
        if list(tmp_path.glob("checkpoints/0*")):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    monkeypatch.setattr(checkpoint, "write_durably", write_until_full)
    with pytest.raises(CheckpointWriteError, match="the last good checkpoint is"):
        train_until(small("gymnasium"), tmp_path, 6)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path).metadata["policy_version"] == 3
    assert train_until(small("gymnasium"), tmp_path, 4, resume=True).progress.updates == 4


def test_lost_actors_fail_a_run_unless_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal to a whole process group ends the actors before the run has seen it."""
    stop = threading.Event()

    class LosingSource:
        def publish(self, agent: object, version: int) -> None:
            pass

        def restart(self, seed: int) -> None:
            pass

        def close(self) -> None:
            pass

        def next(self) -> None:
            raise ActorError

    monkeypatch.setattr(run, "make_source", lambda *arguments: LosingSource())
    opened = open_run(small("gymnasium"), tmp_path)
    with pytest.raises(ActorError):
        opened.train(lambda update: None, stop)
    assert opened.checkpoint == load_checkpoint(tmp_path).path  # what was learnt is not lost
    stop.set()
    opened.train(lambda update: None, stop)
    assert opened.checkpoint == load_checkpoint(tmp_path).path


def test_no_games_are_started_where_figures_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(run, "make_source", lambda *arguments: started.append(arguments))
    opened = open_run(small("gymnasium"), tmp_path)
    opened.directory.metrics_file.mkdir()
    with pytest.raises(IsADirectoryError):
        opened.train(lambda update: None, threading.Event())
    assert not started


def test_a_teacher_holds_the_policy_to_its_own(tmp_path: Path) -> None:
    train_until(small("gymnasium"), tmp_path / "teacher", 1)
    config = small("gymnasium", teacher=str(tmp_path / "teacher"))
    config = dataclasses.replace(config, learner=dataclasses.replace(config.learner, teacher_kl_cost=1.0), seed=2)
    taught = train_until(config, tmp_path / "taught", 2)
    lines = [json.loads(line) for line in taught.directory.metrics_file.read_text().splitlines()]
    assert all(line["losses/teacher_kl"] > 0 for line in lines)
    with pytest.raises(ConfigError, match=r"would teach nothing: give --learner\.teacher-kl-cost"):
        open_run(small("gymnasium", teacher=str(tmp_path / "teacher")), tmp_path / "untaught")
    alone = dataclasses.replace(config, learner=dataclasses.replace(config.learner, teacher_kl_cost=0.0))
    assert open_run(alone, tmp_path / "taught", resume=True).learner.teacher is None
    other = small("tiny", teacher=str(tmp_path / "teacher"))
    other = dataclasses.replace(other, learner=dataclasses.replace(other.learner, teacher_kl_cost=1.0))
    with pytest.raises(ConfigError, match="the teacher was made for other observations"):
        open_run(other, tmp_path / "other")


def test_a_run_begins_with_the_weights_of_another_and_is_held_to_them(tmp_path: Path) -> None:
    first = train_until(small("gymnasium"), tmp_path / "first", 2)
    config = small("gymnasium", init=str(tmp_path / "first"))
    opened = open_run(config, tmp_path / "opened")
    assert_equal_states(opened.agent.state_dict(), first.agent.state_dict())
    assert opened.progress.updates == 0
    assert not opened.learner.optimiser.state
    assert opened.learner.teacher is None
    config = dataclasses.replace(config, learner=dataclasses.replace(config.learner, teacher_kl_cost=1.0))
    held = open_run(config, tmp_path / "held")
    assert held.learner.teacher is not None
    assert_equal_states(held.learner.teacher.state_dict(), first.agent.state_dict())

    begun = train_until(small("gymnasium", init=str(tmp_path / "first")), tmp_path / "begun", 1)
    shutil.rmtree(tmp_path / "first")  # what goes on does not begin again
    resumed = open_run(begun.config, tmp_path / "begun", resume=True)
    assert_equal_states(resumed.agent.state_dict(), begun.agent.state_dict())


def test_weights_of_another_network_or_game_are_refused(tmp_path: Path) -> None:
    train_until(small("gymnasium"), tmp_path / "first", 1)
    config = small("gymnasium", init=str(tmp_path / "first"))
    wider = dataclasses.replace(config, agent=dataclasses.replace(config.agent, channels=32))
    with pytest.raises(CheckpointMismatchError, match=r"agent\.channels: expected 32, the checkpoint has 16"):
        open_run(wider, tmp_path / "wider")
    with pytest.raises(CheckpointMismatchError, match=r'game\.name: expected "microrts"'):
        open_run(small("tiny", init=str(tmp_path / "first")), tmp_path / "other")
    with pytest.raises(CheckpointNotFoundError, match="there is no checkpoint"):
        open_run(small("gymnasium", init=str(tmp_path / "nowhere")), tmp_path / "lost")
    assert not any((tmp_path / name).exists() for name in ("wider", "other", "lost"))


def test_devices_and_sources() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    config = small("gymnasium")
    opened = make_source(
        config, load_untrained(config), league_of(config.environment, config.league), 0, threading.Event()
    )
    assert type(opened).__name__ == "LocalSource"
    opened.close()


def load_untrained(config: TrainConfig) -> run.Agent:
    return run.Agent(run.environment_spec(config.environment), config.agent)
