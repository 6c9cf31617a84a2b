"""Replays through the game: what the stand-in plays back becomes recordings that tell what was played."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.function_calls import FIRST_SELECTED
from envs.recording_writer import write_shard
from envs.recordings import PlayerGameRows, RecordingError, RecordingReader, Shard
from envs.spaces import ACTION_MASK, ENTITY_CLASSES, ENTITY_MASK, SCALARS
from envs.starcraft2.action_masks import FunctionMasks, PlayerFacts
from envs.starcraft2.actions import keep_allowed, no_op
from envs.starcraft2.compatibility import query_pb, sc_pb
from envs.starcraft2.functions import FUNCTION_BY_NAME, FUNCTIONS, function_calls_space
from envs.starcraft2.game import interface_options
from envs.starcraft2.observation import ObservationEncoder, observation_space
from envs.starcraft2.process import GameProcess
from envs.starcraft2.replay_files import ReplayError, replay_version
from envs.starcraft2.replay_plan import plan_decisions
from envs.starcraft2.replay_playback import Playback
from envs.starcraft2.replay_shards import player_game_rows, statistic_of, with_statistic
from envs.starcraft2.replays import ReplayReport, ReplaySettings, convert_replays
from envs.starcraft2.scalars import SCALAR_SLICES
from tests.envs.starcraft2.played_replays import Played, play_for_replay

GAME_LOOPS = 700


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play_for_replay(tmp_path_factory.mktemp("game"), GAME_LOOPS)


@pytest.fixture(scope="module")
def converted(played: Played, tmp_path_factory: pytest.TempPathFactory) -> ReplayReport:
    settings = ReplaySettings(decisions_per_shard=40)
    return convert_replays(
        [played.replay], tmp_path_factory.mktemp("shards"), directory=played.folder, settings=settings
    )


def view_of(report: ReplayReport, player_id: int) -> PlayerGameRows:
    return RecordingReader(report.shards[0].parent).read(player_id - 1)


def observation_of(view: PlayerGameRows, index: int) -> dict[str, np.ndarray]:
    """The padded observation of a step that has a decision."""
    first = int(view.entity_counts[:index].sum())
    count = int(view.entity_counts[index])
    observation: dict[str, np.ndarray] = {ENTITY_MASK: (np.arange(512) < count).astype(np.int8)}
    for key, rows in view.entity.items():
        observation[key] = np.zeros((512, *rows.shape[1:]), rows.dtype)
        observation[key][:count] = rows[first : first + count]
    for key, rows in view.sample.items():
        observation[key] = rows[index]
    observation[ACTION_MASK] = view.decision[ACTION_MASK][int(view.decision_counts[:index].sum())].astype(np.int8)
    return observation


def test_both_views_are_recorded(played: Played, converted: ReplayReport) -> None:
    assert (converted.views, dict(converted.skipped)) == (2, {})
    reader = RecordingReader(converted.shards[0].parent)
    reader.verify()
    assert len(converted.shards) >= 4, "a game goes over several shards"
    assert [(game["game"], game["side"]) for game in reader.player_games] == [(0, 0), (0, 1)]
    assert converted.decisions == sum(game["num_steps"] for game in reader.player_games)
    assert reader.manifest["left_out"] == dict(converted.left_out)
    for player_id in (1, 2):
        view = view_of(converted, player_id)
        assert view.info["source"] == played.replay.name
        assert reader.extra(player_id - 1)["version"]["game"] == "stand-in game"
        loops, elapsed = view.result["game_loop"], view.result["elapsed_steps"]
        np.testing.assert_array_equal(np.diff(loops), elapsed[:-1])
        assert loops[-1] + elapsed[-1] == GAME_LOOPS
        decided = view.decision_counts == 1
        np.testing.assert_array_equal(view.decision["action"][:, 1] + 1, elapsed[decided])
        assert len(view) - decided.sum() == sum(converted_left_out(reader, player_id).values())
        assert view.result["rewards"][:-1].sum() == 0
        assert view.result["rewards"][-1, 0] == view.info["outcome"]


def converted_left_out(reader: RecordingReader, player_id: int) -> Counter[str]:
    """What is no legal call of ours of the steps of a player."""
    found: Counter[str] = Counter()
    for shard in reader.manifest["shards"]:
        if shard.player_games[0]["side"] == player_id - 1:
            found.update(shard.left_out)
    for planned in ("too many at once", "after the end", "no order"):  # which have no step
        del found[planned]
    return found


@pytest.mark.parametrize("player_id", [1, 2])
def test_decisions_are_those_that_were_played(played: Played, converted: ReplayReport, player_id: int) -> None:
    view = view_of(converted, player_id)
    calls = view.decision["action"]
    is_order = calls[:, 0] != 0
    loops, orders = view.result["game_loop"][view.decision_counts == 1][is_order], calls[is_order]
    remaining = list(played.calls[player_id - 1])
    matched = 0
    for now, call in zip(loops.tolist(), orders, strict=True):
        while remaining:
            then, sent = remaining.pop(0)
            # The game may refuse an order, and general abilities stand for the specific ones that it reports.
            if sent[0] == call[0] and (sent[5] == call[5]) and np.array_equal(sent[2], call[2]):
                assert -1 <= now - then <= 12
                matched += 1
                break
    assert matched > 0.7 * len(loops)
    assert len(loops) > 0.4 * sum(call[0] != 0 for _, call in played.calls[player_id - 1])


def test_observations_are_in_the_layout_and_allow_what_was_decided(converted: ReplayReport) -> None:
    space, calls = observation_space(), function_calls_space()
    for player_id in (1, 2):
        view = view_of(converted, player_id)
        for decision, index in list(enumerate(np.flatnonzero(view.decision_counts)))[::7]:
            observation = observation_of(view, index)
            assert space.contains(observation)
            call = view.decision["action"][decision]
            assert calls.contains(call)
            assert observation[ACTION_MASK][call[0]]
            assert not observation[SCALARS][SCALAR_SLICES["build_order_given"]].any()
            kept = keep_allowed(call, observation[ENTITY_CLASSES], calls)
            np.testing.assert_array_equal(kept, call)


def test_rows_are_those_of_the_observations(played: Played, converted: ReplayReport) -> None:
    """What is read from the disk is what the encoder has made of the game, type for type."""
    view = view_of(converted, 2)
    process = GameProcess(played.folder)
    try:
        playback = Playback(process, played.replay.read_bytes(), 2)
        survey = playback.survey()
        plan, _ = plan_decisions(survey.actions, first_loop=survey.first_loop, last_loop=survey.last_loop)
        decisions = list(playback.record(plan, function_calls_space(512)))
    finally:
        process.close()
    expected = player_game_rows(decisions, {}, final_reward=view.info["outcome"])
    for group in ("sample", "entity", "decision", "result"):
        for key, array in getattr(expected, group).items():
            read = getattr(view, group)[key]
            assert read.dtype == array.dtype
            np.testing.assert_array_equal(read, array, err_msg=key)


def test_to_wait_is_a_decision(played: Played) -> None:
    process = GameProcess(played.folder)
    try:
        playback = Playback(process, played.replay.read_bytes(), 1)
        survey = playback.survey(max_game_loops=200)
        plan, _ = plan_decisions(survey.actions, first_loop=survey.first_loop, last_loop=survey.last_loop, max_delay=8)
        decisions = list(playback.record(plan, function_calls_space(512)))
    finally:
        process.close()
    waits = sum(planned.message is None for planned in plan)
    assert 0 < waits < len(plan)
    rows = player_game_rows(decisions, {}, final_reward=None)
    calls = rows.decision["action"]
    assert (calls[:, 0] == 0).sum() == waits
    assert rows.decision[ACTION_MASK][np.arange(len(calls)), calls[:, 0]].all()
    np.testing.assert_array_equal(rows.decision_counts, [not decision.left_out for decision in decisions])


def test_masks_bar_nothing_that_the_game_offers(played: Played) -> None:
    masks, offered = FunctionMasks(hide_specific=False), 0
    process = GameProcess(played.folder)
    try:
        for player_id in (1, 2):
            request = sc_pb.RequestStartReplay(
                replay_data=played.replay.read_bytes(), observed_player_id=player_id, options=interface_options()
            )
            process.request("start_replay", lambda controller, request=request: controller.start_replay(request))
            info = process.request("game_info", lambda controller: controller.game_info())
            for _ in range(6):
                message = process.request("observation", lambda controller: controller.observe())
                encoded = ObservationEncoder(info).encode(message)
                mask = masks(PlayerFacts.from_encoded(encoded), encoded.arrays[ENTITY_CLASSES])
                allowed = {FUNCTIONS[index].ability_id for index in np.flatnonzero(mask)}
                query = query_pb.RequestQuery()
                for unit in message.observation.raw_data.units:
                    if unit.alliance == 1:
                        query.abilities.add(unit_tag=unit.tag)
                answer = process.request("query", lambda controller, query=query: controller.query(query))
                abilities = {each.ability_id for unit in answer.abilities for each in unit.abilities}
                abilities &= {function.ability_id for function in FUNCTIONS}
                assert abilities <= allowed
                offered += len(abilities)
                process.request("step", lambda controller: controller.step(100))
    finally:
        process.close()
    assert offered > 60


def test_statistics_lie_beside_the_games(converted: ReplayReport) -> None:
    reader = RecordingReader(converted.shards[0].parent)
    statistic = statistic_of(reader.extra(0))
    assert statistic is not None
    assert (statistic.race, statistic.opponent_race) == ("terran", "zerg")
    assert statistic.game_version.endswith("STANDIN")
    hidden = reader.read(0).sample[SCALARS]
    shown = with_statistic(hidden, statistic.conditioning())
    first = SCALAR_SLICES["build_order_given"].start
    assert (shown[:, first] == 1).all()
    np.testing.assert_array_equal(shown[:, :first], hidden[:, :first])
    np.testing.assert_array_equal(with_statistic(shown, None), hidden)
    assert statistic_of({}) is None


def test_unusable_replays_are_skipped_and_counted(played: Played, tmp_path: Path) -> None:
    content = played.replay.read_bytes()
    whole = tmp_path / "whole.SC2Replay"
    whole.write_bytes(content)
    (tmp_path / "text.SC2Replay").write_bytes(b"no replay")
    (tmp_path / "folder.SC2Replay").mkdir()
    other_build = content.replace(b"Base75689", b"Base11111")
    assert other_build != content
    (tmp_path / "other.SC2Replay").write_bytes(other_build)
    damaged = bytearray(content)
    start = content.index(b'"Players"') + 600
    damaged[start : start + 40] = bytes(40)
    (tmp_path / "damaged.SC2Replay").write_bytes(bytes(damaged))
    settings = ReplaySettings(min_mmr=10_000)
    report = convert_replays(
        sorted(tmp_path.glob("*.SC2Replay")), tmp_path / "out", directory=played.folder, settings=settings
    )
    assert report.shards == []
    skipped = dict(report.skipped)
    assert skipped.pop("broken archive") == 1
    assert skipped.pop("unreadable") == 1
    assert skipped.pop("build 11111 is not installed") == 1
    assert skipped.pop("below min_mmr") in (2, 4)
    assert skipped == {"refused: ParsingError": 1}


@pytest.mark.parametrize("kind", ["crash", "garbage", pytest.param("hang", marks=pytest.mark.slow)])
def test_a_game_that_fails_is_started_anew(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # The third replay that each process begins is player 2's first one.
    fault = {"kind": kind, "at_request": 3, "request": "start_replay"}
    monkeypatch.setenv("STARCRAFT2_STANDIN_FAULTS", json.dumps({"faults": [fault]}))
    paths = [tmp_path / f"copy{number}.SC2Replay" for number in range(2)]
    for number, path in enumerate(paths):
        path.write_bytes(played.replay.read_bytes() + b"more" * number)
    settings = ReplaySettings(load_timeout_seconds=6, request_timeout_seconds=6)
    report = convert_replays(paths, tmp_path / "out", directory=played.folder, settings=settings)
    assert report.skipped == {f"the game failed: {kind}": 2}
    assert report.views == 2
    games = RecordingReader(tmp_path / "out").player_games
    assert [(game["source"], game["side"]) for game in games] == [("copy0.SC2Replay", 0), ("copy1.SC2Replay", 0)]


def test_half_a_game_is_not_left_behind(played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write_once(directory: Path, name: str, *arguments: Any) -> Shard:
        if written:
            raise OSError("disk full")
        written.append(name)
        return write_shard(directory, name, *arguments)

    monkeypatch.setattr("envs.starcraft2.replays.write_shard", write_once)
    settings = ReplaySettings(decisions_per_shard=20)
    with pytest.raises(OSError, match="disk full"):
        convert_replays([played.replay], tmp_path, directory=played.folder, settings=settings)
    assert written
    assert sorted(path.name for path in tmp_path.iterdir()) == [".in-use", "manifest.json"]
    assert RecordingReader(tmp_path).player_games == []


def test_what_is_recorded_is_not_converted_again(played: Played, tmp_path: Path) -> None:
    settings = ReplaySettings(decisions_per_shard=1000)
    copy = tmp_path / "copy.SC2Replay"
    copy.write_bytes(played.replay.read_bytes() + b"more")
    out = tmp_path / "out"
    convert_replays([played.replay], out, directory=played.folder, settings=settings)
    with pytest.raises(RecordingError, match="holds a recording already"):
        convert_replays([copy], out, directory=played.folder, settings=settings)
    other = ReplaySettings(decisions_per_shard=999)
    with pytest.raises(RecordingError, match="with other settings"):
        convert_replays([copy], out, directory=played.folder, settings=other, resume=True)
    twin = tmp_path / "twin.SC2Replay"
    twin.write_bytes(copy.read_bytes())
    paths = [played.replay, copy, twin]
    report = convert_replays(paths, out, directory=played.folder, settings=settings, resume=True)
    assert report.skipped == {"recorded already": 4}
    games = RecordingReader(out).player_games
    assert [(game["game"], game["side"]) for game in games] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_version_is_read_without_the_game(played: Played, tmp_path: Path) -> None:
    version = replay_version(played.replay)
    assert version.base_build == 75689
    assert version.data_version.startswith("STANDIN")
    (tmp_path / "text.SC2Replay").write_bytes(b"no replay")
    with pytest.raises(ReplayError):
        replay_version(tmp_path / "text.SC2Replay")


def test_only_units_that_take_a_function_stay_selected() -> None:
    space = function_calls_space(6)
    classes = np.zeros((6, 2), np.int32)
    marine = np.flatnonzero(space.selection_table[FUNCTION_BY_NAME["Effect_Stim_Marine_quick"].index])[0]
    classes[[0, 2], 0] = marine
    classes[1, 0] = 1
    call = no_op(6, space.max_selected)
    call[0] = FUNCTION_BY_NAME["Effect_Stim_quick"].index
    call[FIRST_SELECTED : FIRST_SELECTED + 3] = [2, 1, 0]
    kept = keep_allowed(call, classes, space)
    assert kept is not None
    assert kept[FIRST_SELECTED:].tolist() == [2, 0, 6, 6, 6, 6]
    assert keep_allowed(call, classes * 0, space) is None
    call[0] = FUNCTION_BY_NAME["Attack_unit"].index
    assert keep_allowed(call, classes, space) is None, "nothing is targeted"
    assert FUNCTIONS[0].name == "no_op"
    np.testing.assert_array_equal(keep_allowed(no_op(6), classes, space), no_op(6, space.max_selected))


def test_units_that_take_a_function_are_kept_before_too_many_are_cut() -> None:
    space = function_calls_space(200)
    stim = FUNCTION_BY_NAME["Effect_Stim_quick"].index
    classes = np.ones((200, 2), np.int32)
    classes[100:, 0] = np.flatnonzero(space.selection_table[stim])[0]
    assert not space.selection_table[stim, 1]
    call = no_op(200, 200)
    call[0] = stim
    call[FIRST_SELECTED:] = np.arange(200)
    kept = keep_allowed(call, classes, space)
    assert kept is not None
    assert kept[FIRST_SELECTED:].tolist() == list(range(100, 100 + space.max_selected))


def test_settings_must_make_sense() -> None:
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 512"):
        replace(ReplaySettings(), decisions_per_shard=0)
