"""The pinned functions against pysc2's own list, the tables that are made of them, and the facts of abilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.starcraft2 import compatibility
from envs.starcraft2.abilities import ABILITIES, costs_from_game, equivalents
from envs.starcraft2.entity_classes import (
    NUM_SELECTION_CLASSES,
    TARGET_CLASS_NAMES,
    UNFINISHED_CLASS,
    UNKNOWN_CLASS,
    selection_class_of,
    selection_classes,
    target_classes,
)
from envs.starcraft2.functions import (
    ARGUMENTS,
    FUNCTION_BY_ABILITY,
    FUNCTION_BY_NAME,
    FUNCTIONS,
    function_calls_space,
    performers,
    variants,
)
from envs.starcraft2.tables import UNIT_TYPE_IDS, UNIT_TYPE_NAMES
from tests.envs.starcraft2.shared_data import shared_file

TYPE_OF_NAME = dict(zip(UNIT_TYPE_NAMES, UNIT_TYPE_IDS, strict=True))
KINDS = {
    "raw_no_op": "no_op", "raw_move_camera": "camera", "raw_cmd": "cmd", "raw_cmd_pt": "cmd_pt",
    "raw_cmd_unit": "cmd_unit", "raw_autocast": "autocast",
}  # fmt: skip
ARGUMENT_OF_PYSC2 = {"queued": "queued", "unit_tags": "selected", "world": "target_point",
                     "target_unit_tag": "target_entity"}  # fmt: skip


def test_the_functions_are_pysc2s() -> None:
    theirs = list(compatibility.raw_functions)
    assert len(FUNCTIONS) == len(theirs) == 564
    for ours, function in zip(FUNCTIONS, theirs, strict=True):
        assert (ours.index, ours.name) == (int(function.id), function.name)
        assert (ours.ability_id, ours.general_id) == (function.ability_id or 0, function.general_id or 0)
        assert ours.kind == KINDS[function.function_type.__name__]
        assert set(ours.arguments) - {"repeat"} == {ARGUMENT_OF_PYSC2[argument.name] for argument in function.args}


def test_an_ability_and_a_kind_name_one_function() -> None:
    assert len(FUNCTION_BY_ABILITY) == sum(function.ability_id > 0 for function in FUNCTIONS) == 562


def test_every_specific_function_has_a_general_one_of_its_kind() -> None:
    specific = [function for function in FUNCTIONS if function.general_id]
    assert len(specific) == 564 - 327
    assert all((function.general_id, function.kind) in FUNCTION_BY_ABILITY for function in specific)


def test_only_orders_without_a_target_are_repeated() -> None:
    assert [kind for kind, arguments in ARGUMENTS.items() if "repeat" in arguments] == ["cmd"]


def test_every_function_that_chooses_entities_has_a_choice() -> None:
    space = function_calls_space()
    assert space.selection_table.shape == (564, NUM_SELECTION_CLASSES)
    assert space.target_table.shape == (564, len(TARGET_CLASS_NAMES))
    for function in FUNCTIONS:
        assert space.selection_table[function.index].any() == ("selected" in function.arguments), function.name
        assert space.target_table[function.index].any() == ("target_entity" in function.arguments), function.name
    assert space.arguments[FUNCTION_BY_NAME["Train_Marine_quick"].index] == ("queued", "repeat", "selected")


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("Train_Marine_quick", {"Barracks"}),
        ("Build_CreepTumor_Queen_pt", {"Queen"}),
        ("Harvest_Gather_unit", {"SCV", "Probe", "Drone", "MULE"}),
        ("Effect_Stim_quick", {"Marine", "Marauder", "Bunker"}),
        ("Research_TerranInfantryWeapons_quick", {"EngineeringBay"}),
        ("Lift_quick", {"Barracks", "CommandCenter", "Factory", "OrbitalCommand", "Starport"}),
        ("UnloadAll_NydusNetwork_quick", {"NydusNetwork"}),
        ("Effect_Restore_autocast", {"ShieldBattery"}),
    ],
)
def test_who_takes_a_function(name: str, units: set[str]) -> None:
    assert performers(FUNCTION_BY_NAME[name]) == {TYPE_OF_NAME[unit] for unit in units}


def test_variants_share_the_general_ability_and_the_kind() -> None:
    names = {function.name for function in variants(FUNCTION_BY_NAME["Effect_Stim_quick"])}
    assert {"Effect_Stim_Marine_quick", "Effect_Stim_Marauder_quick"} < names
    assert variants(FUNCTION_BY_NAME["Train_SCV_quick"]) == (FUNCTION_BY_NAME["Train_SCV_quick"],)
    for function in FUNCTIONS:
        assert variants(function)
        assert {variant.kind for variant in variants(function)} == {function.kind}


def test_selection_classes_tell_types_the_unknown_and_the_unfinished() -> None:
    types = np.array([48, 48, 48, 999_999])
    classes = selection_classes(types, np.array([True, False, True, True]), np.array([1.0, 1.0, 0.4, 1.0]))
    assert classes.tolist() == [selection_class_of((48,))[0], 0, UNFINISHED_CLASS, UNKNOWN_CLASS]
    table = function_calls_space().selection_table
    assert table[FUNCTION_BY_NAME["Cancel_quick"].index, UNFINISHED_CLASS]
    assert not table[FUNCTION_BY_NAME["Train_Marine_quick"].index, UNFINISHED_CLASS]
    assert table[FUNCTION_BY_NAME["Attack_pt"].index, UNKNOWN_CLASS]


def test_target_classes() -> None:
    named = [
        ("Marine", 1, False, "own_ground_biological"), ("SiegeTank", 1, False, "own_ground_mechanical"),
        ("SCV", 1, False, "own_ground_biomechanical"), ("Archon", 1, False, "own_ground_other"),
        ("Overlord", 1, True, "own_air_biological"), ("Banshee", 1, True, "own_air_mechanical"),
        ("Hatchery", 1, False, "own_townhall"), ("Refinery", 1, False, "own_gas_structure"),
        ("RefineryRich", 1, False, "own_gas_structure"),
        ("Barracks", 1, False, "own_structure"), ("Marine", 2, False, "ally_unit"),
        ("Pylon", 2, False, "ally_structure"),
        ("Zergling", 4, False, "enemy_ground_unit"), ("Mutalisk", 4, True, "enemy_air_unit"),
        ("BarracksFlying", 4, True, "enemy_structure"), ("RichMineralField750", 3, False, "mineral_field"),
        ("PurifierVespeneGeyser", 3, False, "vespene_geyser"), ("DestructibleRock6x6", 3, False, "destructible"),
        ("XelNagaTower", 3, False, "neutral_other"), ("Dog", 3, False, "neutral_other"),
    ]  # fmt: skip
    types = np.array([TYPE_OF_NAME[name] for name, *_ in named])
    alliances, flying = (np.array([row[column] for row in named]) for column in (1, 2))
    classes = target_classes(types, alliances, flying, np.ones(len(named), bool))
    assert [TARGET_CLASS_NAMES[number] for number in classes] == [row[3] for row in named]
    assert not target_classes(types, alliances, flying, np.zeros(len(named), bool)).any()


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("Build_Refinery_pt", "vespene_geyser", "mineral_field"),
        ("Harvest_Gather_unit", "mineral_field", "vespene_geyser"),
        ("Effect_Repair_unit", "own_ground_biomechanical", "own_ground_biological"),
        ("Effect_Heal_unit", "own_ground_biological", "own_ground_mechanical"),
        ("Effect_InjectLarva_unit", "own_townhall", "enemy_structure"),
        ("Attack_unit", "enemy_air_unit", "mineral_field"),
    ],
)
def test_what_a_function_may_target(name: str, allowed: str, refused: str) -> None:
    row = function_calls_space().target_table[FUNCTION_BY_NAME[name].index]
    assert row[TARGET_CLASS_NAMES.index(allowed)]
    assert not row[TARGET_CLASS_NAMES.index(refused)]


def test_a_lair_counts_as_a_hatchery() -> None:
    assert set(equivalents(86)) == {86, 100, 101}
    assert tuple(equivalents(48)) == (48,)


def test_costs_of_the_game_replace_the_pinned_ones() -> None:
    data = compatibility.sc_pb.ResponseData()
    for unit_id, minerals, supply in ((105, 30, 0.5), (151, 0, 0), (132, 600, 0), (18, 420, 0)):
        data.units.add(unit_id=unit_id, mineral_cost=minerals, vespene_cost=0, food_required=supply)
    data.abilities.add(ability_id=1853, available=False)
    data.abilities.add(ability_id=1006, available=True)
    data.upgrades.add(upgrade_id=84, mineral_cost=60, vespene_cost=70)
    costs = costs_from_game(data)
    assert (costs[1343].minerals, costs[1343].supply) == (60, 1.0), "zerglings come in pairs"
    assert costs[1516].minerals == 180, "an Orbital Command costs what it adds to the Command Center"
    assert (costs[1568].minerals, costs[1568].vespene) == (60, 70)
    assert [costs[number].available for number in (1853, 1006, 560)] == [False, True, True]
    assert costs[560] == ABILITIES[560], "without data the pinned cost stays"


def test_pinned_costs_are_those_of_recorded_game_data() -> None:
    data = compatibility.sc_pb.ResponseData.FromString(shared_file("maps/data.pb").read_bytes())
    costs = costs_from_game(data)
    assert {number: replace(cost, available=True) for number, cost in costs.items()} == dict(ABILITIES)
    gone = {number for number, cost in costs.items() if not cost.available}
    assert {261, 1853, 2112} <= gone, "old Chrono Boost, Mothership Core, Lurker Den as a morph"
    assert len(gone) < 12


def test_facts_speak_of_known_units_only() -> None:
    known = set(UNIT_TYPE_IDS)
    for number, ability in ABILITIES.items():
        assert set(ability.units) | set(ability.required_units) <= known, number
        assert min(ability.minerals, ability.vespene, ability.supply) >= 0
