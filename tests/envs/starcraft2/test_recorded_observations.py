"""Recorded observations of real games through our encoder and through pysc2's own transformation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entity_columns import ALLY, ENEMY, OWN
from envs.starcraft2.observation import EncodedObservation, ObservationEncoder, observation_space
from envs.starcraft2.planes import static_grids
from envs.starcraft2.raw_units import COLUMN
from envs.starcraft2.tables import buff_index, unit_type_index, upgrade_index
from envs.starcraft2.unit_encoder import PythonUnitEncoder, entity_arrays
from envs.starcraft2.unit_records import FIELD, read_units
from tests.envs.starcraft2.pysc2_features import columns_that_differ, minimap_planes, transform
from tests.envs.starcraft2.recorded_game import recorded_game
from tests.envs.starcraft2.shared_data import shared_file

_GROUND_UNITS = (45, 48, 49, 51, 84, 104)


def recorded_maps() -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, game info and first observation of recorded ladder maps."""
    for file in sorted(shared_file("maps").glob("*.ob.pb")):
        info = sc_pb.ResponseGameInfo.FromString(file.with_name(file.name.replace(".ob.", ".gi.")).read_bytes())
        yield file.name, info, sc_pb.ResponseObservation.FromString(file.read_bytes())


def check(info: Any, message: Any, encoder: ObservationEncoder) -> EncodedObservation:
    """Compare everything that pysc2 gives too, and check the rest against the space."""
    theirs = transform(info.start_raw.map_size)(message)
    encoded = encoder.encode(message.SerializeToString())
    assert columns_that_differ(encoded.raw_units, np.asarray(theirs["raw_units"])) == {}
    np.testing.assert_array_equal(encoded.arrays["planes"], minimap_planes(theirs))
    np.testing.assert_array_equal(encoded.player, np.asarray(theirs["player"]))
    np.testing.assert_array_equal(encoded.upgrades, np.asarray(theirs["upgrades"]))
    score = [np.asarray(theirs[name]).ravel() for name in ("score_cumulative", "score_by_category", "score_by_vital")]
    np.testing.assert_array_equal(encoded.score.astype(np.int32), np.concatenate(score))
    assert encoded.game_loop == theirs["game_loop"][0]
    space = observation_space()
    for key, array in encoded.arrays.items():
        assert space[key].contains(array), key
    return encoded


def check_in_python(message: Any, encoded: EncodedObservation, info: Any) -> None:
    """Compare the units and entities that C made, where there is a compiler, with those that Python makes."""
    encoder = PythonUnitEncoder(Grid(info.start_raw.map_size))
    arrays = entity_arrays(512)
    units, tags = encoder.encode(message.observation.raw_data, arrays, None)
    np.testing.assert_array_equal(encoded.raw_units, units)
    np.testing.assert_array_equal(encoded.tags, tags)
    for key, array in arrays.items():
        np.testing.assert_array_equal(encoded.arrays[key], array, key)


def check_ids(encoded: EncodedObservation) -> None:
    """No unit type, buff or upgrade of the recorded games is unknown to our tables."""
    units = encoded.raw_units
    assert (unit_type_index(units[:, 0]) > 0).all(), set(units[unit_type_index(units[:, 0]) == 0, 0].tolist())
    buffs = units[:, [COLUMN["buff_id_0"], COLUMN["buff_id_1"]]]
    assert (buff_index(buffs[buffs > 0]) > 0).all(), set(buffs[buffs > 0].tolist())
    assert (upgrade_index(encoded.upgrades) > 0).all(), encoded.upgrades


def test_every_moment_of_a_recorded_game_for_both_players() -> None:
    game = recorded_game()
    assert len(game.observations) == len(game.opponent_observations) == 15
    for messages in (game.observations, game.opponent_observations):
        encoder = ObservationEncoder(game.game_info)
        for message in messages:
            encoded = check(game.game_info, message, encoder)
            check_ids(encoded)
            check_in_python(message, encoded, game.game_info)
    assert (encoded.raw_units[:, COLUMN["alliance"]] == OWN).sum() > 80
    assert (encoded.raw_units[:, COLUMN["alliance"]] == ENEMY).sum() > 0


def test_recorded_ladder_maps() -> None:
    names = []
    for name, info, message in recorded_maps():
        encoded = check_without_minimap(info, message)
        check_ids(encoded)
        check_in_python(message, encoded, info)
        names.append(name)
    assert len(names) >= 11


def check_without_minimap(info: Any, message: Any) -> EncodedObservation:
    """These were recorded with the raw interface alone: planes are zeros, as in pysc2."""
    encoded = check(info, message, ObservationEncoder(info))
    assert not encoded.arrays["planes"].any()
    return encoded


def test_grids_of_older_and_newer_builds_have_row_0_at_the_top() -> None:
    game = recorded_game()
    games = [("older", game.game_info, game.observations[-1]), *recorded_maps()]
    assert {info.start_raw.pathing_grid.bits_per_pixel for _, info, _ in games} == {1, 8}
    for name, info, message in games:
        grids = static_grids(info.start_raw)
        records = read_units(message.observation.raw_data)
        own = np.isin(records.values[FIELD["unit_type"]], _GROUND_UNITS)
        columns = records.values[FIELD["x"]].astype(int)
        rows = (info.start_raw.map_size.y - records.values[FIELD["y"]]).astype(int)
        assert grids.pathable[rows[own], columns[own]].all(), name
        on_ground = records.values[FIELD["is_flying"]] == 0
        difference = np.abs(grids.terrain_height[rows, columns] - records.values[FIELD["z"]])[on_ground]
        assert np.median(difference) < 0.4, name
        assert 0.1 < grids.buildable.mean() < grids.pathable.mean() < 0.9, name


def test_the_minimap_lies_on_the_grid_of_positions() -> None:
    game = recorded_game()
    encoder = ObservationEncoder(game.game_info)
    for message in game.observations:
        encoded = encoder.encode(message)
        arrays = encoded.arrays
        units = encoded.raw_units
        own = (units[:, COLUMN["alliance"]] == OWN) & (units[:, COLUMN["is_in_cargo"]] == 0)
        x, y = units[own, COLUMN["x"]] // 2, units[own, COLUMN["y"]] // 2
        visibility, player_relative = arrays["planes"][1], arrays["planes"][4]
        assert (visibility[y, x] == 2).all()
        around = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        near = [player_relative[np.clip(y + dy, 0, 127), np.clip(x + dx, 0, 127)] for dx, dy in around]
        assert (np.stack(near) == OWN).any(0).all()


def test_own_units_come_first_then_enemies() -> None:
    game = recorded_game()
    encoded = ObservationEncoder(game.game_info).encode(game.observations[-1])
    alliances = encoded.arrays["entity_categories"][:, 1][encoded.arrays["entity_mask"] == 1]
    groups = np.flatnonzero(np.diff(alliances))
    assert alliances[0] == OWN
    assert alliances[groups[0] + 1] == ENEMY
    assert len(groups) == 2
    assert ALLY not in alliances
