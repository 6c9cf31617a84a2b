"""Recorded games of AIs: playing the recorded actions again is the same game."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.errors import UnknownNameError
from envs.microrts import MicroRTSVectorEnv, layout
from envs.microrts.layout import CURRENT_ACTION, OWNER, UNIT_TYPE
from envs.microrts.recorder import AiGame, AiGameRecorder
from envs.recordings import PlayerGameRows
from envs.spaces import ACTION_MASK, ENTITY_CATEGORIES, ENTITY_MASK, ENTITY_POSITIONS, ENTITY_VALUES, SCALARS
from tests.envs.microrts.games import MAP_8, MAP_16

MAX_STEPS = 1500
ENEMY, NONE_SHOWN = layout.OWNER_NAMES.index("enemy"), 1 + layout.ACTION_TYPE_NAMES.index("none")
TIME_LEFT = [layout.ENTITY_VALUE_NAMES.index(name) for name in ("action_time_left_div_10", "action_time_left_fraction")]
Array = NDArray[Any]


def record(players: tuple[str, str], map_path: str = MAP_8, seed: int = 1, **settings: Any) -> AiGame:
    return AiGameRecorder(map_path=map_path, players=players, max_steps=MAX_STEPS, **settings).record(seed)


class Steps:
    """A view's steps by game step."""

    def __init__(self, view: PlayerGameRows) -> None:
        self.view = view
        times = np.rint(view.sample[SCALARS][:, 0] * MAX_STEPS).astype(int).tolist()
        self.index = {time: index for index, time in enumerate(times)}
        self._entity_ends, self._decision_ends = np.cumsum(view.entity_counts), np.cumsum(view.decision_counts)

    def entities(self, index: int) -> dict[str, Array]:
        end = self._entity_ends[index]
        rows = slice(end - self.view.entity_counts[index], end)
        return {key: array[rows].copy() for key, array in self.view.entity.items()}

    def decisions(self, index: int) -> dict[str, Array]:
        end = self._decision_ends[index]
        rows = slice(end - self.view.decision_counts[index], end)
        return {key: array[rows] for key, array in self.view.decision.items()}


def replay(
    env: MicroRTSVectorEnv, steps: list[Steps], game_steps: int
) -> Iterator[tuple[int, Steps, int, dict[str, Array]]]:
    """Play recorded actions; yield row, steps, index of the step and observation at each step of decision."""
    observation, _ = env.reset()
    for time in range(game_steps):
        actions = np.zeros((env.num_envs, env.max_entities, len(layout.ACTION_COMPONENTS)), np.int64)
        for row, view in enumerate(steps):
            if time in view.index:
                index = view.index[time]
                yield row, view, index, observation
                decisions = view.decisions(index)
                actions[row, decisions["slot"]] = decisions["action"]
        observation, _, _, _, _ = env.step(actions)


def hide_enemy_waits(categories: Array, values: Array) -> None:
    waits = (categories[:, OWNER] == ENEMY) & (categories[:, CURRENT_ACTION] == NONE_SHOWN)
    categories[waits, CURRENT_ACTION] = 0
    values[np.ix_(waits, TIME_LEFT)] = 0


def assert_shown(
    row: int, steps: Steps, index: int, observation: dict[str, Array], *, enemy_waits_as_shown: bool
) -> None:
    count = int(steps.view.entity_counts[index])
    assert observation[ENTITY_MASK][row].sum() == count
    entities, decisions = steps.entities(index), steps.decisions(index)
    seen = {key: observation[key][row, :count].copy() for key in entities}
    if not enemy_waits_as_shown:
        for shown in (entities, seen):
            hide_enemy_waits(shown[ENTITY_CATEGORIES], shown[ENTITY_VALUES])
    for key, array in entities.items():
        assert array.dtype == seen[key].dtype
        np.testing.assert_array_equal(array, seen[key], err_msg=key)
    for key in steps.view.sample:
        np.testing.assert_array_equal(steps.view.sample[key][index], observation[key][row], err_msg=key)
    slots = decisions["slot"]
    np.testing.assert_array_equal(decisions[ACTION_MASK], observation[ACTION_MASK][row, slots])


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("players", [("WorkerRush", "HeavyRush"), ("RangedRush", "WorkerRush")])
def test_recorded_actions_against_the_same_ai_play_the_same_game(players: tuple[str, str], side: int) -> None:
    game = record(players)
    view = game.views[side]
    env = MicroRTSVectorEnv(
        map_path=MAP_8, opponents=[players[1 - side]], agent_players=[side], max_steps=MAX_STEPS, seed=5
    )
    steps = Steps(view)
    rewards = np.zeros(len(layout.REWARD_TERM_NAMES))
    shown = 0
    step = env.step

    def counted(actions: Array) -> Any:
        result = step(actions)
        rewards[:] += result[4]["reward_terms"][0]
        return result

    env.step = counted  # type: ignore[method-assign]
    for row, seen, index, observation in replay(env, [steps], game.game_steps):
        assert_shown(row, seen, index, observation, enemy_waits_as_shown=True)
        shown += 1
    assert shown == len(view) > 0
    assert env.finished.all()
    assert 0 in steps.index, "both have a choice at the start"
    assert view.result["elapsed_steps"].sum() == game.game_steps
    np.testing.assert_array_equal(view.result["rewards"].sum(0), rewards)
    assert view.info["outcome"] == view.result["rewards"][-1, 0]
    env.close()


@pytest.mark.parametrize("canonical_orientation", [True, False])
@pytest.mark.parametrize(
    ("players", "map_path", "seed"),
    [
        (("CoacAI", "mayari"), MAP_16, 1),
        (("RandomBiasedAI", "WorkerRush"), MAP_8, 3),
        (("CoacAI", "WorkerRush"), MAP_8, 1),
    ],
)
def test_recorded_actions_of_both_players_play_the_same_game(
    players: tuple[str, str], map_path: str, seed: int, canonical_orientation: bool
) -> None:
    game = record(players, map_path, seed, canonical_orientation=canonical_orientation)
    env = MicroRTSVectorEnv(
        map_path=map_path, opponents=[None], max_steps=MAX_STEPS, canonical_orientation=canonical_orientation
    )
    steps = [Steps(view) for view in game.views]
    shown = 0
    for row, seen, index, observation in replay(env, steps, game.game_steps):
        # Their waits are orders of several steps, ours are none.
        assert_shown(row, seen, index, observation, enemy_waits_as_shown=False)
        shown += 1
    assert shown == sum(len(view) for view in game.views)
    assert env.finished.all()
    env.close()


def test_every_recorded_action_is_legal_under_its_mask() -> None:
    space = layout.action_space(max_entities=1)
    parts = list(space.component_slices().values())
    kinds = set()
    for players in (("RandomAI", "mayari"), ("CoacAI", "RandomBiasedAI")):
        for view in record(players, MAP_16, seed=2).views:
            mask, action = view.decision[ACTION_MASK], view.decision["action"]
            rows = np.arange(len(action))
            names = list(space.components)
            for kind, arguments in enumerate(space.arguments):
                chosen = rows[action[:, 0] == kind]
                kinds.update([kind] * bool(len(chosen)))
                for column in (0, *(names.index(name) for name in arguments)):
                    assert mask[chosen, parts[column].start + action[chosen, column]].all()
    assert kinds == set(range(len(layout.ACTION_TYPE_NAMES)))


def test_the_first_orders_of_a_game() -> None:
    """On this map the player's base stands at (2, 1), its worker at (1, 1), resources at (0, 0)."""
    game = record(("WorkerRush", "WorkerRush"))
    types = layout.UNIT_TYPE_NAMES
    for view in game.views:  # the second player sees the map turned
        steps = Steps(view)
        entities, decisions = steps.entities(0), steps.decisions(0)
        orders = {
            types[entities[ENTITY_CATEGORIES][slot, UNIT_TYPE]]: (entities[ENTITY_POSITIONS][slot].tolist(), action)
            for slot, action in zip(decisions["slot"], decisions["action"].tolist(), strict=True)
        }
        (base, base_action), (worker, worker_action) = orders["Base"], orders["Worker"]
        assert (base, worker) == ([2, 1], [1, 1])
        assert layout.ACTION_TYPE_NAMES[base_action[0]] == "produce"
        assert types[base_action[layout_column("produce_type")]] == "Worker"
        assert layout.ACTION_TYPE_NAMES[worker_action[0]] in ("move", "harvest")


def layout_column(name: str) -> int:
    return list(layout.ACTION_COMPONENTS).index(name)


def test_units_under_a_wait_are_shown_as_awaiting_an_order_and_decide_nothing() -> None:
    view = record(("RandomBiasedAI", "PassiveAI"), seed=4).views[0]
    own = view.entity[ENTITY_CATEGORIES][:, OWNER] == layout.OWNER_NAMES.index("own")
    awaiting = view.entity[ENTITY_CATEGORIES][:, layout.AWAITS_ORDER] == 1
    assert awaiting.sum() > view.decision_counts.sum(), "some wait while others decide"
    np.testing.assert_array_equal(view.entity[ENTITY_CATEGORIES][awaiting, CURRENT_ACTION], 0)
    assert not (awaiting & ~own).any()


def test_orders_that_the_game_refuses_are_counted_and_not_recorded() -> None:
    # Its workers twice return resources to where no base is; the game makes that a wait.
    game = record(("CoacAI", "WorkerRush"))
    assert game.left_out == {"illegal: return": 2}
    assert record(("PassiveAI", "WorkerRush")).left_out == {}


def test_of_two_orders_to_one_unit_none_is_recorded() -> None:
    game = record(("mayari", "WorkerRush"), MAP_16, seed=86075633455182258)
    assert game.left_out == {"illegal: return": 2, "ordered twice: move": 1}


def test_equal_seeds_record_equal_games() -> None:
    recorder = AiGameRecorder(map_path=MAP_8, players=("RandomAI", "CoacAI"), max_steps=MAX_STEPS)
    games = [recorder.record(seed) for seed in (7, 8, 7)]
    for first, again in zip(games[0].views, games[2].views, strict=True):
        assert first.info == again.info
        for group in ("sample", "entity", "decision", "result"):
            for key, array in getattr(first, group).items():
                np.testing.assert_array_equal(array, getattr(again, group)[key])
    assert len(games[0].views[0]) != len(games[1].views[0]) or not np.array_equal(
        games[0].views[0].decision["action"], games[1].views[0].decision["action"]
    )


def test_random_orders_make_games_differ_and_are_not_what_is_recorded() -> None:
    players = ("WorkerRush", "LightRush")
    games = [record(players, seed=seed, random_orders=0.2) for seed in (1, 2, 1)]
    undisturbed = [record(players, seed=seed) for seed in (1, 2)]
    np.testing.assert_array_equal(
        undisturbed[0].views[0].decision["action"], undisturbed[1].views[0].decision["action"]
    )
    first, second, again = [game.views[0].decision["action"] for game in games]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    # WorkerRush never builds barracks by itself.
    produce, barracks = layout.ACTION_TYPE_NAMES.index("produce"), layout.UNIT_TYPE_NAMES.index("Barracks")
    produced = first[first[:, 0] == produce][:, list(layout.ACTION_COMPONENTS).index("produce_type")]
    assert len(produced)
    assert barracks not in produced


def test_a_random_order_stands_in_for_that_of_an_ai_which_orders_copies_of_units() -> None:
    """AIs that search give orders to copies; where all orders are random, it does not matter who would have ordered."""
    settings = {"map_path": MAP_8, "max_steps": 10, "random_orders": 1.0}
    names = ("PassiveAI", "NaiveMCTS")
    first, second = (AiGameRecorder(players=(name, "PassiveAI"), **settings).record(5).views[0] for name in names)
    assert first.result["rewards"].any()
    np.testing.assert_array_equal(first.result["rewards"], second.result["rewards"])


def test_a_game_that_is_cut_off_is_truncated_for_both() -> None:
    recorder = AiGameRecorder(map_path=MAP_8, players=("PassiveAI", "PassiveAI"), max_steps=30)
    for view in recorder.record(0).views:
        assert (view.info["terminated"], view.info["truncated"], view.info["outcome"]) == (False, True, 0)
        assert view.result["elapsed_steps"].sum() == 30


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean WorkerRush"):
        AiGameRecorder(map_path=MAP_8, players=("WorkrRush", "CoacAI"))
    with pytest.raises(ValueError, match="max_steps must be at least 1, got 0"):
        AiGameRecorder(map_path=MAP_8, players=("CoacAI", "CoacAI"), max_steps=0)
    with pytest.raises(ValueError, match="random_orders must lie between 0 and 1, got 10"):
        AiGameRecorder(map_path=MAP_8, players=("CoacAI", "CoacAI"), random_orders=10)
