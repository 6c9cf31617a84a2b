"""Function calls to protobuf actions and back: exact for all functions, and equal to pysc2's own transforms."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from envs.function_calls import FIRST_SELECTED
from envs.starcraft2.actions import delay, from_protobuf, no_op, to_protobuf
from envs.starcraft2.compatibility import PYSC2_NAME, raw_functions, sc_pb
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.functions import FUNCTION_BY_NAME, FUNCTIONS, Function
from tests.envs.starcraft2.recorded_game import recorded_game

MAPS = [(200, 176), (256, 256), (88, 96)]
TAGS = np.random.default_rng(1).choice(np.arange(1, 2**34, 2**20 + 7), 40, replace=False)


def random_call(function: Function, generator: np.random.Generator, columns: int, rows: int) -> np.ndarray:
    """Return a call of a function with random values of the arguments it reads, on the part a map covers."""
    call = no_op(len(TAGS))
    call[0] = function.index
    names = function.arguments
    call[2] = generator.integers(2) if "queued" in names else 0
    call[4] = generator.integers(len(TAGS)) if "target_entity" in names else 0
    if "target_point" in names:
        call[5] = generator.integers(rows) * 256 + generator.integers(columns)
    if "selected" in names:
        count = generator.integers(1, 30)
        call[FIRST_SELECTED : FIRST_SELECTED + count] = generator.choice(len(TAGS), count, replace=False)
    return call


def pysc2_features(map_size: tuple[int, int], *, hide_specific_actions: bool) -> Any:
    """Return pysc2's Features of the raw interface at 256 x 256, which has just seen `TAGS`."""
    features = importlib.import_module(f"{PYSC2_NAME}.lib.features")
    actions = importlib.import_module(f"{PYSC2_NAME}.lib.actions")
    point = importlib.import_module(f"{PYSC2_NAME}.lib.point")
    result = features.Features(
        features.AgentInterfaceFormat(
            feature_dimensions=features.Dimensions(screen=1, minimap=1),
            action_space=actions.ActionSpace.RAW,
            use_raw_units=True,
            raw_resolution=(256, 256),
            max_selected_units=64,
            hide_specific_actions=hide_specific_actions,
            camera_width_world_units=24,
        ),
        map_size=point.Point(*map_size),
    )
    result._raw_tags = TAGS
    return result


def pysc2_call(call: np.ndarray, function: Function) -> Any:
    """Return the same call as pysc2's FunctionCall."""
    actions = importlib.import_module(f"{PYSC2_NAME}.lib.actions")
    values = {
        "queued": [int(call[2])],
        "unit_tags": [int(slot) for slot in call[FIRST_SELECTED:] if slot != len(TAGS)],
        "target_unit_tag": [int(call[4])],
        "world": [int(call[5]) % 256, int(call[5]) // 256],
    }
    arguments = [values[argument.name] for argument in raw_functions[function.index].args]
    return actions.FunctionCall(function.index, arguments)


def our_call(call: Any, slots: int = len(TAGS)) -> np.ndarray:
    """Return pysc2's FunctionCall as a call of ours."""
    function = FUNCTIONS[int(call.function)]
    ours = no_op(slots)
    ours[0] = function.index
    for argument, value in zip(raw_functions[function.index].args, call.arguments, strict=True):
        numbers = [int(number) for number in np.ravel(np.asarray(value))]
        if argument.name == "queued":
            ours[2] = numbers[0]
        elif argument.name == "target_unit_tag":
            ours[4] = numbers[0]
        elif argument.name == "world":
            ours[5] = numbers[1] * 256 + numbers[0]
        else:
            ours[FIRST_SELECTED : FIRST_SELECTED + len(numbers)] = numbers
    return ours


@pytest.mark.parametrize("map_size", MAPS)
def test_all_functions_come_back_as_they_went(map_size: tuple[int, int]) -> None:
    grid, generator = Grid(map_size), np.random.default_rng(sum(map_size))
    for function in FUNCTIONS:
        for _ in range(3):
            call = random_call(function, generator, *grid.extent)
            messages = to_protobuf(call, TAGS, grid)
            assert len(messages) == (function.kind != "no_op")
            for message in messages:
                sent = sc_pb.Action.FromString(message.SerializeToString())
                np.testing.assert_array_equal(from_protobuf(sent, TAGS, grid), call, err_msg=function.name)


@pytest.mark.parametrize("map_size", MAPS)
def test_all_functions_make_the_actions_of_pysc2(map_size: tuple[int, int]) -> None:
    grid, generator = Grid(map_size), np.random.default_rng(7)
    features = pysc2_features(map_size, hide_specific_actions=False)
    for function in FUNCTIONS:
        call = random_call(function, generator, *grid.extent)
        theirs = features.transform_action(None, pysc2_call(call, function), skip_available=True)
        ours = to_protobuf(call, TAGS, grid)
        assert (ours or [sc_pb.Action()]) == [theirs], function.name


@pytest.mark.parametrize("hide_specific", [False, True])
def test_actions_read_as_pysc2_reads_them(hide_specific: bool) -> None:
    grid, generator = Grid(MAPS[0]), np.random.default_rng(8)
    features = pysc2_features(MAPS[0], hide_specific_actions=hide_specific)
    tag_column = importlib.import_module(f"{PYSC2_NAME}.lib.features").FeatureUnit.tag
    raw_units = np.zeros((len(TAGS), 46), np.int64)
    raw_units[:, tag_column] = TAGS
    for function in FUNCTIONS:
        for message in to_protobuf(random_call(function, generator, *grid.extent), TAGS, grid):
            theirs = features.reverse_raw_action(message, {"raw_units": raw_units})
            ours = from_protobuf(message, TAGS, grid, hide_specific=hide_specific)
            np.testing.assert_array_equal(ours, our_call(theirs), err_msg=function.name)


def test_recorded_actions_read_as_pysc2_reads_them() -> None:
    game = recorded_game()
    size = game.game_info.start_raw.map_size
    features = importlib.import_module(f"{PYSC2_NAME}.lib.features")
    ours_of, theirs_of = Grid(size), pysc2_features((size.x, size.y), hide_specific_actions=True)
    read = 0
    for message in (*game.observations, *game.opponent_observations):
        tags = np.array([unit.tag for unit in message.observation.raw_data.units], np.int64)
        raw_units = np.zeros((len(tags), 46), np.int64)
        raw_units[:, features.FeatureUnit.tag] = tags
        for action in message.actions:
            theirs = theirs_of.reverse_raw_action(action, {"raw_units": raw_units})
            ours = from_protobuf(action, tags, ours_of, hide_specific=True)
            np.testing.assert_array_equal(ours, our_call(theirs, len(tags)))
            read += int(ours[0] != 0)
    assert read > 100


def test_repeat_gives_orders_without_a_target_again() -> None:
    grid, generator = Grid(MAPS[0]), np.random.default_rng(2)
    for name, count in (("Train_Zergling_quick", 3), ("Move_pt", 1), ("Attack_unit", 1)):
        call = random_call(FUNCTION_BY_NAME[name], generator, *grid.extent)
        call[3] = 2
        messages = to_protobuf(call, TAGS, grid)
        assert len(messages) == count
        assert all(message == messages[0] for message in messages)


def test_delay_counts_from_one() -> None:
    call = no_op(4)
    assert delay(call) == 1
    call[1] = 127
    assert delay(call) == 128


def test_actions_that_mean_nothing_to_us_are_no_op() -> None:
    grid = Grid(MAPS[0])
    idle = no_op(len(TAGS)).tolist()
    assert from_protobuf(sc_pb.Action(), TAGS, grid).tolist() == idle
    unknown_ability, unknown_unit, unknown_target, chat = (sc_pb.Action() for _ in range(4))
    unknown_ability.action_raw.unit_command.ability_id = 6
    unknown_ability.action_raw.unit_command.unit_tags.append(int(TAGS[0]))
    unknown_unit.action_raw.unit_command.ability_id = 3665
    unknown_unit.action_raw.unit_command.unit_tags.append(5)
    unknown_target.action_raw.unit_command.ability_id = 3674
    unknown_target.action_raw.unit_command.unit_tags.append(int(TAGS[0]))
    unknown_target.action_raw.unit_command.target_unit_tag = 5
    chat.action_chat.message = "gg"
    for message in (unknown_ability, unknown_unit, unknown_target, chat):
        assert from_protobuf(message, TAGS, grid).tolist() == idle


def test_an_ability_with_a_target_it_cannot_have_is_an_error() -> None:
    message = sc_pb.Action()
    message.action_raw.unit_command.ability_id = 560
    message.action_raw.unit_command.unit_tags.append(int(TAGS[0]))
    message.action_raw.unit_command.target_unit_tag = int(TAGS[1])
    with pytest.raises(ValueError, match="kind cmd_unit for the ability 560, but pysc2 has none"):
        from_protobuf(message, TAGS, Grid(MAPS[0]))


def test_more_units_than_can_be_selected_are_cut() -> None:
    message = sc_pb.Action()
    message.action_raw.unit_command.ability_id = 3665
    message.action_raw.unit_command.unit_tags.extend(int(tag) for tag in (TAGS[3], TAGS[3], *TAGS))
    call = from_protobuf(message, TAGS, Grid(MAPS[0]), max_selected=4)
    assert call[FIRST_SELECTED:].tolist() == [3, 0, 1, 2]


def test_calls_that_name_nothing_are_errors() -> None:
    grid, call = Grid(MAPS[0]), no_op(3)
    call[0] = 564
    with pytest.raises(ValueError, match="a function from 0 to 563, got 564"):
        to_protobuf(call, TAGS[:3], grid)
    call[0] = FUNCTION_BY_NAME["Stop_quick"].index
    with pytest.raises(ValueError, match="Stop_quick orders units, but the call selects none"):
        to_protobuf(call, TAGS[:3], grid)
    call[FIRST_SELECTED] = 1
    with pytest.raises(ValueError, match="Stop_quick names slot 1, which holds no unit"):
        to_protobuf(call, np.array([7, 0, 9]), grid)
