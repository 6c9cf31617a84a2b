"""StarCraft II by the same path as every other game, played on the stand-in game."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.agent import Agent
from agent.config import AgentConfig
from envs.errors import GameNotFoundError, GameVersionError, UnknownNameError
from training import cli
from training.checkpoint_compatibility import check_compatible
from training.checkpoint_errors import CheckpointMismatchError
from training.config import TrainConfig, from_dict, to_dict
from training.environment_config import (
    NO_OPPONENT,
    PAST_SELF,
    SELF_PLAY,
    GymnasiumConfig,
    StarCraft2Config,
    as_measured,
    is_scored,
)
from training.environments import check_opponents, check_same_game, make_environment, opponents_of, place_of, spec_of
from training.league import LeagueConfig
from training.options import EvaluateOptions, prepare_evaluation
from training.recipes import RECIPES
from training.rollout import Rollout
from training.run import environment_spec, load_agent, run_training
from training.starcraft2_games import on_map, starcraft2_settings

pytestmark = pytest.mark.timeout(300)


def tiny(**environment: object) -> TrainConfig:
    config = RECIPES["starcraft2_tiny"]()
    return replace(
        config,
        environment=replace(config.environment, max_steps=400, **environment),
        agent=AgentConfig.of_size("dummy"),
        actors=replace(config.actors, num_actors=0, games_per_actor=2, unroll_length=4),
        evaluation=replace(config.evaluation, games=2, games_at_once=2, max_steps=400),
        total_steps=1000,
        max_minutes=None,
    )


def test_configs_are_stored_and_read() -> None:
    for name in ("starcraft2_tiny", "starcraft2_minigame", "starcraft2_simple64_1gpu"):
        config = RECIPES[name]()
        assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    assert is_scored(RECIPES["starcraft2_minigame"]().environment)
    assert not is_scored(StarCraft2Config())


def test_unknown_opponents_are_refused_with_close_matches() -> None:
    check_opponents(StarCraft2Config(opponents=("very_hard", "hard:macro:zerg", SELF_PLAY, NO_OPPONENT)))
    with pytest.raises(UnknownNameError, match="very_easy"):
        check_opponents(StarCraft2Config(opponents=("very_esy",)))
    for name in (SELF_PLAY, PAST_SELF, NO_OPPONENT):  # nothing to measure strength against
        with pytest.raises(UnknownNameError, match="weakest first: very_easy"):
            check_opponents(StarCraft2Config(), ["easy", name])


def test_without_the_game_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SC2PATH", str(tmp_path))
    with pytest.raises(GameNotFoundError, match="SC2PATH"):
        make_environment(StarCraft2Config(), 1, seed=0)


def test_actors_whose_game_is_another_one_are_refused() -> None:
    games: Any = SimpleNamespace(version={"game_version": "4.10.0", "base_build": 75689})
    check_same_game(games, {"name": "starcraft2", "game_version": "4.10.0", "base_build": 75689})
    check_same_game(object(), {"name": "microrts"})  # type: ignore[arg-type]  # it has no version of its own
    with pytest.raises(GameVersionError, match=r"game_version is '4.10.0', expected '4.9.3'"):
        check_same_game(games, {"game_version": "4.9.3"})


def test_every_table_names_the_stand_in(stand_in: Path) -> None:
    assert place_of(StarCraft2Config()).startswith("Simple64 (stand-in game STANDIN")
    assert place_of(StarCraft2Config()).endswith("not StarCraft II)")


def test_two_rows_of_self_play_are_one_game(stand_in: Path) -> None:
    config = StarCraft2Config(map_name="Flat32", opponents=("very_easy", SELF_PLAY), max_steps=100_000)
    assert opponents_of(config, 4) == ["very_easy", "very_easy", SELF_PLAY, SELF_PLAY]
    with pytest.raises(ValueError, match="two rows one after the other"):
        make_environment(config, 3, seed=0)
    with pytest.raises(ValueError, match="for one player"):
        make_environment(replace(config, map_name="MoveToBeacon", opponents=(SELF_PLAY,)), 2, seed=0)
    games = make_environment(config, 4, seed=0)
    try:
        assert games.num_envs == 4
        rollout = Rollout(games, Agent(spec_of(games), AgentConfig.of_size("dummy")), unroll_length=6, seed=0)
        trajectory, _ = rollout.collect()
    finally:
        games.close()
    # Where only one side is asked, the row of the other holds no decision.
    counts = trajectory.observations.decision_counts.reshape(4, 7)[:, :6]
    assert counts[:2].all()
    assert 0 < counts[2:].sum() <= counts[2:].size
    assert len(trajectory.observations.decision["action"]) == counts.sum()


def test_a_run_can_be_self_play_alone(stand_in: Path, tmp_path: Path) -> None:
    config = tiny(opponents=(SELF_PLAY,))
    assert environment_spec(config.environment).num_value_scalars
    run = run_training(config, tmp_path / "run")
    assert run.progress.episodes
    assert run.progress.episodes % 2 == 0


def test_a_run_can_be_against_past_selves(stand_in: Path, tmp_path: Path) -> None:
    config = tiny(opponents=(PAST_SELF,))
    run = run_training(replace(config, league=LeagueConfig(snapshot_interval_updates=2)), tmp_path / "run")
    assert {0, 2} <= set(run.league.snapshots)
    with pytest.raises(ValueError, match="for one player: expected the opponent none, got past_self"):
        make_environment(replace(config.environment, map_name="MoveToBeacon"), 2, seed=0)


def test_a_run_learns_stops_goes_on_and_refuses_another_version(stand_in: Path, tmp_path: Path) -> None:
    run = run_training(tiny(), tmp_path / "run")
    assert run.complete
    assert run.identity["game"]["data_version"].startswith("STANDIN")
    further = run_training(replace(tiny(), total_steps=2000), tmp_path / "run", resume=True)
    assert further.progress.game_steps >= 2000
    assert further.progress.updates > run.progress.updates
    metadata = json.loads(next(Path(further.checkpoint).glob("*.json")).read_text())
    assert metadata["game"] == further.identity["game"]
    with pytest.raises(CheckpointMismatchError, match="data_version"):
        check_compatible(metadata, {"game": {**metadata["game"], "data_version": "B89B5D6F"}})
    agent, config, _ = load_agent(tmp_path / "run")
    assert config.environment == tiny().environment
    assert agent.config == AgentConfig.of_size("dummy")


def test_games_that_crash_are_counted_and_none_of_their_episodes(
    stand_in: Path, plan_faults: Callable[..., None]
) -> None:
    config = StarCraft2Config(map_name="Flat32", opponents=("very_easy",), max_steps=100_000)
    games = make_environment(config, 2, seed=0)
    try:
        plan_faults({"kind": "crash", "request": "step", "at_request": 3})
        rollout = Rollout(games, Agent(spec_of(games), AgentConfig.of_size("dummy")), unroll_length=8, seed=0)
        trajectory, episodes = rollout.collect()
        assert trajectory.truncated.any()
        assert episodes == []
        assert np.isfinite(trajectory.rewards).all()
    finally:
        games.close()


def test_the_command_trains_evaluates_and_leaves_replays(
    stand_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "run"
    arguments = ["train", "--recipe", "starcraft2_tiny", "--run-dir", str(directory), "--agent-size", "dummy"]
    arguments += ["--actors", "0", "--max-minutes", "None", "--total-steps", "500", "--actors.games-per-actor", "2"]
    arguments += ["--actors.unroll-length", "4", "--environment.max-steps", "300", "--evaluation.max-steps", "300"]
    assert cli.main([*arguments, "--evaluation.games", "2"]) == 0
    assert "not StarCraft II), win rates" in capsys.readouterr().out
    replays = [path.name for path in (directory / "games").rglob("*.SC2Replay")]
    for player in ("trained", "untrained"):
        assert sum(name.startswith(f"stand-in_{player}-sampled_Flat32_") for name in replays) == 2
    played = json.loads((directory / "evaluation.json").read_text())
    assert [(row["agent"], row["opponent"]) for row in played] == [("trained", "very_easy"), ("untrained", "very_easy")]
    assert "STANDIN" in played[0]["map"]


def test_chance_plays_against_an_ai_and_for_the_score_of_a_mini_game(
    stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = ["--game", "starcraft2", "--agent", "random", "--games", "2", "--modes", "sampled", "--workers", "1"]
    assert cli.main(["evaluate", *directory, "--opponents", "very_easy", "--map", "Flat32", "--max-steps", "200"]) == 0
    assert "very_easy" in capsys.readouterr().out
    assert cli.main(["evaluate", *directory, "--opponents", "very_esy", "--map", "Flat32"]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert cli.main(["evaluate", *directory, "--map", "MoveToBeacon", "--max-steps", "200"]) == 0
    assert "mean return" in capsys.readouterr().out
    assert cli.main(["evaluate", *directory, "--map", "MoveToBeacon", "--opponents", "easy"]) == 2
    assert "MoveToBeacon has no opponents" in capsys.readouterr().err


def test_the_opponents_race_is_hidden_in_training_only(stand_in: Path) -> None:
    assert starcraft2_settings(StarCraft2Config()).hide_opponent_race == 0.1
    measured = as_measured(StarCraft2Config(hide_opponent_race=1.0), "runs/one", "greedy")
    assert isinstance(measured, StarCraft2Config)
    assert (measured.hide_opponent_race, measured.replay_label) == (0.0, "runs/one-greedy")
    assert as_measured(GymnasiumConfig(), "a", "greedy") == GymnasiumConfig()


def test_evaluate_starts_few_games_at_once(stand_in: Path) -> None:
    options = EvaluateOptions(agent="random", game="starcraft2", opponents=("easy",), map_name="Flat32", games=5)
    matches = prepare_evaluation(options).matches
    assert [batch.num_games for batch in matches] == [2, 2, 1]
    matches = prepare_evaluation(replace(options, games_at_once=3)).matches
    assert [batch.num_games for batch in matches] == [3, 2]
    assert {batch.environment.max_steps for batch in matches} == {28_800}
    episodes = prepare_evaluation(
        EvaluateOptions(agent="random", game="starcraft2", map_name="MoveToBeacon", games=3, max_steps=7)
    ).episodes
    assert [(batch.mode, batch.num_games) for batch in episodes] == [("sampled", 2), ("sampled", 1)]
    assert {batch.environment.max_steps for batch in episodes} == {7}


def test_another_map_has_opponents_of_its_kind(stand_in: Path) -> None:
    config = StarCraft2Config(opponents=("hard", SELF_PLAY), max_entities=64)
    mini_game = on_map(config, "MoveToBeacon")
    assert is_scored(mini_game)
    assert mini_game.max_entities == 64
    assert on_map(config, "Flat32") == replace(config, map_name="Flat32")
    assert on_map(mini_game, "Flat32").opponents == ("very_easy",)
