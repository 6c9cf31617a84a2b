"""A run of imitation resumes exactly, ends with its best weights, and leaves a checkpoint like any other."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent import AgentConfig
from tests.training.test_run import assert_equal_states
from training import imitation_run
from training.checkpoint import CheckpointMismatchError, load_checkpoint
from training.config import ConfigError, EvaluationConfig, TrainConfig, to_dict
from training.demonstrations import Demonstrations
from training.environment_config import MicroRTSConfig
from training.imitation import ImitationLearner
from training.imitation_config import ImitationConfig
from training.imitation_run import ImitationRun, open_imitation
from training.loop import Update
from training.recipes import get_recipe
from training.record_command import RecordOptions, record
from training.run import load_agent, open_run
from training.run_options import parse_imitate, parse_train

MAP = "maps/8x8/basesWorkers8x8A.xml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory: Path = tmp_path_factory.mktemp("recording")
    players = ("CoacAI", "RandomBiasedAI")
    record(RecordOptions(players=players, output=directory, map_path=MAP, games=6, max_steps=200, workers=1))
    return str(directory)


def config_of(**changes: Any) -> TrainConfig:
    """Return a recipe for the tiny recording, measured every third update, with a core that remembers."""
    config = get_recipe("tiny")
    settings: dict[str, Any] = {
        "agent": AgentConfig.of_size("dummy"),
        "evaluation": EvaluationConfig(),
        "total_steps": 100_000,
        "checkpoint_interval_updates": 3,
    }
    return dataclasses.replace(config, **{**settings, **changes})


def imitation_of(data: str, **changes: Any) -> ImitationConfig:
    settings: dict[str, Any] = {"streams": 3, "unroll_length": 4, "passes": 2, "held_out_share": 0.3, "patience": 100}
    return ImitationConfig(data=data, **{**settings, **changes})


def imitate_until(run: ImitationRun, updates: int | None) -> list[dict[str, float]]:
    """Imitate for so many updates, or to the end; return what was reported."""
    stop, reports = threading.Event(), []
    learn = run.learner.update

    def counted(*arguments: Any) -> Any:
        if updates is not None and run.progress.updates == updates - 1:
            stop.set()
        return learn(*arguments)

    def report(update: Update) -> None:
        reports.append(update.metrics)

    run.learner.update = counted  # type: ignore[method-assign]
    run.train(report, stop)
    return reports


def test_a_run_in_two_parts_ends_where_the_whole_run_ends(data: str, tmp_path: Path) -> None:
    whole = open_imitation(config_of(), imitation_of(data), tmp_path / "whole")
    imitate_until(whole, None)
    imitate_until(open_imitation(config_of(), imitation_of(data), tmp_path / "parts"), 5)
    torch.manual_seed(12345)
    parts = open_imitation(config_of(), imitation_of(data), tmp_path / "parts", resume=True)
    assert parts.progress.updates == 5
    assert not parts.complete
    imitate_until(parts, None)
    first, second = (load_checkpoint(run.directory.path) for run in (whole, parts))
    assert first.step == second.step == 2 * whole.choice.num_train_steps
    assert_equal_states(first.weights, second.weights)
    for state in (first.training_state, second.training_state):
        assert state["progress"].pop("seconds") > 0
    assert_equal_states(first.training_state, second.training_state)
    again = open_imitation(config_of(), imitation_of(data), tmp_path / "parts", resume=True)
    assert again.complete


def test_a_run_that_has_ended_goes_on_with_more_passes(data: str, tmp_path: Path) -> None:
    first = open_imitation(config_of(), imitation_of(data), tmp_path)
    imitate_until(first, None)
    ended = first.progress.game_steps
    assert ended == 2 * first.choice.num_train_steps
    assert first.ending == "training is complete"
    longer = open_imitation(config_of(), imitation_of(data, passes=3), tmp_path, resume=True)
    assert not longer.complete
    assert_equal_states(longer.agent.state_dict(), first.best.weights)
    imitate_until(longer, None)
    assert longer.complete
    assert longer.progress.game_steps == 3 * first.choice.num_train_steps
    assert longer.best.loss <= first.best.loss


def test_a_run_that_gets_worse_ends_early_with_its_best_weights(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_imitation(config_of(), imitation_of(data, patience=2), tmp_path)
    losses, seen = [0.5, 0.4, 0.6, 0.4], []

    def evaluate(batches: Any, num_streams: int) -> dict[str, float]:
        assert sum(batch.num_steps for batch in batches) == sum(game.num_steps for game in run.choice.held_out)
        seen.append({name: value.clone() for name, value in run.agent.state_dict().items()})
        return {"policy_loss": losses[len(seen) - 1]}

    monkeypatch.setattr(run.learner, "evaluate", evaluate)
    imitate_until(run, None)
    assert run.progress.updates == 12
    assert run.complete
    assert run.ending == "training is complete: the held-out loss has not fallen for 2 measurements (--patience)"
    assert_equal_states(load_checkpoint(tmp_path).weights, seen[1])
    assert any(not torch.equal(value, seen[3][name]) for name, value in seen[1].items())
    assert (run.best.loss, run.best.step) == (0.4, sum_of_steps(tmp_path, measurement=1))


def test_an_interruption_does_not_make_a_run_patient(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.4, 0.5, 0.6, 0.1])
    monkeypatch.setattr(ImitationLearner, "evaluate", lambda *_: {"policy_loss": next(losses)})
    imitate_until(open_imitation(config_of(), imitation_of(data, patience=2), tmp_path), 9)
    rest = open_imitation(config_of(), imitation_of(data, patience=2), tmp_path, resume=True)
    assert (rest.progress.updates, rest.complete) == (9, False)
    imitate_until(rest, None)
    assert (rest.progress.updates, rest.complete, rest.best.loss) == (9, True, 0.4)


def sum_of_steps(path: Path, measurement: int) -> int:
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return int([line["step"] for line in lines if "held_out/policy_loss" in line][measurement])


def test_a_run_leaves_all_there_is_to_know(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imitation_run, "_LOG_INTERVAL_UPDATES", 2)
    config, imitation = config_of(), imitation_of(data, players=("CoacAI",), outcome_weights=(1.0, 0.5, 0.25))
    run = open_imitation(config, imitation, tmp_path / "bc")
    reports = imitate_until(run, None)
    settings = json.loads((tmp_path / "bc" / "config.json").read_text())
    assert settings.pop("imitation")["players"] == ["CoacAI"]
    assert settings == json.loads(json.dumps(to_dict(config)))
    names = set().union(*reports)
    assert {"imitation/policy_loss", "imitation/accuracy/type", "imitation/cross_entropy/move", "charts/SPS"} <= names
    assert {"held_out/policy_loss", "held_out/accuracy/move", "held_out/explained_variance"} <= names
    lines = [json.loads(line) for line in run.directory.metrics_file.read_text().splitlines()]
    assert [{name: value for name, value in line.items() if name != "step"} for line in lines] == reports
    assert list(run.directory.path.glob("events.out.tfevents*"))
    assert "held-out games" in run.progress_line().text(Update(run.progress, reports[-1]))

    agent, loaded, _ = load_agent(run.directory.path)
    assert loaded == config
    assert_equal_states(agent.state_dict(), run.agent.state_dict())
    learner = dataclasses.replace(config.learner, teacher_kl_cost=1.0)
    held = open_run(dataclasses.replace(config, init=str(tmp_path / "bc"), learner=learner), tmp_path / "rl")
    assert held.learner.teacher is not None
    assert_equal_states(held.agent.state_dict(), run.agent.state_dict())
    begun = open_imitation(dataclasses.replace(config, init=str(tmp_path / "bc")), imitation, tmp_path / "more")
    assert_equal_states(begun.agent.state_dict(), run.agent.state_dict())


def test_all_weights_are_learnt_from_the_recipes_rewards(data: str, tmp_path: Path) -> None:
    """Returns are those of the weighted rewards: the first step of a game knows what is harvested, discounted."""
    weights, discount = (0.0, 7.0, 0.0, 0.0, 0.0, 0.0), 0.99
    config = config_of()
    config = config_of(
        environment=dataclasses.replace(config.environment, reward_weights=weights),
        learner=dataclasses.replace(config.learner, discounts=(discount,)),
    )
    run = open_imitation(config, imitation_of(data), tmp_path)
    first_returns = []
    for game in run.choice.train:
        steps = Demonstrations(data).read(game.index)
        assert steps.rewards[:, 2:].any()
        game_steps_before = np.cumsum(steps.elapsed_steps) - steps.elapsed_steps
        first_returns.append(7.0 * float(steps.rewards[:, 1] @ discount**game_steps_before))
    assert any(first_returns)
    batches = list(iter(run.streams.next, None))
    assert not any(batch.returns[..., [0, 2, 3, 4, 5]].any() for batch in batches)
    found = np.concatenate([batch.returns[..., 1][batch.is_first] for batch in batches])
    np.testing.assert_allclose(np.sort(found), np.sort(first_returns * run.imitation.passes), rtol=1e-5)


def test_what_does_not_fit_is_refused(data: str, tmp_path: Path) -> None:
    larger = MicroRTSConfig(map_path="maps/16x16/basesWorkers16x16A.xml")
    with pytest.raises(CheckpointMismatchError, match=r"the recording was made for something else:\n +game\.map"):
        open_imitation(config_of(environment=larger), imitation_of(data), tmp_path / "map")
    with pytest.raises(ConfigError, match="unknown player 'Coac': did you mean CoacAI"):
        open_imitation(config_of(), imitation_of(data, players=("Coac",)), tmp_path / "player")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match=r"wait_share is 0\.5, but an agent with memory has to see every step"):
        open_imitation(config_of(), imitation_of(data, wait_share=0.5), tmp_path / "run")
    run = open_imitation(config_of(), imitation_of(data), tmp_path / "run")
    imitate_until(run, 1)
    other = imitation_of(data, players=("CoacAI",))
    with pytest.raises(CheckpointMismatchError, match="the games to learn from are not those that the run began with"):
        open_imitation(config_of(), other, tmp_path / "run", resume=True)
    with pytest.raises(CheckpointMismatchError, match=r"the games to measure on are not those .* --held-out-steps"):
        open_imitation(config_of(), imitation_of(data, held_out_steps=1), tmp_path / "run", resume=True)


def test_games_of_another_length_are_told(data: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = config_of(evaluation=EvaluationConfig(max_steps=200))
    open_imitation(config, imitation_of(data), tmp_path / "same")
    assert not caplog.records
    longer = dataclasses.replace(config, environment=dataclasses.replace(config.environment, max_steps=300))
    open_imitation(longer, imitation_of(data), tmp_path / "longer")
    (record,) = caplog.records
    assert "recorded games end after 200 steps, but --environment.max-steps is 300" in record.getMessage()


def test_agents_without_memory_read_fewer_waits(data: str, tmp_path: Path) -> None:
    config = config_of(agent=dataclasses.replace(AgentConfig.of_size("dummy"), core="none"))
    rows = []
    for share in (1.0, None):
        run = open_imitation(config, imitation_of(data, wait_share=share, passes=1), tmp_path / str(share))
        batches = list(iter(run.streams.next, None))
        assert sum(batch.num_steps for batch in batches) == run.choice.num_train_steps
        rows.append(sum(batch.loss_mask.sum() for batch in batches))
    assert rows[0] == run.choice.num_train_steps > rows[1]


def test_options(data: str, tmp_path: Path) -> None:
    arguments = ["--data", data, "--recipe", "tiny", "--run-dir", str(tmp_path), "--players", "CoacAI"]
    options = parse_imitate([*arguments, "--outcome-weights", "1", "1", "0", "--learner.learning-rate", "0.01"], "x")
    assert options.imitation == ImitationConfig(data=data, players=("CoacAI",), outcome_weights=(1.0, 1.0, 0.0))
    assert options.config.recipe == "tiny"
    assert options.config.learner.learning_rate == 0.01
    open_imitation(options.config, options.imitation, options.run_path)
    stored = parse_imitate(["--resume", "auto", "--run-dir", str(tmp_path), "--passes", "9"], "x")
    assert stored.imitation == dataclasses.replace(options.imitation, passes=9)
    assert stored.config == options.config
    with pytest.raises(ConfigError, match=r"holds a run of imitate: .* or begin with its weights by --init"):
        parse_train(["--resume", "auto", "--run-dir", str(tmp_path)], "x")
    with pytest.raises(SystemExit):
        parse_imitate(["--recipe", "tiny"], "x")
    assert parse_imitate(["--data", data, "--recipe", "quickstart"], "x").config.max_minutes is None
    assert parse_imitate(["--data", data, "--max-minutes", "2"], "x").config.max_minutes == 2
