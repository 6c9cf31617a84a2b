from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from s2clientprotocol import debug_pb2

from envs.errors import GameCrashedError, GameNotFoundError, GameVersionError, UnknownNameError
from envs.spaces import ACTION_MASK, ENTITY_CATEGORIES, ENTITY_CLASSES, ENTITY_MASK, SCALARS, VALUE_SCALARS
from envs.starcraft2.functions import FUNCTION_BY_NAME
from envs.starcraft2.limits import ActionLimits
from envs.starcraft2.process_settings import ProcessSettings
from envs.starcraft2.scalars import SCALAR_SLICES, SCORE_NAMES, SHARED_SIZE
from tests.envs.starcraft2.stand_in_games import (
    copied,
    make_env,
    no_ops,
    play_until_finished,
    random_actions,
    vector_env,
    wait_for_end,
)

pytestmark = pytest.mark.usefixtures("stand_in")


def last_function(observation: dict[str, Any], row: int) -> int | None:
    flags = observation[SCALARS][row, SCALAR_SLICES["last_function"]]
    return int(flags.argmax()) if flags.any() else None


def test_spaces_and_metadata_follow_gymnasium() -> None:
    with vector_env(["easy", None]) as env:
        assert (env.num_envs, env.rows.num_games) == (3, 2)
        assert env.metadata["autoreset_mode"] == AutoresetMode.DISABLED
        observation, infos = env.reset()
        for key, space in env.single_observation_space.spaces.items():
            assert observation[key].shape == (3, *space.shape)
            assert observation[key].dtype == space.dtype
        assert infos["reward_terms"].shape == (3, 1)
        assert env.reward_term_names == ("win_loss",)
        assert len(env.process_ids) == 3
        assert env.version["game"] == "stand-in game"


def test_random_play_stays_within_the_observation_space() -> None:
    with vector_env(["very_easy", None], max_game_loops=700, map_name="Simple64") as env:
        observation, _ = env.reset(seed=1)
        called = set()
        for step in range(150):
            actions = random_actions(env, observation, step)
            called |= set(actions[:, 0].tolist())
            observation, rewards, terminated, truncated, infos = env.step(actions)
            np.testing.assert_array_equal(rewards, infos["reward_terms"][:, 0])
            if step % 10 == 0:
                for row in range(env.num_envs):
                    assert env.single_observation_space.contains({k: v[row].copy() for k, v in observation.items()})
            if (terminated | truncated).any():
                assert not observation[ACTION_MASK][terminated | truncated].any()
                observation, _ = env.reset(options={"reset_mask": (terminated | truncated).copy()})
        assert len(called) > 20
        assert env.faults == {}


def test_a_lost_game_ends_with_outcome_minus_one() -> None:
    with vector_env(["cheat_insane"]) as env:
        env.reset()
        infos = play_until_finished(env)
        assert infos["terminated"].tolist() == [True]
        assert infos["truncated"].tolist() == [False]
        assert infos["outcome"].tolist() == [-1]
        assert infos["reward_terms"].tolist() == [[-1]]


def test_the_limit_of_game_loops_truncates_as_a_draw() -> None:
    with vector_env(["very_easy"], max_game_loops=100) as env:
        env.reset()
        elapsed = []
        while not env.finished.all():
            observation, _, terminated, truncated, infos = env.step(no_ops(env, 48))
            elapsed.append(int(infos["elapsed_steps"][0]))
        assert elapsed == [48, 48, 4]
        assert (terminated[0], truncated[0], infos["outcome"][0]) == (False, True, 0)
        assert not observation[ACTION_MASK].any()


def test_ended_rows_are_left_untouched_until_they_are_reset() -> None:
    with vector_env(["very_easy", "very_easy"], max_game_loops=64) as env:
        env.reset()
        env.step(no_ops(env, 32))
        env.reset(options={"reset_mask": np.array([False, True])})
        observation, _, _, truncated, _ = env.step(no_ops(env, 32))
        assert truncated.tolist() == [True, False]
        final = copied(observation)
        ignored = no_ops(env, 16)
        ignored[0] = 99
        observation, _, terminated, truncated, infos = env.step(ignored)
        assert all(np.array_equal(observation[key][0], final[key][0]) for key in final)
        assert not np.array_equal(observation[SCALARS][1], final[SCALARS][1])
        assert infos["elapsed_steps"].tolist() == [0, 16]
        assert not (terminated | truncated).any()


def test_reset_mask_resets_only_the_rows_it_names() -> None:
    with vector_env(["very_easy", "very_easy"]) as env:
        start = copied(env.reset()[0])
        for _ in range(3):
            observation, *_ = env.step(no_ops(env, 100))
        before = copied(observation)
        after, _ = env.reset(options={"reset_mask": np.array([True, False])})
        time = SCALAR_SLICES["time"]
        np.testing.assert_array_equal(after[SCALARS][0, time], start[SCALARS][0, time])
        assert all(np.array_equal(after[key][1], before[key][1]) for key in start)


@pytest.mark.parametrize(
    ("mask", "message"),
    [([True], "bool"), (np.array([1, 0, 0]), "bool"), (np.array([False, True, False]), "two players of one game")],
)
def test_a_wrong_reset_mask_is_refused(mask: Any, message: str) -> None:
    with vector_env(["very_easy", None]) as env, pytest.raises(ValueError, match=message):
        env.reset(options={"reset_mask": mask})


def test_self_play_asks_the_player_whose_decision_comes_first() -> None:
    with vector_env([None], max_game_loops=60) as env:
        observation, _ = env.reset()
        assert observation[ACTION_MASK].any(1).tolist() == [True, True]
        actions = no_ops(env)
        asked, elapsed = [], []
        for delays in [(10, 25), (10, 99), (10, 99), (15, 10), (15, 20), (30, 20)]:
            actions[:, 1] = np.asarray(delays) - 1
            observation, _, _, truncated, infos = env.step(actions)
            asked.append(observation[ACTION_MASK].any(1).tolist())
            elapsed.append(infos["elapsed_steps"].tolist())
            np.testing.assert_array_equal(*observation[SCALARS][:, SCALAR_SLICES["time"]])
        # Player 0 decides at 0, 10, 20, 30 (for 15), 45; player 1 at 0, 25, 35 (for 20), 55.
        assert [pair[0] for pair in elapsed] == [10, 10, 5, 5, 5, 10]
        assert elapsed == [[loops, loops] for loops in (10, 10, 5, 5, 5, 10)]
        assert asked == [[True, False], [True, False], [False, True], [True, False], [False, True], [True, False]]
        observation, _, _, truncated, _ = env.step(no_ops(env, 128))
        assert infos["outcome"].tolist() == [0, 0]
        while not truncated.all():
            observation, _, _, truncated, _ = env.step(no_ops(env, 128))
        assert not observation[ACTION_MASK].any()


@pytest.mark.parametrize("winner", [0, 1])
def test_self_play_ends_with_opposite_outcomes(winner: int) -> None:
    victory = debug_pb2.DebugCommand(end_game={"end_result": debug_pb2.DebugEndGame.DeclareVictory})
    with vector_env([None]) as env:
        env.reset()
        env.step(no_ops(env))
        game = env._matches[0]._game
        assert game is not None
        game._ask(winner, "debug", lambda controller: controller.debug(victory))
        infos = play_until_finished(env, max_steps=3)
        expected = [1, -1] if winner == 0 else [-1, 1]
        assert infos["terminated"].all()
        assert infos["outcome"].tolist() == expected
        assert infos["reward_terms"][:, 0].tolist() == expected


def test_value_functions_see_the_opponent_in_self_play_only() -> None:
    with vector_env(["very_easy", None]) as env:
        observation, _ = env.reset()
        for step in range(5):
            observation, *_ = env.step(random_actions(env, observation, step))
        seen, scalars = observation[VALUE_SCALARS], observation[SCALARS]
        assert not seen[0].any()
        assert seen[1:, 0].tolist() == [1, 1]
        np.testing.assert_array_equal(seen[1, 1:], scalars[2, :SHARED_SIZE])
        np.testing.assert_array_equal(seen[2, 1:], scalars[1, :SHARED_SIZE])


def test_orders_reach_the_game_and_are_remembered() -> None:
    train = FUNCTION_BY_NAME["Train_SCV_quick"].index
    with vector_env(["very_easy"]) as env:
        observation, _ = env.reset()
        assert observation[ACTION_MASK][0, train]
        minerals = observation[SCALARS][0, SCALAR_SLICES["statistics"].start]
        space = env.single_action_space
        action = no_ops(env, 5)
        action[0, 0] = train
        able = space.selection_table[train, observation[ENTITY_CLASSES][0, :, 0]]
        townhall = int(np.flatnonzero(able)[0])
        action[0, 6] = townhall
        assert last_function(observation, 0) is None
        observation, *_ = env.step(action)
        assert last_function(observation, 0) == train
        assert observation[SCALARS][0, SCALAR_SLICES["statistics"].start] < minerals
        observation, *_ = env.step(no_ops(env))
        assert last_function(observation, 0) == 0
        for _ in range(30):
            observation, *_ = env.step(no_ops(env))
        column = SCALAR_SLICES["statistics"].start + 5  # workers
        assert np.expm1(observation[SCALARS][0, column]) == pytest.approx(13)


def test_what_a_function_does_not_read_is_not_looked_at() -> None:
    with vector_env(["very_easy"]) as env:
        env.reset()
        expected = copied(env.step(no_ops(env))[0])
        env.reset(seed=0)
        action = no_ops(env)
        action[:, 2:] = [7, 7, -9, 10**9, *([-1] * (action.shape[1] - 6))]
        observation, *_ = env.step(action)
        for key, array in expected.items():
            np.testing.assert_array_equal(observation[key], array, err_msg=key)


def test_a_player_that_has_acted_too_often_may_only_wait() -> None:
    camera_free = ActionLimits(max_actions=3, window_game_loops=50)
    with vector_env(["very_easy"], limits=camera_free) as env:
        observation, _ = env.reset()
        allowed, orders = [], 0
        for _ in range(60):
            functions = np.flatnonzero(observation[ACTION_MASK][0])
            allowed.append(len(functions))
            action = random_actions(env, observation, 0)
            if len(functions) > 1:
                function = FUNCTION_BY_NAME["Stop_quick"].index
                assert function in functions
                able = env.single_action_space.selection_table[function, observation[ENTITY_CLASSES][0, :, 0]]
                action = no_ops(env)
                action[0, 0], action[0, 6] = function, np.flatnonzero(able)[0]
                orders += 1
            action[0, 1] = 0  # the next decision one game loop on
            observation, *_ = env.step(action)
        assert allowed[:5] == [allowed[0]] * 3 + [1, 1]
        assert orders == 6  # 60 game loops hold the orders of two windows


def test_only_the_functions_that_are_named_can_be_called() -> None:
    names = ["Train_SCV_quick", "Attack_pt"]
    with vector_env(["very_easy"], functions=names) as env:
        observation, _ = env.reset()
        expected = sorted(FUNCTION_BY_NAME[name].index for name in ("no_op", *names))
        assert np.flatnonzero(observation[ACTION_MASK][0]).tolist() == expected


def test_a_minimum_delay_is_kept() -> None:
    with vector_env(["very_easy"], limits=ActionLimits(min_delay=7)) as env:
        env.reset()
        assert [int(env.step(no_ops(env, delay))[4]["elapsed_steps"][0]) for delay in (1, 7, 9)] == [7, 7, 9]


def test_illegal_actions_are_refused_before_any_game_moves() -> None:
    with vector_env(["very_easy", "very_easy"]) as env:
        observation, _ = env.reset()
        before = copied(observation)
        actions = no_ops(env)
        forbidden = int(np.flatnonzero(observation[ACTION_MASK][1] == 0)[0])
        actions[1, 0] = forbidden
        with pytest.raises(ValueError, match=rf"row 1: component 'function' is {forbidden}, legal are \[0, "):
            env.step(actions)
        with pytest.raises(ValueError, match="actions must be integers"):
            env.step(no_ops(env)[:1])
        with pytest.raises(ValueError, match="actions must be integers"):
            env.step(no_ops(env).astype(np.float32))
        after = env._buffers.observations()
        assert all(np.array_equal(before[key], after[key]) for key in before)


def test_equal_seeds_replay_equal_games() -> None:
    histories = []
    for _ in range(2):
        with vector_env(["very_hard", None], max_game_loops=300) as env:
            observation, _ = env.reset(seed=5)
            history = []
            for step in range(40):
                observation, _, terminated, truncated, _ = env.step(random_actions(env, observation, step))
                history.append([hash(observation[key].tobytes()) for key in (SCALARS, ENTITY_CATEGORIES)])
                if (terminated | truncated).any():
                    observation, _ = env.reset(options={"reset_mask": (terminated | truncated).copy()})
        histories.append(history)
    assert histories[0] == histories[1]


def test_threads_play_the_same_games() -> None:
    histories = []
    for num_threads in (1, 3):
        with vector_env(["hard", "hard", None], num_threads=num_threads) as env:
            observation, _ = env.reset(seed=2)
            for step in range(10):
                observation, *_ = env.step(random_actions(env, observation, step))
            histories.append(copied(observation))
    assert all(np.array_equal(histories[0][key], histories[1][key]) for key in histories[0])


def test_mini_games_give_their_score() -> None:
    with vector_env(["none"], map_name="MoveToBeacon") as env:
        assert env.reward_term_names == ("score",)
        observation, _ = env.reset()
        move = FUNCTION_BY_NAME["Move_Move_pt"].index
        points = observation[ENTITY_MASK][0].astype(bool)
        assert points.sum() >= 2  # the marine and the beacon
        total = 0.0
        function = move if observation[ACTION_MASK][0, move] else FUNCTION_BY_NAME["Move_pt"].index
        while not env.finished.all():
            action = no_ops(env, 64)
            action[0, 0] = function
            own = observation[ENTITY_CLASSES][0, :, 0] > 0
            beacon = np.flatnonzero(points & ~own)[0]
            x, y = observation["entity_positions"][0, beacon]
            action[0, 5], action[0, 6] = int(y) * 256 + int(x), np.flatnonzero(own)[0]
            observation, rewards, terminated, _, _ = env.step(action)
            points = observation[ENTITY_MASK][0].astype(bool)
            total += float(rewards[0])
        assert terminated[0]
        assert total >= 3
        refusal = "MoveToBeacon is a map for one player: expected the opponent 'none', got 'easy'"
        with pytest.raises(ValueError, match=refusal):
            env.reset(options={"opponents": ["easy"]})
        env.reset(options={"opponents": ["none"]})
        assert not env.step(no_ops(env))[4]["dropped"].any()
    with pytest.raises(ValueError, match=refusal):
        make_env(["easy"], map_name="MoveToBeacon")


def test_few_slots_keep_own_units() -> None:
    with vector_env(["very_easy"], max_entities=8) as env:
        observation, _ = env.reset()
        assert env.single_action_space.max_entities == 8
        assert observation[ENTITY_MASK].tolist() == [[1] * 8]
        assert observation[ENTITY_CLASSES][0, :, 0].all()  # of a townhall and twelve workers
        for step in range(20):
            observation, *_ = env.step(random_actions(env, observation, step))


@pytest.mark.parametrize(("probability", "found"), [(0.0, {True}), (0.5, {True, False}), (1.0, {False})])
def test_the_opponents_race_is_shown_or_hidden_for_whole_episodes(probability: float, found: set[bool]) -> None:
    shown = set()
    with vector_env([None], hide_opponent_race=probability) as env:
        for seed in range(4):
            observation, _ = env.reset(seed=seed)
            before = observation[SCALARS][:, SCALAR_SLICES["away_race"]].any(1).tolist()
            observation, *_ = env.step(no_ops(env))
            assert observation[SCALARS][:, SCALAR_SLICES["away_race"]].any(1).tolist() == before
            assert observation[SCALARS][:, SCALAR_SLICES["home_race"]].any(1).all()
            shown |= set(before)
    assert shown == found


def test_growth_of_the_score_is_rewarded_beside_win_and_loss() -> None:
    with vector_env(["very_easy"], score_terms=("collected_minerals", "spent_minerals")) as env:
        assert env.reward_term_names == ("win_loss", "collected_minerals", "spent_minerals")
        observation, infos = env.reset()
        collected = SCALAR_SLICES["score"].start + SCORE_NAMES.index("collected_minerals")
        start = np.expm1(observation[SCALARS][0, collected])
        total = infos["reward_terms"][0].copy()
        for _ in range(30):
            observation, *_, infos = env.step(no_ops(env, 32))
            total += infos["reward_terms"][0]
        grown = np.expm1(observation[SCALARS][0, collected]) - start
        assert grown > 100
        np.testing.assert_allclose(total, [0, grown / 1000, 0], rtol=1e-3)
    with pytest.raises(UnknownNameError, match="did you mean collected_minerals"):
        make_env(["easy"], score_terms=("collected_mineral",))


def test_replays_are_saved_and_named(tmp_path: Path) -> None:
    with vector_env(
        ["cheat_insane:rush:protoss", None], max_game_loops=3000, replay_directory=tmp_path, replay_interval=2
    ) as env:
        for _ in range(3):
            env.reset(seed=3)
            play_until_finished(env, delay=128)
    names = sorted(path.name for path in tmp_path.glob("*.SC2Replay"))
    assert len(names) == 4  # the first and the third episode of both games
    lost = [name for name in names if "_cheat_insane-rush-protoss_" in name]
    assert all(name.startswith("stand-in_Flat32_terran-vs-protoss_") for name in lost)
    assert all("_terran-vs-zerg_self_play_unfinished_3000loops_" in name for name in names if name not in lost)
    record = json.loads((tmp_path / lost[0]).with_suffix(".json").read_text())
    assert record["version"]["data_version"].startswith("STANDIN")
    assert all((tmp_path / name).stat().st_size > 500 for name in names)


def test_a_replay_that_cannot_be_saved_takes_no_episode_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with vector_env(["very_easy"], max_game_loops=40, replay_directory=tmp_path / "replays") as env:
        (tmp_path / "replays").rmdir()
        (tmp_path / "replays").write_text("in the way")
        env.reset()
        infos = play_until_finished(env)
        assert infos["truncated"].all()
        assert not infos["dropped"].any()
        assert "the replay of an episode is not saved" in caplog.text
        assert not env.faults
    with pytest.raises(FileExistsError):
        make_env(["easy"], replay_directory=tmp_path / "replays")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"opponents": "easy"}, "opponents must be a sequence"),
        ({"opponents": []}, "opponents must be a sequence"),
        ({"max_game_loops": 0}, "max_game_loops must be positive"),
        ({"num_threads": 0}, "num_threads must be positive"),
        ({"replay_interval": -1}, "replay_interval must be positive"),
        ({"reward_weights": [1.0, 2.0]}, "reward_weights must be finite"),
        ({"hide_opponent_race": 1.1}, "hide_opponent_race must be a probability"),
        ({"race": "teran"}, "did you mean terran"),
        ({"opponents": ["veryeasy"]}, "did you mean very_easy"),
        ({"map_name": "Simple46"}, "did you mean Simple"),
        ({"functions": ["Attack_ponit"]}, "did you mean"),
        ({"functions": ["Attack_Attack_unit"]}, "name the general Attack_unit"),
        ({"functions": ["raw_move_camera"]}, "leave it out"),
    ],
)
def test_bad_arguments_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_env(**{"opponents": ["easy"], **settings})


def test_what_is_not_installed_is_refused() -> None:
    with pytest.raises(GameNotFoundError, match="CactusValley is not installed"):
        make_env(["easy"], map_name="CactusValley")
    with pytest.raises(GameNotFoundError, match=r"release 4.9.3 needs build"):
        make_env(["easy"], process=ProcessSettings(release="4.9.3"))
    with pytest.raises(UnknownNameError):
        make_env(["easy"], process=ProcessSettings(release="4.x"))


def test_another_version_is_refused_unless_it_is_allowed_by_name() -> None:
    expected = {"game_version": "4.10.0.75689", "base_build": 75689}
    with (
        vector_env(["easy"], process=ProcessSettings(expected_version=expected)) as env,
        pytest.raises(GameVersionError, match=r"game_version is 4.10.0.75689-STANDIN, expected 4.10.0.75689"),
    ):
        env.reset()
    allowed = ProcessSettings(expected_version=expected, allowed_versions=("4.10.0.75689-STANDIN",))
    with vector_env(["easy"], process=allowed) as env:
        env.reset()


def test_closing_twice_and_pickling() -> None:
    env = make_env(["easy", None], race="zerg", max_game_loops=33, seed=4)
    other = pickle.loads(pickle.dumps(env))
    assert (other.num_envs, other.max_game_loops) == (3, 33)
    first, second = env.reset(seed=1)[0], other.reset(seed=1)[0]
    assert all(np.array_equal(first[key], second[key]) for key in first)
    processes = env.process_ids + other.process_ids
    other.close()
    env.close()
    env.close()
    assert not wait_for_end(processes, 1)
    with pytest.raises(GameCrashedError, match="closed"):
        env.step(no_ops(env))


def test_a_reset_gives_games_other_ais(tmp_path: Path) -> None:
    with vector_env(["very_easy", None], max_game_loops=32, replay_directory=tmp_path) as env:
        env.reset()
        env.reset(options={"opponents": ["hard:macro", None]})
        play_until_finished(env)
        opponents = {json.loads(record.read_text())["opponent"] for record in tmp_path.glob("*.json")}
        assert opponents == {"hard:macro", "self_play"}
        with pytest.raises(ValueError, match="game 1 has no AI"):
            env.reset(options={"opponents": [None, "easy"]})
        with pytest.raises(UnknownNameError, match="did you mean"):
            env.reset(options={"opponents": ["hrd", None]})
