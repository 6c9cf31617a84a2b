"""StarCraft II replays as demonstrations, on the stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.interface import pack_observation
from envs.starcraft2.functions import function_calls_space
from envs.starcraft2.process import GameProcess
from envs.starcraft2.replay_plan import plan_decisions
from envs.starcraft2.replay_playback import Playback
from envs.starcraft2.replays import ReplaySettings
from tests.envs.starcraft2.played_replays import Played, play_for_replay
from training.demonstrations import Demonstrations
from training.replay_recordings import record_replays

MAX_ENTITIES = 64


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play_for_replay(tmp_path_factory.mktemp("game"), 150)


def test_replays_are_read_as_the_agent_would_have_seen_them(played: Played, tmp_path: Path) -> None:
    settings = ReplaySettings(max_entities=MAX_ENTITIES, decisions_per_shard=7)
    record_replays([played.replay], tmp_path, directory=played.folder, settings=settings)
    demonstrations = Demonstrations(tmp_path)
    demonstrations.verify()
    spec = demonstrations.manifest.spec
    assert spec.action.function_call is not None
    assert spec.action.function_call.max_entities == MAX_ENTITIES
    assert demonstrations.manifest.reward_term_names == ("win_loss",)
    assert [(game.game, game.side) for game in demonstrations.player_games] == [(0, 0), (0, 1)]
    process = GameProcess(played.folder)
    try:
        playback = Playback(process, played.replay.read_bytes(), 1)
        survey = playback.survey()
        plan, _ = plan_decisions(survey.actions, first_loop=survey.first_loop, last_loop=survey.last_loop)
        decisions = list(playback.record(plan, function_calls_space(MAX_ENTITIES)))
    finally:
        process.close()
    steps = demonstrations.read(0)
    assert len(steps.observations) == len(decisions) == demonstrations.player_games[0].num_steps > 10
    batch = {key: np.stack([each.observation[key] for each in decisions]) for key in decisions[0].observation}
    expected = pack_observation(batch, spec, np.asarray([not each.left_out for each in decisions]))
    for group in ("sample", "entity", "decision"):
        for key, array in getattr(expected, group).items():
            read = getattr(steps.observations, group)[key]
            assert read.dtype == array.dtype, key
            np.testing.assert_array_equal(read, array, err_msg=key)
    for name in ("entity_counts", "decision_counts"):
        np.testing.assert_array_equal(getattr(steps.observations, name), getattr(expected, name))
    calls = [each.call for each in decisions if not each.left_out]
    np.testing.assert_array_equal(steps.observations.decision["action"], np.stack(calls))
    assert steps.elapsed_steps.sum() == survey.last_loop - survey.first_loop
    assert not steps.terminated.any(), "the game was cut off"
    assert steps.truncated.tolist() == [False] * (len(decisions) - 1) + [True]
    assert demonstrations.extra(0)["statistic"]["race"] == "terran"
