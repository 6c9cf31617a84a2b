"""Replays through the game: what the stand-in plays back becomes shards that tell what was played."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.function_calls import FIRST_SELECTED, sample_function_call
from envs.spaces import ACTION_MASK, ENTITY_CLASSES, SCALARS
from envs.starcraft2.action_masks import FunctionMasks, PlayerFacts
from envs.starcraft2.actions import keep_allowed, no_op
from envs.starcraft2.compatibility import query_pb, sc_pb
from envs.starcraft2.functions import FUNCTION_BY_NAME, FUNCTIONS, function_calls_space
from envs.starcraft2.game import interface_options
from envs.starcraft2.observation import ObservationEncoder, observation_space
from envs.starcraft2.process import GameProcess
from envs.starcraft2.replay_files import ReplayError, replay_version
from envs.starcraft2.replay_shards import Shard, read_shard, write_shard
from envs.starcraft2.replays import ReplayReport, ReplaySettings, convert_replays
from envs.starcraft2.scalars import SCALAR_SLICES
from envs.starcraft2.settings import StarCraft2Settings
from envs.starcraft2.vector_env import StarCraft2VectorEnv
from tests.starcraft2_standin.install import install

GAME_LOOPS = 700


@dataclass(frozen=True)
class Played:
    """A replay and what its two players decided: game loop and call of each, in order."""

    folder: Path
    replay: Path
    calls: tuple[list[tuple[int, np.ndarray]], list[tuple[int, np.ndarray]]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Play a short game of random legal calls between two controlled players of the stand-in."""
    folder = install(tmp_path_factory.mktemp("game"))
    replays = tmp_path_factory.mktemp("replays")
    generator = np.random.default_rng(0)
    calls: tuple[list[Any], list[Any]] = ([], [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SC2PATH", str(folder))
        settings = StarCraft2Settings(
            map_name="Flat32", race="terran", opponent_race="zerg", max_game_loops=GAME_LOOPS, replay_directory=replays
        )
        env = StarCraft2VectorEnv(settings, [None], seed=3)
        try:
            play(env, generator, calls)
        finally:
            env.close()
    return Played(folder, next(replays.glob("*.SC2Replay")), calls)


def play(env: StarCraft2VectorEnv, generator: np.random.Generator, calls: tuple[list[Any], list[Any]]) -> None:
    observation, _ = env.reset(seed=3)
    now, ended = 0, False
    while not ended:
        actions = np.tile(no_op(512), (2, 1))
        for row in np.flatnonzero(observation[ACTION_MASK].any(1)):
            mask, classes = observation[ACTION_MASK][row], observation[ENTITY_CLASSES][row]
            actions[row] = sample_function_call(mask, classes, env.single_action_space, generator)
            actions[row, 1] = generator.integers(2, 12)
            calls[row].append((now, actions[row].copy()))
        observation, _, terminated, truncated, infos = env.step(actions)
        assert not infos["dropped"].any()
        now += int(infos["elapsed_steps"][0])
        ended = bool((terminated | truncated).any())


@pytest.fixture(scope="module")
def converted(played: Played, tmp_path_factory: pytest.TempPathFactory) -> ReplayReport:
    settings = ReplaySettings(decisions_per_shard=40)
    return convert_replays(
        [played.replay], tmp_path_factory.mktemp("shards"), directory=played.folder, settings=settings
    )


def shards_of(report: ReplayReport, player_id: int) -> list[Shard]:
    shards = [read_shard(path) for path in report.shards]
    return [shard for shard in shards if shard.header.player_id == player_id]


def test_both_views_become_shards(played: Played, converted: ReplayReport) -> None:
    assert (converted.views, dict(converted.skipped)) == (2, {})
    assert converted.decisions == sum(len(read_shard(path)) for path in converted.shards)
    for player_id in (1, 2):
        shards = shards_of(converted, player_id)
        assert len(shards) > 1
        assert [shard.header.is_last for shard in shards] == [False] * (len(shards) - 1) + [True]
        assert [shard.header.first_decision for shard in shards] == list(range(0, 40 * len(shards), 40))
        assert all(shard.header.version["game"] == "stand-in game" for shard in shards)
        assert shards[0].header.source == played.replay.name
        loops = np.concatenate([shard.arrays["game_loop"] for shard in shards])
        delays = np.concatenate([shard.arrays["action"][:, 1] + 1 for shard in shards])
        np.testing.assert_array_equal(np.diff(loops), delays[:-1])
        assert loops[-1] + delays[-1] == GAME_LOOPS


@pytest.mark.parametrize("player_id", [1, 2])
def test_decisions_are_those_that_were_played(played: Played, converted: ReplayReport, player_id: int) -> None:
    shards = shards_of(converted, player_id)
    actions = np.concatenate([shard.arrays["action"] for shard in shards])
    loops = np.concatenate([shard.arrays["game_loop"] for shard in shards])
    ordered = np.concatenate([shard.arrays["is_order"] for shard in shards])
    remaining = list(played.calls[player_id - 1])
    matched = 0
    for now, call in zip(loops[ordered].tolist(), actions[ordered], strict=True):
        while remaining:
            then, sent = remaining.pop(0)
            # The game may refuse an order, and general abilities stand for the specific ones that it reports.
            if sent[0] == call[0] and (sent[5] == call[5]) and np.array_equal(sent[2], call[2]):
                assert -1 <= now - then <= 12
                matched += 1
                break
    assert matched > 0.7 * ordered.sum()
    assert ordered.sum() > 0.4 * sum(call[0] != 0 for _, call in played.calls[player_id - 1])


def test_observations_are_in_the_layout_and_allow_what_was_decided(converted: ReplayReport) -> None:
    space, calls = observation_space(), function_calls_space()
    for path in converted.shards:
        shard = read_shard(path)
        for index in range(0, len(shard), 7):
            observation = shard.observation(index)
            assert space.contains(observation)
            call = shard.arrays["action"][index].astype(np.int64)
            assert calls.contains(call)
            assert observation[ACTION_MASK][call[0]]
            assert not observation[SCALARS][SCALAR_SLICES["build_order_given"]].any()
            if shard.arrays["is_order"][index]:
                kept = keep_allowed(call, observation[ENTITY_CLASSES], calls)
                np.testing.assert_array_equal(kept, call)


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


def test_statistics_come_with_the_shards(converted: ReplayReport) -> None:
    shard = shards_of(converted, 1)[0]
    statistic = shard.statistic
    assert statistic is not None
    assert (statistic.race, statistic.opponent_race) == ("terran", "zerg")
    assert statistic.game_version.endswith("STANDIN")
    shown = shard.observation(0, statistic.conditioning())[SCALARS]
    hidden = shard.observation(0)[SCALARS]
    assert shown[SCALAR_SLICES["build_order_given"]] == 1
    first = SCALAR_SLICES["build_order_given"].start
    np.testing.assert_array_equal(shown[:first], hidden[:first])


def test_unusable_replays_are_skipped_and_counted(played: Played, tmp_path: Path) -> None:
    content = played.replay.read_bytes()
    whole = tmp_path / "whole.SC2Replay"
    whole.write_bytes(content)
    (tmp_path / "text.SC2Replay").write_bytes(b"no replay")
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
    assert skipped.pop("build 11111 is not installed") == 1
    assert skipped.pop("below min_mmr") in (2, 4)
    assert all(reason.startswith(("refused", "the game failed", "broken")) for reason in skipped), skipped


@pytest.mark.parametrize("kind", ["crash", "garbage", pytest.param("hang", marks=pytest.mark.slow)])
def test_a_game_that_fails_is_started_anew(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # The third replay that each process begins is player 2's first one.
    fault = {"kind": kind, "at_request": 3, "request": "start_replay"}
    monkeypatch.setenv("STARCRAFT2_STANDIN_FAULTS", json.dumps({"faults": [fault]}))
    paths = [tmp_path / f"copy{number}.SC2Replay" for number in range(2)]
    for path in paths:
        path.write_bytes(played.replay.read_bytes())
    settings = ReplaySettings(load_timeout_seconds=6, request_timeout_seconds=6)
    report = convert_replays(paths, tmp_path / "out", directory=played.folder, settings=settings)
    assert report.skipped == {f"the game failed: {kind}": 2}
    assert report.views == 2
    assert {path.name.split("_")[0] for path in report.shards} == {"copy0", "copy1"}
    assert all("_player1_" in path.name for path in report.shards)


def test_replays_of_the_same_name_do_not_overwrite_each_other(played: Played, tmp_path: Path) -> None:
    copies = [tmp_path / folder / "same.SC2Replay" for folder in ("one", "two")]
    for copy in copies:
        copy.parent.mkdir()
        copy.write_bytes(played.replay.read_bytes())
    report = convert_replays(
        copies, tmp_path / "shards", directory=played.folder, settings=ReplaySettings(decisions_per_shard=1000)
    )
    names = [f"{stem}_player{player}_0000.npz" for stem in ("same", "same-2") for player in (1, 2)]
    assert [path.name for path in report.shards] == names
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == sorted(names)


def test_a_new_conversion_leaves_nothing_of_the_one_before(played: Played, tmp_path: Path) -> None:
    stem = played.replay.stem
    others = [tmp_path / f"{stem}_player1_{name}.npz" for name in ("notes", "2_player1_0001")]
    for other in others:
        other.touch()
    for size in (20, 1000):
        settings = ReplaySettings(decisions_per_shard=size)
        report = convert_replays([played.replay], tmp_path, directory=played.folder, settings=settings)
        assert {*report.shards, *others} == set(tmp_path.iterdir())
    assert len(report.shards) == 2


def test_half_a_game_is_not_left_behind(played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def write_once(path: Path, shard: Shard) -> None:
        if written:
            raise OSError("disk full")
        write_shard(path, shard)
        written.append(path)

    monkeypatch.setattr("envs.starcraft2.replays.write_shard", write_once)
    with pytest.raises(OSError, match="disk full"):
        convert_replays(
            [played.replay], tmp_path, directory=played.folder, settings=ReplaySettings(decisions_per_shard=20)
        )
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_read_without_the_game(played: Played, tmp_path: Path) -> None:
    version = replay_version(played.replay)
    assert version.base_build == 75689
    assert version.data_version.startswith("STANDIN")
    (tmp_path / "text.SC2Replay").write_bytes(b"no replay")
    with pytest.raises(ReplayError):
        replay_version(tmp_path / "text.SC2Replay")


def test_shards_come_back_from_disk_and_others_are_refused(converted: ReplayReport, tmp_path: Path) -> None:
    shard = read_shard(converted.shards[0])
    write_shard(tmp_path / "again.npz", shard)
    again = read_shard(tmp_path / "again.npz")
    assert (again.header, again.statistic) == (shard.header, shard.statistic)
    for key, array in shard.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[key])
        assert array.dtype == again.arrays[key].dtype
    np.savez(tmp_path / "other.npz", header=np.array("{}"))
    np.savez(tmp_path / "objects.npz", header=np.array({"a": 1}, object))
    (tmp_path / "cut.npz").write_bytes(converted.shards[0].read_bytes()[:1000])
    for name in ("other", "objects", "cut"):
        with pytest.raises(ValueError, match="is no shard of this software"):
            read_shard(tmp_path / f"{name}.npz")


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
    np.testing.assert_array_equal(keep_allowed(no_op(6), classes, space), no_op(6))


def test_settings_must_make_sense() -> None:
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 512"):
        replace(ReplaySettings(), decisions_per_shard=0)
