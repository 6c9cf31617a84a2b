"""Recorded games as the agent sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.interface import PackedObservation, pack_observation
from envs.microrts import MicroRTSVectorEnv
from envs.recordings import RecordingError
from envs.spaces import SCALARS
from training.demonstrations import Demonstrations
from training.environments import spec_of
from training.record_command import RecordOptions, record

MAP = "maps/8x8/basesWorkers8x8A.xml"
MAX_STEPS = 400


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recording")
    record(
        RecordOptions(
            players=("WorkerRush", "HeavyRush"), output=directory, map_path=MAP, games=2, max_steps=MAX_STEPS, workers=1
        )
    )
    return directory


def arrays(packed: PackedObservation) -> dict[str, NDArray[Any]]:
    groups = {"sample": packed.sample, "entity": packed.entity, "decision": packed.decision}
    named = {f"{group}.{name}": array for group, parts in groups.items() for name, array in parts.items()}
    return {**named, "entity_counts": packed.entity_counts, "decision_counts": packed.decision_counts}


def test_player_games_tell_who_played_whom(recording: Path) -> None:
    demonstrations = Demonstrations(recording)
    games = demonstrations.player_games
    assert [(game.game, game.player, game.side) for game in games] == [
        (0, "WorkerRush", 0),
        (0, "HeavyRush", 1),
        (1, "HeavyRush", 0),
        (1, "WorkerRush", 1),
    ]
    assert all(game.outcome == (1 if game.player == "WorkerRush" else -1) for game in games)
    assert games[0].seed == games[1].seed != games[2].seed
    manifest = demonstrations.manifest
    assert manifest.max_steps == MAX_STEPS
    assert manifest.game["map"] == MAP
    assert manifest.counts["steps"] == sum(game.num_steps for game in games)
    demonstrations.verify()


def test_observations_are_those_of_pack_observation_in_play(recording: Path) -> None:
    """Play the recorded actions against the same AI, and compare all that the agent would be given."""
    demonstrations = Demonstrations(recording)
    env = MicroRTSVectorEnv(map_path=MAP, opponents=["HeavyRush"], max_steps=MAX_STEPS)
    spec = spec_of(env)
    assert demonstrations.manifest.spec == spec
    assert demonstrations.manifest.reward_term_names == env.reward_term_names
    steps = demonstrations.read(0)
    times = np.rint(steps.observations.sample[SCALARS][:, 0] * MAX_STEPS).astype(int).tolist()
    observation, _ = env.reset()
    for time in range(int(steps.elapsed_steps.sum())):
        actions = np.zeros((1, env.max_entities, spec.action.action_size), np.int64)
        if time in times:
            shown = demonstrations.read(0, times.index(time), 1).observations
            expected = arrays(pack_observation(observation, spec))
            read = arrays(shown)
            # Only units that the AI has ordered decide.
            chosen = np.isin(expected["decision.slot"], read["decision.slot"])
            for name in ("decision.slot", "decision.action_mask"):
                expected[name] = expected[name][chosen]
            expected["decision_counts"] = np.asarray([chosen.sum()])
            assert {*read} - {*expected} == {"decision.action"}
            for name, array in expected.items():
                assert read[name].dtype == array.dtype, name
                np.testing.assert_array_equal(read[name], array, err_msg=name)
            actions[0, shown.decision["slot"]] = shown.decision["action"]
        observation, _, terminated, _, infos = env.step(actions)
    assert terminated.all()
    assert infos["outcome"][0] == demonstrations.player_games[0].outcome
    env.close()


def test_parts_of_a_game_make_the_whole(recording: Path) -> None:
    demonstrations = Demonstrations(recording)
    for index, game in enumerate(demonstrations.player_games):
        whole = demonstrations.read(index)
        cut = game.num_steps // 2
        parts = [demonstrations.read(index, 0, cut), demonstrations.read(index, cut)]
        decided = demonstrations.read(index, only_decided=True)
        assert not decided.observations.sample
        assert not decided.observations.entity
        for name, array in arrays(decided.observations).items():
            np.testing.assert_array_equal(array, arrays(whole.observations)[name])
        np.testing.assert_array_equal(decided.rewards, whole.rewards)
        for name, array in arrays(whole.observations).items():
            np.testing.assert_array_equal(np.concatenate([arrays(part.observations)[name] for part in parts]), array)
        for name in ("rewards", "elapsed_steps", "terminated", "truncated"):
            np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
        assert whole.terminated.tolist() == [False] * (game.num_steps - 1) + [True]
        assert not whole.truncated.any()
        assert whole.rewards[-1, 0] == game.outcome


def test_another_folder_is_refused(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds no recording"):
        Demonstrations(tmp_path)
    manifest = json.loads((recording / "manifest.json").read_text())
    del manifest["header"]["layout"]["action"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordingError, match=r"is damaged: KeyError: 'action'"):
        Demonstrations(tmp_path)
