"""Compares our units with those of AlphaStar's converter, which official pysc2 4.0 holds compiled for Python 3.10.

python3.10 -m venv venv && venv/bin/pip install pysc2==4.0 protobuf==3.20.3 dm-env-rpc==1.1.4 \
    "googleapis-common-protos<1.60" gymnasium
PYTHONPATH=. venv/bin/python benchmarks/starcraft2_converter.py --archive pysc2_evolved-1.1.1.tar.gz --output out.json

The game is the recorded one of `starcraft2_recorded_game.py`, seen by both players.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from common import machine_info, versions, write_json
from numpy.typing import NDArray
from pysc2.env.converter import converter
from pysc2.env.converter.proto import converter_pb2
from starcraft2_recorded_game import read_game

from envs.starcraft2.functions import FUNCTION_BY_ABILITY, FUNCTIONS
from envs.starcraft2.observation import EncodedObservation, ObservationEncoder
from envs.starcraft2.planes import PLANE_NAMES
from envs.starcraft2.raw_units import COLUMN, COLUMN_NAMES

MAX_UNITS = 512
REMAPPED = ("unit_type", "addon_unit_type", "buff_id_0", "buff_id_1")
"""Columns with numbers of the converter's own: what must agree is which units share one."""
ORDERS = tuple(f"order_id_{index}" for index in range(4))
REASONS = {
    "player_id": "the converter calls every player 1",
    "order_id": "the converter names the general function of an order, ours the specific one; compared after folding",
    "tag": "the converter keeps the lower 32 bits; those are compared",
}
_PACKAGES = ("numpy", "protobuf", "pysc2", "dm-env-rpc", "s2clientprotocol")


def settings() -> Any:
    """Return AlphaStar's settings, but for what hides or reorders units."""
    made = converter_pb2.ConverterSettings(
        num_action_types=556,
        num_unit_types=243,
        num_upgrade_types=90,
        max_num_upgrades=40,
        camera_width_world_units=24,
        mmr=6000,
        minimap_features=list(PLANE_NAMES),
    )
    made.minimap.x = made.minimap.y = 128
    raw = made.raw_settings
    raw.resolution.x = raw.resolution.y = 256
    raw.max_unit_count, raw.num_unit_features, raw.max_unit_selection_size = MAX_UNITS, 48, 64
    raw.enable_action_repeat = raw.add_effects_to_units = raw.add_cargo_to_units = True
    return made


def general_functions() -> NDArray[np.int64]:
    """Return the general raw function of each, itself where it has none."""
    folded = [FUNCTION_BY_ABILITY.get((function.general_id, function.kind), function) for function in FUNCTIONS]
    return np.asarray([function.index for function in folded])


_GENERAL_FUNCTIONS = general_functions()


def disagreements(ours: NDArray[np.int64], theirs: NDArray[Any]) -> Counter[str]:
    """Return how many units differ in which column."""
    found: Counter[str] = Counter()
    for name in COLUMN_NAMES:
        column = ours[:, COLUMN[name]]
        if name not in REMAPPED:
            column = _GENERAL_FUNCTIONS[column] if name in ORDERS else column
            found[name] = int((column != theirs[:, COLUMN[name]]).sum())
    found["tag"] = int(((ours[:, COLUMN["tag"]] - theirs[:, COLUMN["tag"]]) % 2**32 != 0).sum())
    return found


def ambiguous(pairs: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs (our number, theirs) that break a one-to-one relation."""
    ours, theirs = Counter(pair[0] for pair in pairs), Counter(pair[1] for pair in pairs)
    return sorted(pair for pair in pairs if ours[pair[0]] > 1 or theirs[pair[1]] > 1)


def compare_rest(encoded: EncodedObservation, converted: Any) -> Counter[str]:
    """Return differences outside the units: planes, player vector, upgrades, game loop, unit counts."""
    found: Counter[str] = Counter()
    for index, name in enumerate(PLANE_NAMES):
        layer = converted.get(f"minimap_{name}")
        if layer is not None:
            found[f"minimap_{name}"] = int((encoded.arrays["planes"][index] != layer).sum())
    found["player_id"] = int(encoded.player[0] != converted["player"][0])
    found["player"] = int((encoded.player[1:] != converted["player"][1:]).sum())
    found["game_loop"] = int(encoded.game_loop != int(np.asarray(converted["game_loop"]).item()))
    own = (encoded.raw_units[:, COLUMN["alliance"]] == 1) & (encoded.raw_units[:, COLUMN["is_in_cargo"]] == 0)
    found["unit_counts"] = abs(int(own.sum()) - int(np.asarray(converted["unit_counts_bow"]).sum()))
    found["upgrades"] = abs(len(encoded.upgrades) - int((np.asarray(converted["upgrades_fixed_length"]) > 0).sum()))
    return found


def main() -> None:
    """Compare and write the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    game = read_game(arguments.archive)
    differences: Counter[str] = Counter()
    pairs: dict[str, set[tuple[int, int]]] = {name: set() for name in REMAPPED}
    num_units = num_cut = 0
    for messages in (game.observations, game.opponent_observations):
        encoder = ObservationEncoder(game.game_info)
        theirs_converter = converter.Converter(settings(), converter_pb2.EnvironmentInfo(game_info=game.game_info))
        for message in messages:
            converted = theirs_converter.convert_observation(converter_pb2.Observation(player=message))
            encoded = encoder.encode(message)
            theirs = np.asarray(converted["raw_units"])
            theirs = theirs[theirs[:, COLUMN["alliance"]] != 0][: len(encoded.raw_units)]
            ours = encoded.raw_units[: len(theirs)]
            num_units += len(ours)
            num_cut += len(encoded.raw_units) - len(ours)
            differences.update(disagreements(ours, theirs))
            for name in REMAPPED:
                both = np.unique(np.stack([ours[:, COLUMN[name]], theirs[:, COLUMN[name]]], 1), axis=0)
                pairs[name] |= {(int(one), int(other)) for one, other in both}
            differences.update(compare_rest(encoded, converted))
    remapped = {name: {"numbers": len(found), "not_one_to_one": ambiguous(found)} for name, found in pairs.items()}
    differing = {name: count for name, count in differences.items() if count}
    results = {
        "observations": len(game.observations) * 2,
        "units": num_units,
        "units_left_out": num_cut,
        "compared": sorted(differences),
        "differences": differing,
        "remapped": remapped,
        "reasons": REASONS,
    }
    write_json(arguments.output, {"machine": machine_info(), "versions": versions(_PACKAGES), **results})
    print(f"{num_units} units of {results['observations']} observations, {num_cut} left out; differences: {differing}")
    for name, found in remapped.items():
        print(f"{name}: {found['numbers']} numbers, not one to one: {found['not_one_to_one']}")


if __name__ == "__main__":
    main()
