from __future__ import annotations

import gc
import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.errors import GameCrashedError, UnknownNameError
from envs.microrts import MicroRTSVectorEnv, layout
from envs.spaces import (
    ACTION_MASK,
    ENTITY_CATEGORIES,
    ENTITY_MASK,
    ENTITY_POSITIONS,
    ENTITY_VALUES,
    PLANES,
    SCALARS,
)
from tests.envs.microrts.games import MAP_8, MAP_16, copied, no_actions, random_actions, same, waiting


@contextmanager
def vector_env(opponents: list[str | None], **settings: Any) -> Iterator[MicroRTSVectorEnv]:
    env = MicroRTSVectorEnv(**{"map_path": MAP_8, "opponents": opponents, "seed": 0, **settings})
    try:
        yield env
    finally:
        env.close()


def scalar(observation: dict[str, Any], name: str) -> Any:
    return observation[SCALARS][..., layout.SCALAR_NAMES.index(name)]


def test_start_of_a_game_is_what_the_map_says() -> None:
    with vector_env(["PassiveAI"]) as env:
        observation, _ = env.reset()
        assert env.single_observation_space.contains({key: value[0] for key, value in observation.items()})
        used = int(observation[ENTITY_MASK][0].sum())
        rows = sorted(
            (
                layout.UNIT_TYPE_NAMES[categories[layout.UNIT_TYPE]],
                layout.OWNER_NAMES[categories[layout.OWNER]],
                tuple(position.tolist()),
            )
            for categories, position in zip(
                observation[ENTITY_CATEGORIES][0, :used], observation[ENTITY_POSITIONS][0, :used], strict=True
            )
        )
        assert rows == [
            ("Base", "enemy", (5, 6)),
            ("Base", "own", (2, 1)),
            ("Resource", "neutral", (0, 0)),
            ("Resource", "neutral", (7, 7)),
            ("Worker", "enemy", (6, 6)),
            ("Worker", "own", (1, 1)),
        ]
        assert scalar(observation, "own_resources_div_10")[0] == pytest.approx(0.5)
        assert scalar(observation, "own_resources_at_least_5")[0] == 1
        assert scalar(observation, "own_resources_at_least_10")[0] == 0
        assert scalar(observation, "own_worker_div_10")[0] == pytest.approx(0.1)
        for key in (ENTITY_CATEGORIES, ENTITY_VALUES, ENTITY_POSITIONS, ACTION_MASK):
            assert not observation[key][0, used:].any(), f"{key} must be zero beyond the entities"
        assert not observation[PLANES].any()


def test_spaces_and_metadata_follow_gymnasium() -> None:
    with vector_env(["PassiveAI", None]) as env:
        assert env.num_envs == 3
        assert env.metadata["autoreset_mode"] == AutoresetMode.DISABLED
        assert env.single_action_space.mask_size == 78
        observation, _ = env.reset()
        for key, space in env.single_observation_space.spaces.items():
            assert observation[key].shape == (3, *space.shape)
            assert observation[key].dtype == space.dtype
        assert (observation[ACTION_MASK].any(-1) == waiting(observation)).all()


def test_long_play_stays_within_the_observation_space() -> None:
    with vector_env(["RandomBiasedAI", "LightRush", None], max_steps=150, map_path=MAP_16) as env:
        observation, _ = env.reset()
        for step in range(300):
            observation, _, terminated, truncated, _ = env.step(random_actions(env, observation, step))
            if step % 10 == 0:
                for row in range(env.num_envs):
                    assert env.single_observation_space.contains({k: v[row].copy() for k, v in observation.items()})
            if (terminated | truncated).any():
                observation, _ = env.reset(options={"reset_mask": terminated | truncated})


def test_every_unit_knows_the_way_to_the_nearest_enemy() -> None:
    column = layout.ENTITY_VALUE_NAMES.index("nearest_enemy_x_div_8")
    with vector_env(["WorkerRush", "LightRush"], agent_players=[0, 1], map_path=MAP_16) as env:
        observation, _ = env.reset()
        for step in range(120):
            observation, *_ = env.step(random_actions(env, observation, step))
            for row in range(2):
                used = int(observation[ENTITY_MASK][row].sum())
                owners = observation[ENTITY_CATEGORIES][row, :used, layout.OWNER].tolist()
                places = observation[ENTITY_POSITIONS][row, :used].tolist()
                for slot, (owner, (x, y)) in enumerate(zip(owners, places, strict=True)):
                    ways = [
                        (abs(to_x - x) + abs(to_y - y), to_y - y, to_x - x)
                        for other, (to_x, to_y) in zip(owners, places, strict=True)
                        if {owner, other} == {0, 1}
                    ]
                    _, way_y, way_x = min(ways, default=(0, 0, 0))
                    got = observation[ENTITY_VALUES][row, slot, column : column + 2]
                    assert got.tolist() == [way_x / 8, way_y / 8]


def test_rewards_are_the_weighted_terms() -> None:
    weights = [10.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    with vector_env(["WorkerRush"] * 16, reward_weights=weights) as env:
        observation, _ = env.reset()
        seen = np.zeros(6)
        for step in range(200):
            observation, rewards, _, _, infos = env.step(random_actions(env, observation, step))
            np.testing.assert_allclose(rewards, infos["reward_terms"] @ np.asarray(weights, np.float32), rtol=1e-6)
            seen += np.abs(infos["reward_terms"]).sum(0)
        # A combat unit takes longer than these games to come.
        assert (seen[:-1] > 0).all(), dict(zip(layout.REWARD_TERM_NAMES, seen, strict=True))


def test_a_lost_game_ends_with_outcome_minus_one() -> None:
    with vector_env(["WorkerRush", "WorkerRush"], agent_players=[0, 1]) as env:
        env.reset()
        for _ in range(2000):
            _, _, terminated, truncated, infos = env.step(no_actions(env))
            assert not truncated.any()
            if terminated[0]:
                assert infos["outcome"][0] == -1
                assert infos["reward_terms"][0, 0] == -1
            if env.finished.all():
                break
        assert env.finished.all()


def test_built_in_ais_produce_units() -> None:
    with vector_env(["WorkerRush", "LightRush"], map_path=MAP_16) as env:
        observation, _ = env.reset()
        for _ in range(250):
            observation, *_ = env.step(no_actions(env))
        assert scalar(observation, "enemy_worker_div_10")[0] > 0.15
        assert (
            scalar(observation, "enemy_barracks_div_10")[1] > 0 or scalar(observation, "enemy_worker_div_10")[1] > 0.15
        )


def test_step_limit_truncates_as_a_draw() -> None:
    with vector_env(["PassiveAI"], max_steps=7) as env:
        env.reset()
        for step in range(7):
            observation, _, terminated, truncated, infos = env.step(no_actions(env))
            assert truncated[0] == (step == 6)
            assert not terminated[0]
        assert infos["outcome"][0] == 0
        assert infos["reward_terms"][0, 0] == 0
        assert scalar(observation, "time_fraction")[0] == 1


def test_ended_rows_are_left_untouched_until_they_are_reset() -> None:
    with vector_env(["PassiveAI", "PassiveAI"], max_steps=20) as env:
        env.reset()
        for _ in range(10):
            env.step(no_actions(env))
        env.reset(options={"reset_mask": np.array([False, True])})
        for _ in range(10):
            observation, _, _, truncated, _ = env.step(no_actions(env))
        assert truncated.tolist() == [True, False]
        final = copied(observation)
        ignored = np.full_like(no_actions(env), 99)
        ignored[1] = 0
        observation, rewards, terminated, truncated, infos = env.step(ignored)
        assert all(np.array_equal(observation[key][0], final[key][0]) for key in final)
        assert not np.array_equal(observation[SCALARS][1], final[SCALARS][1])
        assert rewards[0] == 0
        assert not infos["reward_terms"][0].any()
        assert infos["elapsed_steps"].tolist() == [0, 1]
        assert infos["outcome"][0] == 0
        assert not terminated.any()
        assert not truncated.any()


def test_reset_mask_resets_only_the_rows_it_names() -> None:
    with vector_env(["PassiveAI", "PassiveAI"]) as env:
        start = copied(env.reset()[0])
        for step in range(30):
            observation, *_ = env.step(random_actions(env, env._observations(), step))
        before = copied(observation)
        after, _ = env.reset(options={"reset_mask": np.array([True, False])})
        assert all(np.array_equal(after[key][0], start[key][0]) for key in start)
        assert all(np.array_equal(after[key][1], before[key][1]) for key in start)


@pytest.mark.parametrize(
    ("mask", "message"),
    [([True], "bool"), (np.array([1, 0, 0]), "bool"), (np.array([False, True, False]), "two players of one game")],
)
def test_a_wrong_reset_mask_is_refused(mask: Any, message: str) -> None:
    with vector_env(["PassiveAI", None]) as env:
        env.reset()
        with pytest.raises(ValueError, match=message):
            env.reset(options={"reset_mask": mask})


def test_player_one_sees_the_symmetric_map_as_player_zero_does() -> None:
    with vector_env([None]) as env:
        observation, _ = env.reset()
        views = []
        for row in (0, 1):
            used = observation[ENTITY_MASK][row] == 1
            keys = (ENTITY_POSITIONS, ENTITY_CATEGORIES, ENTITY_VALUES, ACTION_MASK)
            table = np.concatenate([observation[key][row, used] for key in keys], 1)
            views.append(table[np.lexsort(table.T[::-1])])
        np.testing.assert_array_equal(views[0], views[1])
        np.testing.assert_array_equal(observation[SCALARS][0], observation[SCALARS][1])


def test_canonical_orientation_is_the_same_game_turned_by_180_degrees() -> None:
    """Play the turned view, turn its actions by hand and play them in the other: the games stay equal."""
    settings: dict[str, Any] = {"agent_players": [1], "map_path": MAP_16, "max_steps": 400}
    with (
        vector_env(["RangedRush"], **settings) as turned,
        vector_env(["RangedRush"], canonical_orientation=False, **settings) as plain,
    ):
        seen, plain_seen = turned.reset(seed=1)[0], plain.reset(seed=1)[0]
        moved = set()
        for step in range(400):
            np.testing.assert_array_equal(_turned(seen[ACTION_MASK]), plain_seen[ACTION_MASK])
            used = seen[ENTITY_MASK][0] == 1
            np.testing.assert_array_equal(15 - seen[ENTITY_POSITIONS][0, used], plain_seen[ENTITY_POSITIONS][0, used])
            actions = random_actions(turned, seen, step)
            turned_actions = actions.copy()
            turned_actions[..., 1:5] = (actions[..., 1:5] + 2) % 4
            turned_actions[..., 6] = 48 - actions[..., 6]
            moved |= set(actions[waiting(seen)][:, 0].tolist())
            seen, _, _, _, infos = turned.step(actions)
            plain_seen, _, _, _, plain_infos = plain.step(turned_actions)
            np.testing.assert_array_equal(infos["reward_terms"], plain_infos["reward_terms"])
        assert {0, 1, 2, 4} <= moved


def _turned(mask: np.ndarray) -> np.ndarray:
    """Turn the directions and attack targets of action masks by 180 degrees."""
    turned = mask.copy()
    for start in (6, 10, 14, 18):
        turned[..., start : start + 4] = np.roll(mask[..., start : start + 4], 2, -1)
    turned[..., 29:] = mask[..., 29:][..., ::-1]
    assert np.array_equal(mask[..., 29:], turned[..., 29:][..., ::-1])
    return turned


def test_walls_are_turned_with_the_map() -> None:
    walled = "maps/NoWhereToRun9x8.xml"
    with (
        vector_env([None], map_path=walled) as env,
        vector_env([None], map_path=walled, canonical_orientation=False) as plain,
    ):
        planes, plain_planes = env.reset()[0][PLANES], plain.reset()[0][PLANES]
        np.testing.assert_array_equal(planes[1], planes[0][:, ::-1, ::-1])
        np.testing.assert_array_equal(plain_planes[1], plain_planes[0])


def test_skipping_idle_steps_equals_stepping_by_hand() -> None:
    with (
        vector_env(["RandomBiasedAI"], skip_idle_steps=True) as skipping,
        vector_env(["RandomBiasedAI"]) as plain,
    ):
        seen, plain_seen = skipping.reset(seed=3)[0], plain.reset(seed=3)[0]
        steps = 0
        skipped = 0
        while not skipping.finished.any():
            assert same(seen, plain_seen)
            actions = random_actions(skipping, seen, steps)
            seen, _, *ends, infos = skipping.step(actions)
            terms = np.zeros(6, np.float32)
            for elapsed in range(int(infos["elapsed_steps"][0])):
                if elapsed:
                    assert nothing_to_decide(plain_seen)
                plain_seen, _, *plain_ends, plain_infos = plain.step(actions if elapsed == 0 else no_actions(plain))
                terms += plain_infos["reward_terms"][0]
            np.testing.assert_array_equal(terms, infos["reward_terms"][0])
            np.testing.assert_array_equal(ends, plain_ends)
            steps += 1
            skipped += int(infos["elapsed_steps"][0]) - 1
        assert same(seen, plain_seen)
        assert skipped > steps / 2


def nothing_to_decide(observation: dict[str, Any]) -> bool:
    """Return whether only moves, to cells that may be claimed, and what cannot be paid for are legal."""
    masks = observation[ACTION_MASK][0]
    prices = {"Base": 10, "Barracks": 5, "Worker": 1, "Light": 2, "Heavy": 2, "Ranged": 2}
    uncommitted = round(10 * float(scalar(observation, "own_uncommitted_resources_div_10")[0]))
    affordable = [price <= uncommitted for price in (0, *list(prices.values()))]
    return not masks[:, [2, 3, 5]].any() and not (masks[:, 22:29] * affordable).any()


def test_skipping_leaves_out_orders_that_would_be_dropped() -> None:
    """With all resources promised to barracks, the base's legal order for a worker is no reason to stop."""
    with vector_env(["PassiveAI"], skip_idle_steps=True) as env:
        observation, _ = env.reset()
        actions = no_actions(env)
        worker = int(np.flatnonzero(waiting(observation)[0] & (observation[ENTITY_CATEGORIES][0, :, 0] == 3))[0])
        actions[0, worker] = [4, 0, 0, 0, 2, 2, 0]
        observation, _, _, _, infos = env.step(actions)
        assert infos["elapsed_steps"][0] == 200
        assert scalar(observation, "own_barracks_div_10")[0] == pytest.approx(0.1)


@pytest.mark.parametrize("opponent", ["RandomAI", "RandomBiasedAI", "WorkerRush", "CoacAI", "mayari", "Rojo"])
def test_equal_seeds_replay_equal_games(opponent: str) -> None:
    digests = []
    for _ in range(2):
        with vector_env([opponent, opponent], max_steps=300) as env:
            observation, _ = env.reset(seed=5)
            history = []
            for step in range(400):
                observation, _, terminated, truncated, _ = env.step(random_actions(env, observation, step))
                history.append(hash(observation[ENTITY_VALUES].tobytes()))
                if (terminated | truncated).any():
                    observation, _ = env.reset(options={"reset_mask": (terminated | truncated).copy()})
            digests.append(history)
    assert digests[0] == digests[1]


def test_other_seeds_and_other_games_of_the_batch_play_differently() -> None:
    with vector_env(["RandomBiasedAI", "RandomBiasedAI"]) as env:
        histories = []
        for seed in (1, 2):
            env.reset(seed=seed)
            values = [env.step(no_actions(env))[0][ENTITY_POSITIONS].copy() for _ in range(60)]
            histories.append(np.stack(values))
        assert not np.array_equal(histories[0], histories[1])
        assert not np.array_equal(histories[0][:, 0], histories[0][:, 1])


def test_threads_play_the_same_games() -> None:
    histories = []
    for num_threads in (1, 3):
        with vector_env(["RandomBiasedAI"] * 5, num_threads=num_threads) as env:
            observation, _ = env.reset(seed=2)
            for step in range(200):
                observation, *_ = env.step(random_actions(env, observation, step))
            histories.append(copied(observation))
    assert same(*histories)


def test_an_illegal_order_is_refused_before_any_game_moves() -> None:
    with vector_env(["PassiveAI", "PassiveAI"]) as env:
        observation, _ = env.reset()
        before = copied(observation)
        slot = int(np.flatnonzero(waiting(observation)[1] & (observation[ENTITY_CATEGORIES][1, :, 0] == 1))[0])
        actions = no_actions(env)
        actions[1, slot, 0] = 5
        with pytest.raises(ValueError, match=rf"row 1, slot {slot} \(Base.*'type' is 5, legal are \[0, 4\]"):
            env.step(actions)
        assert same(before, env._observations())
        actions[1, slot] = [4, 0, 0, 0, 0, 6, 0]
        with pytest.raises(ValueError, match="'produce_type' is 6, legal are"):
            env.step(actions)
        actions[1, slot] = [-1, 0, 0, 0, 0, 0, 0]
        with pytest.raises(ValueError, match="'type' is -1"):
            env.step(actions)


def test_components_that_the_type_does_not_read_are_ignored() -> None:
    with vector_env(["PassiveAI"]) as env:
        env.reset()
        plain = {name: values.copy() for name, values in env.step(no_actions(env))[0].items()}
        env.reset()
        actions = no_actions(env)
        actions[..., 1:] = 99
        observation = env.step(actions)[0]
        assert observation.keys() == plain.keys()
        assert all(np.array_equal(observation[name], plain[name]) for name in plain)


@pytest.mark.parametrize("shape", [(1, 3, 7), (64, 7), (1, 64, 6)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with vector_env(["PassiveAI"]) as env:
        env.reset()
        with pytest.raises(ValueError, match="actions must be integers"):
            env.step(np.zeros(shape, np.int64))
        with pytest.raises(ValueError, match="actions must be integers"):
            env.step(no_actions(env).astype(np.float32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"opponents": "CoacAI"}, "opponents must be a sequence"),
        ({"opponents": []}, "opponents must be a sequence"),
        ({"agent_players": [0, 1]}, "one entry for each of 1 games"),
        ({"agent_players": [2]}, "must be 0 or 1, got 2"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"num_threads": 0}, "num_threads must be at least 1"),
        ({"max_entities": -1}, "max_entities must be at least 1"),
        ({"reward_weights": [1.0]}, "reward_weights must be finite"),
        ({"map_path": "maps/8x8/basesWorkers8x8AA.xml"}, "did you mean maps/8x8/basesWorkers8x8A.xml"),
        ({"opponents": ["WorkerRsuh"]}, "did you mean WorkerRush"),
    ],
)
def test_bad_arguments_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MicroRTSVectorEnv(**{"map_path": MAP_8, "opponents": ["PassiveAI"], **settings})
    with pytest.raises(UnknownNameError):
        MicroRTSVectorEnv(map_path="nowhere.xml", opponents=["PassiveAI"])


def test_few_slots_keep_own_units_and_the_nearest_enemies() -> None:
    with vector_env(["WorkerRush"], max_entities=4) as env, vector_env(["WorkerRush"]) as full:
        seen, full_seen = env.reset(seed=0)[0], full.reset(seed=0)[0]
        assert seen[ENTITY_CATEGORIES].shape[1] == 4
        for _ in range(120):
            own = int((full_seen[ENTITY_MASK][0] * (full_seen[ENTITY_CATEGORIES][0, :, layout.OWNER] == 0)).sum())
            owners = seen[ENTITY_CATEGORIES][0, :, layout.OWNER].tolist()
            assert owners == sorted(owners)
            assert owners.count(0) == min(own, 4)
            enemy = full_seen[ENTITY_CATEGORIES][0, :, layout.OWNER] == 1
            mine = full_seen[ENTITY_CATEGORIES][0, :, layout.OWNER] == 0
            real = full_seen[ENTITY_MASK][0] == 1
            steps = np.abs(
                full_seen[ENTITY_POSITIONS][0, enemy & real][:, None]
                - full_seen[ENTITY_POSITIONS][0, mine & real][None]
            )
            nearest = steps.sum(-1).min(1).min()
            shown = seen[ENTITY_POSITIONS][0, owners.index(1)]
            assert np.abs(shown - full_seen[ENTITY_POSITIONS][0, mine & real]).sum(-1).min() == nearest
            seen, full_seen = env.step(no_actions(env))[0], full.step(no_actions(full))[0]


def test_more_own_units_than_slots_play_on() -> None:
    with vector_env(["PassiveAI"], max_entities=1) as env:
        observation, _ = env.reset()
        for step in range(100):
            observation, *_ = env.step(random_actions(env, observation, step))
        assert observation[ENTITY_MASK].shape == (1, 1)


def test_self_play_sees_both_sides_and_opposite_outcomes() -> None:
    with vector_env([None], map_path=MAP_8) as env:
        observation, _ = env.reset()
        generator = np.random.default_rng(0)
        for _ in range(2000):
            actions = random_actions(env, observation, int(generator.integers(1 << 30)))
            actions[1] = 0  # the second player waits to be beaten
            observation, _, terminated, truncated, infos = env.step(actions)
            np.testing.assert_array_equal(
                scalar(observation, "own_resources_div_10"), scalar(observation, "enemy_resources_div_10")[::-1]
            )
            if terminated.any():
                assert terminated.all()
                assert infos["outcome"].tolist() == [1, -1]
                assert infos["reward_terms"][:, 0].tolist() == [1, -1]
                break
        assert (terminated | truncated).all()


@pytest.mark.parametrize("num_threads", [1, 2])
def test_an_ai_that_fails_is_reported_and_a_reset_begins_anew(num_threads: int) -> None:
    with vector_env(["PassiveAI", "EditedPGSmRTS"], num_threads=num_threads) as env:
        start = copied(env.reset()[0])
        with pytest.raises(GameCrashedError, match=r"the game failed in a step: .*NullPointerException"):
            env.step(no_actions(env))
        assert same(start, env.reset()[0])


def test_closing_twice_and_pickling() -> None:
    env = MicroRTSVectorEnv(map_path=MAP_8, opponents=["PassiveAI", None], max_steps=33, seed=4)
    other = pickle.loads(pickle.dumps(env))
    assert (other.num_envs, other.max_steps) == (3, 33)
    assert same(copied(env.reset(seed=1)[0]), other.reset(seed=1)[0])
    other.close()
    env.close()
    env.close()
    with pytest.raises(GameCrashedError, match="closed"):
        env.step(no_actions(env))
    with vector_env(["PassiveAI"]) as again:
        again.reset()


def test_two_hundred_resets_do_not_grow_memory() -> None:
    def resident_mib() -> float:
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20

    with vector_env(["WorkerRush"] * 8, map_path=MAP_16, max_steps=5) as env:
        for round_ in range(300):
            env.reset()
            env.step(no_actions(env))
            if round_ == 100:
                before = resident_mib()
        assert resident_mib() - before < 40


def test_a_reset_gives_games_other_ais() -> None:
    with vector_env(["PassiveAI", "PassiveAI", None], agent_players=[0, 1, 0]) as env:
        env.reset()
        env.reset(
            options={"reset_mask": np.array([True, False, True, True]), "opponents": ["WorkerRush", "CoacAI", None]}
        )
        assert env.rows.ais == ((None, "WorkerRush"), ("PassiveAI", None), (None, None))
        with pytest.raises(ValueError, match="game 2 has no AI, both its players are controlled: expected None"):
            env.reset(options={"opponents": [None, None, "CoacAI"]})
        with pytest.raises(ValueError, match="opponents must have a name or None for each of 3 games"):
            env.reset(options={"opponents": ["CoacAI"]})
        with pytest.raises(UnknownNameError, match="did you mean CoacAI"):
            env.reset(options={"opponents": ["CoacIA", None, None]})
        assert env.rows.ais[0] == (None, "WorkerRush")


def test_another_ai_plays_as_if_it_had_been_there_from_the_start() -> None:
    with vector_env(["WorkerRush"]) as given, vector_env(["PassiveAI"]) as dealt:
        expected, _ = given.reset(seed=3)
        observation, _ = dealt.reset(seed=3, options={"opponents": ["WorkerRush"]})
        for step in range(60):
            assert same(observation, expected)
            expected, *_ = given.step(random_actions(given, expected, step))
            observation, *_ = dealt.step(random_actions(dealt, observation, step))
