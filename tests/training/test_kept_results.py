from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from agent import Agent, AgentConfig
from tests.agent import games
from training.config import ConfigError, EvaluationConfig
from training.contestants import AgentContestant, ScriptedContestant
from training.environment_config import MicroRTSConfig
from training.evaluation import MatchBatch, plan_matches
from training.kept_results import KeptResults
from training.play import play_matches

NAME = "WorkerRush"
PLAYERS = {NAME: ScriptedContestant(NAME)}
IDENTITIES = {NAME: NAME}
Existing = Literal["refuse", "resume", "replace"]
CONFIG = EvaluationConfig(opponents=("PassiveAI", "RandomBiasedAI"), games=4, max_steps=300, games_at_once=1)


def planned(config: EvaluationConfig = CONFIG, seed: int = 0) -> list[MatchBatch]:
    return plan_matches(MicroRTSConfig(map_path="maps/8x8/basesWorkers8x8A.xml"), config, PLAYERS, seed=seed)


def kept(output: Path, *, existing: Existing = "resume", batches: list[MatchBatch] | None = None) -> KeptResults:
    return KeptResults(output, IDENTITIES, planned() if batches is None else batches, existing=existing)


def test_an_interrupted_evaluation_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    output, stop, told = tmp_path / "evaluation.json", threading.Event(), list[int]()

    def stop_early(number: int, all_games: int) -> None:
        if number >= 3:
            stop.set()

    first = kept(output, existing="refuse")
    assert play_matches(PLAYERS, planned(), num_workers=1, report=stop_early, stop=stop, kept=first) is None
    assert len(first.results) == 3
    second = kept(output)
    results = play_matches(PLAYERS, planned(), report=lambda number, _: told.append(number), kept=second)
    assert told == [3, 4, 5, 6, 7, 8], "what was kept is not played again"
    assert results == play_matches(PLAYERS, planned())
    assert play_matches(PLAYERS, planned(), kept=kept(output)) == results, "nothing is left to play"
    second.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_was_being_written_when_it_stopped_is_played_again(tmp_path: Path) -> None:
    output = tmp_path / "evaluation.json"
    first = kept(output)
    for index in (5, 2):
        first.add(index, np.array([[1, 3]]))
    first.add(6, np.zeros((0, 2), np.int64))
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:-7])
    second = kept(output)
    assert {index: results.tolist() for index, results in second.results.items()} == {5: [[1, 3]]}
    second.add(2, np.array([[1, 3]]))
    assert first.path.read_bytes() == whole, "games that failed are not kept"


def test_batches_of_which_some_games_failed_are_played_again(tmp_path: Path) -> None:
    output, batches = tmp_path / "evaluation.json", planned(replace(CONFIG, games_at_once=2))
    first = kept(output, batches=batches)
    first.add(0, np.array([[1, 3]]))
    first.add(1, np.array([[1, 3], [0, 4]]))
    assert first.results.keys() == kept(output, batches=batches).results.keys() == {1}


def test_what_is_kept_is_not_lost_by_accident(tmp_path: Path) -> None:
    output = tmp_path / "evaluation.json"
    kept(output, existing="refuse").add(0, np.array([[1, 3]]))
    with pytest.raises(ConfigError, match=r"evaluation\.json\.unfinished keeps results .* --resume goes on"):
        kept(output, existing="refuse")
    assert kept(output).results.keys() == {0}


@pytest.mark.parametrize("batches", [planned(seed=1), planned(replace(CONFIG, max_steps=200))])
def test_results_of_another_evaluation_are_refused(tmp_path: Path, batches: list[MatchBatch]) -> None:
    output = tmp_path / "evaluation.json"
    kept(output).add(0, np.array([[1, 3]]))
    with pytest.raises(ConfigError, match="another agent or other options"):
        kept(output, batches=batches)
    with pytest.raises(ConfigError, match="another agent or other options"):
        KeptResults(output, {NAME: "another"}, planned(), existing="resume")


@pytest.mark.parametrize("line", ["{", "[]", "7", "{}"])
def test_a_damaged_file_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "evaluation.json.unfinished").write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=r"evaluation\.json\.unfinished is damaged: remove it"):
        kept(tmp_path / "evaluation.json")


def test_more_games_than_before_go_on_too(tmp_path: Path) -> None:
    output = tmp_path / "evaluation.json"
    kept(output).add(0, np.array([[1, 3]]))
    more = planned(replace(CONFIG, games=6, opponents=("PassiveAI", "LightRush", "RandomBiasedAI")))
    assert kept(output, batches=more).results.keys() == {0}


def test_agents_are_told_apart_by_their_weights() -> None:
    agents = [Agent(games.unit_game(), AgentConfig.of_size("small")) for _ in range(2)]
    first, second = (AgentContestant(agent).identity for agent in agents)
    assert first == AgentContestant(agents[0]).identity != second


def test_where_the_output_is_replaced_what_is_of_another_evaluation_makes_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "evaluation.json"
    output.write_text("[]")
    KeptResults(output, {NAME: "another"}, planned(), existing="replace").add(0, np.array([[1, 3]]))
    first = kept(output, existing="replace")
    assert not first.results
    assert "results of other settings or weights are dropped" in caplog.text
    first.add(2, np.array([[1, 3]]))
    assert kept(output, existing="replace").results.keys() == {2}


def test_results_are_kept_whoever_else_plays(tmp_path: Path) -> None:
    output, batches = tmp_path / "evaluation.json", planned()
    others = [replace(batch, contestant="other") for batch in batches]
    identities = {NAME: NAME, "other": "a"}
    KeptResults(output, identities, [*batches, *others], existing="replace").add(0, np.array([[1, 3]]))
    assert kept(output).results.keys() == {0}
    identities["other"] = "b"
    assert KeptResults(output, identities, [*batches, *others], existing="resume").results.keys() == {0}


def test_a_first_line_that_was_being_written_is_no_harm(tmp_path: Path) -> None:
    output = tmp_path / "evaluation.json"
    (tmp_path / "evaluation.json.unfinished").write_bytes(b'{"batch')
    kept(output).add(1, np.array([[1, 3]]))
    assert {index: results.tolist() for index, results in kept(output).results.items()} == {1: [[1, 3]]}


def test_games_that_repeat_each_other_are_told_after_an_interruption_too(tmp_path: Path) -> None:
    output, batches = tmp_path / "evaluation.json", planned(replace(CONFIG, games_at_once=2))
    first = kept(output, batches=batches)
    for index in range(len(batches)):
        first.add(index, np.array([[1, 7], [1, 7 + index]]))
    results = play_matches(PLAYERS, batches, kept=kept(output, batches=batches))
    assert results is not None
    assert [result.different_games for result in results] == [1, 2, 2, 2]


def test_finished_results_are_not_written_over(tmp_path: Path) -> None:
    output = tmp_path / "evaluation.json"
    output.write_text("[]")
    existing: tuple[Existing, ...] = ("refuse", "resume")
    for each in existing:
        with pytest.raises(ConfigError, match=r"evaluation\.json has the results of an evaluation: choose another"):
            kept(output, existing=each)
