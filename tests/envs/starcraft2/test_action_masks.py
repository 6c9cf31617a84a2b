"""Masks of functions on hand-made states and on recorded observations of real games."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import starcraft2_frames as frames
from envs.function_calls import SELECTED, TARGET_ENTITY, sample_function_call
from envs.spaces import ENTITY_CLASSES
from envs.starcraft2.abilities import ABILITIES, Ability, equivalents
from envs.starcraft2.action_masks import FunctionMasks, PlayerFacts
from envs.starcraft2.compatibility import raw_pb, sc_pb
from envs.starcraft2.entity_classes import TARGET_CLASS_NAMES, UNFINISHED_CLASS, selection_class_of
from envs.starcraft2.entity_classes import selection_classes as classes_of_selection
from envs.starcraft2.entity_classes import target_classes as classes_of_targets
from envs.starcraft2.functions import (
    FUNCTION_BY_NAME,
    FUNCTIONS,
    GENERAL_ABILITY,
    Function,
    function_calls_space,
    selection_table,
    target_table,
    variants,
)
from envs.starcraft2.native_masks import fastest_masks
from envs.starcraft2.observation import ObservationEncoder
from envs.starcraft2.scalars import SCALAR_SLICES
from envs.starcraft2.tables import UNIT_TYPE_IDS, UNIT_TYPE_NAMES, UPGRADE_IDS, unit_type_index
from tests.envs.starcraft2.recorded_game import recorded_game
from tests.envs.starcraft2.shared_data import shared_file

TYPE_OF_NAME = dict(zip(UNIT_TYPE_NAMES, UNIT_TYPE_IDS, strict=True))
ALL = FunctionMasks(hide_specific=False, hide_camera=False)
SELECTION, TARGETS = selection_table(), target_table()
SPECIFIC = {
    general: [specific for specific, of in GENERAL_ABILITY.items() if of == general]
    for general in set(GENERAL_ABILITY.values())
}
BY_ABILITY = {function.ability_id for function in FUNCTIONS}
RICH = PlayerFacts(
    minerals=5000,
    vespene=5000,
    supply_left=50,
    finished_unit_types=frozenset(),
    upgrades=frozenset(),
    orders=frozenset(),
)


def units(*names: str) -> tuple[np.ndarray, frozenset[int]]:
    """Return the entity classes of own finished units beside a mineral field, and their types."""
    types = [TYPE_OF_NAME[name] for name in names]
    selection = selection_class_of(tuple(types))
    classes = np.array([*((number, 0) for number in selection), (0, TARGET_CLASS_NAMES.index("mineral_field"))])
    return classes, frozenset(types)


def callable_names(*names: str, masks: FunctionMasks = ALL, facts: PlayerFacts = RICH) -> set[str]:
    """Return the names of the functions that can be called with these finished units."""
    classes, types = units(*names)
    mask = masks(replace(facts, finished_unit_types=types), classes)
    assert mask.dtype == np.int8
    assert mask.shape == (564,)
    return {FUNCTIONS[index].name for index in np.flatnonzero(mask)}


def test_nothing_but_waiting_without_units() -> None:
    assert callable_names() == {"no_op", "raw_move_camera"}
    assert callable_names(masks=FunctionMasks()) == {"no_op"}


def test_units_bring_their_functions() -> None:
    names = callable_names("SCV")
    assert {"Build_CommandCenter_pt", "Build_SupplyDepot_pt", "Harvest_Gather_unit", "Move_pt"} <= names
    assert not {"Build_Barracks_pt", "Train_SCV_quick", "Effect_Stim_quick", "Build_Nexus_pt"} & names
    assert "Build_Refinery_pt" not in names, "there is no geyser to build it on"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("Build_Barracks_pt", ["SCV"], "SupplyDepot"),
        ("Build_Barracks_pt", ["SCV"], "SupplyDepotLowered"),
        ("Build_Factory_pt", ["SCV"], "BarracksFlying"),
        ("Train_Marauder_quick", ["Barracks"], "BarracksTechLab"),
        ("Train_Ghost_quick", ["Barracks", "BarracksTechLab"], "GhostAcademy"),
        ("Build_HydraliskDen_pt", ["Drone", "Hatchery"], "Hive"),
        ("Train_Stalker_quick", ["Gateway"], "CyberneticsCore"),
        ("Research_ZergMissileWeapons_quick", ["Hatchery"], "EvolutionChamber"),
    ],
)
def test_technology_opens_functions(name: str, before: list[str], after: str) -> None:
    assert name not in callable_names(*before)
    assert name in callable_names(*before, after)


def test_upgrades_open_functions_and_are_researched_once() -> None:
    stimmed = replace(RICH, upgrades=frozenset({15}))
    lab = ("BarracksTechLab", "Marine")
    assert {"Research_Stimpack_quick"} <= callable_names(*lab)
    assert not {"Effect_Stim_Marine_quick", "Effect_Stim_quick"} & callable_names(*lab)
    assert {"Effect_Stim_Marine_quick", "Effect_Stim_quick"} <= callable_names(*lab, facts=stimmed)
    assert "Research_Stimpack_quick" not in callable_names(*lab, facts=stimmed)
    under_way = replace(RICH, orders=frozenset({FUNCTION_BY_NAME["Research_Stimpack_quick"].ability_id}))
    assert "Research_Stimpack_quick" not in callable_names(*lab, facts=under_way)


def test_levels_come_one_after_the_other_and_the_general_form_follows() -> None:
    bay = ("EngineeringBay", "Armory")
    names = [f"Research_TerranInfantryWeapons{level}_quick" for level in ("Level1", "Level2", "Level3", "")]
    callable_after = []
    for upgrades in ((), (7,), (7, 8), (7, 8, 9)):
        found = callable_names(*bay, facts=replace(RICH, upgrades=frozenset(upgrades)))
        callable_after.append([name in found for name in names])
    assert callable_after == [
        [True, False, False, True], [False, True, False, True], [False, False, True, True], [False] * 4,
    ]  # fmt: skip
    under_way = replace(RICH, orders=frozenset({FUNCTION_BY_NAME[names[3]].ability_id}))
    assert not set(names) & callable_names(*bay, facts=under_way), "an order may name the general ability"


def test_cost_and_supply_close_functions() -> None:
    for poor in ({"minerals": 49}, {"supply_left": 0}):
        assert "Train_Marine_quick" not in callable_names("Barracks", facts=replace(RICH, **poor))
    assert "Train_Reaper_quick" not in callable_names("Barracks", facts=replace(RICH, vespene=49))
    just = replace(RICH, minerals=50, vespene=0, supply_left=1)
    assert "Train_Marine_quick" in callable_names("Barracks", facts=just)
    assert "Train_Overlord_quick" in callable_names("Larva", facts=replace(RICH, supply_left=-3))
    assert {"Lift_Barracks_quick", "Stop_quick"} <= callable_names(
        "Barracks", "SCV", facts=replace(RICH, minerals=0, vespene=0, supply_left=-3)
    )


def test_specific_functions_hide_behind_general_ones() -> None:
    shown = callable_names("SCV", "Barracks", masks=FunctionMasks())
    assert {"Move_pt", "Lift_quick", "Train_Marine_quick"} <= shown
    assert not {name for name in shown if FUNCTION_BY_NAME[name].general_id}
    assert "raw_move_camera" not in shown


@pytest.mark.parametrize(
    ("units_there", "name", "changes"),
    [
        (["Barracks"], "Cancel_Last_quick", {"unit_types_by_state": {"busy": frozenset({21})}}),
        (["Medivac"], "UnloadAllAt_pt", {"unit_types_by_state": {"loaded": frozenset({54})}}),
        (["Bunker", "Medivac"], "UnloadAll_quick", {"unit_types_by_state": {"loaded": frozenset({24})}}),
        (["Probe"], "Harvest_Return_quick", {"unit_types_by_state": {"carrying": frozenset({84})}}),
        (["SCV"], "Halt_quick", {"orders": frozenset({321})}),
        (["CommandCenter"], "Cancel_quick", {"orders": frozenset({1516})}),
        (["Factory"], "Cancel_FactoryAddOn_quick", {"orders": frozenset({3682})}),
    ],
)
def test_what_ends_something_needs_something_to_end(units_there: list[str], name: str, changes: dict[str, Any]) -> None:
    assert name not in callable_names(*units_there)
    assert name in callable_names(*units_there, facts=replace(RICH, **changes))
    other = {"unit_types_by_state": {state: frozenset({45, 21}) for state in ("loaded", "carrying")}}
    assert name not in callable_names(*units_there, facts=replace(RICH, **other))


def test_an_unfinished_structure_can_only_be_cancelled() -> None:
    mask = FunctionMasks()(RICH, np.array([[UNFINISHED_CLASS, 0]]))
    assert {FUNCTIONS[index].name for index in np.flatnonzero(mask)} == {"no_op", "Cancel_quick"}


def test_costs_can_be_those_of_another_version() -> None:
    cheap = {560: replace(ABILITIES[560], minerals=10)}
    masks = FunctionMasks({**ABILITIES, **cheap})
    assert "Train_Marine_quick" in callable_names("Barracks", masks=masks, facts=replace(RICH, minerals=12))


def test_abilities_that_the_game_no_longer_has_are_barred() -> None:
    gone = {1853: replace(ABILITIES[1853], available=False)}
    assert "Train_MothershipCore_quick" in callable_names("Nexus")
    assert "Train_MothershipCore_quick" not in callable_names("Nexus", masks=FunctionMasks({**ABILITIES, **gone}))


def recorded(name: str) -> Any:
    return sc_pb.ResponseObservation.FromString(shared_file(f"maps/{name}.ob.pb").read_bytes()).observation


def entity_classes(observation: Any) -> np.ndarray:
    raw = observation.raw_data.units
    types, alliance = (np.array([getattr(unit, name) for unit in raw]) for name in ("unit_type", "alliance"))
    progress, flying = (np.array([getattr(unit, name) for unit in raw]) for name in ("build_progress", "is_flying"))
    return np.stack(
        [
            classes_of_selection(types, alliance == 1, progress),
            classes_of_targets(types, alliance, flying, np.ones(len(raw), bool)),
        ],
        axis=1,
    )


@pytest.mark.parametrize("name", ["AcropolisLE", "KairosJunctionLE", "YearZeroLE"])
def test_recorded_games_start_with_workers_and_a_town_hall(name: str) -> None:
    observation = recorded(name)
    facts = PlayerFacts.from_observation(observation)
    classes = entity_classes(observation)
    mask = FunctionMasks()(facts, classes)
    names = {FUNCTIONS[index].name for index in np.flatnonzero(mask)}
    assert facts.minerals == observation.player_common.minerals
    assert {"no_op", "Harvest_Gather_unit", "Move_pt", "Attack_unit", "Smart_unit"} <= names
    assert {name for name in names if name.startswith("Train_")} <= {
        "Train_SCV_quick", "Train_Probe_quick", "Train_Drone_quick", "Train_Overlord_quick",
    }  # fmt: skip
    assert not {name for name in names if name.startswith("Research_")} - {"Research_Burrow_quick"}
    space, generator = function_calls_space(len(classes)), np.random.default_rng(0)
    for _ in range(100):
        assert space.contains(sample_function_call(mask, classes, space, generator))


def recorded_messages() -> Iterator[tuple[Any, Any]]:
    """Yield the game info and an observation of each recorded moment of both players of a whole game."""
    game = recorded_game()
    for message in (*game.observations, *game.opponent_observations):
        yield game.game_info, message


def test_what_units_of_a_recorded_game_do_is_allowed_to_them() -> None:
    space = function_calls_space()
    orders = targets = 0
    for info, message in recorded_messages():
        encoded = ObservationEncoder(info).encode(message)
        classes = encoded.arrays[ENTITY_CLASSES]
        slot_of = {int(tag): slot for slot, tag in enumerate(encoded.tags) if tag}
        for unit in message.observation.raw_data.units:
            for order in unit.orders if unit.alliance == 1 else ():
                kinds = {function.kind: function for function in FUNCTIONS if function.ability_id == order.ability_id}
                assert kinds, order.ability_id
                column = classes[slot_of[unit.tag], 0]
                assert any(space.selection_table[function.index, column] for function in kinds.values()), unit.unit_type
                orders += 1
                if order.HasField("target_unit_tag") and order.target_unit_tag in slot_of and "cmd_unit" in kinds:
                    target = classes[slot_of[order.target_unit_tag], 1]
                    assert space.target_table[kinds["cmd_unit"].index, target], (order, TARGET_CLASS_NAMES[target])
                    targets += 1
    assert orders > 1000
    assert targets > 500


def naive_mask(facts: PlayerFacts, entity_classes: np.ndarray) -> list[int]:
    """Return the mask with everything shown, function by function."""
    selections, targets = (set(column.tolist()) - {0} for column in entity_classes.T)
    meant = {behind for order in facts.orders for behind in (order, *SPECIFIC.get(int(order), []))}

    def is_there(function: Function) -> bool:
        index, names = function.index, function.arguments
        return (SELECTED not in names or any(SELECTION[index, number] for number in selections)) and (
            TARGET_ENTITY not in names or any(TARGETS[index, number] for number in targets)
        )

    def is_possible(function: Function) -> bool:
        ability = ABILITIES.get(function.ability_id, Ability())
        costs = (ability.minerals, ability.vespene, ability.supply)
        means = (facts.minerals, facts.vespene, facts.supply_left)
        done = ability.upgrade and (ability.upgrade in facts.upgrades or function.ability_id in meant)
        in_state = set(facts.unit_types_by_state.get(ability.state, ())) & set(ability.units)
        return (
            is_there(function)
            and all(set(equivalents(unit)) & set(facts.finished_unit_types) for unit in ability.required_units)
            and set(ability.required_upgrades) <= set(facts.upgrades)
            and all(not cost or cost <= mean for cost, mean in zip(costs, means, strict=True))
            and not done
            and (not ability.while_orders or not meant.isdisjoint(ability.while_orders))
            and (not ability.state or bool(in_state))
        )

    return [is_there(function) and any(map(is_possible, variants(function))) for function in FUNCTIONS]


def drawn(generator: np.random.Generator, ids: Sequence[int], share: float) -> np.ndarray:
    """Return some of the ids, some of them twice, and one that nothing asks for."""
    found = generator.choice([*ids, 10**6], int(share * len(ids)))
    return np.concatenate([found, found[:3]])


def test_masks_are_what_the_rules_say_one_by_one() -> None:
    generator = np.random.default_rng(0)
    abilities = [function.ability_id for function in FUNCTIONS]
    for share in np.linspace(0, 1, 25):
        facts = PlayerFacts(
            minerals=int(generator.integers(0, 600)),
            vespene=int(generator.integers(0, 400)),
            supply_left=float(generator.integers(-2, 8)),
            finished_unit_types=drawn(generator, UNIT_TYPE_IDS, share),
            upgrades=drawn(generator, UPGRADE_IDS, share),
            orders=drawn(generator, abilities, share / 4),
            unit_types_by_state={
                state: drawn(generator, UNIT_TYPE_IDS, share / 2) for state in ("busy", "loaded", "carrying")
            },
        )
        classes = np.stack([generator.integers(0, table.shape[1], 60) for table in (SELECTION, TARGETS)], axis=1)
        classes[int(60 * share) :] = 0
        np.testing.assert_array_equal(ALL(facts, classes), naive_mask(facts, classes))


def test_facts_are_the_same_from_the_encoded_observation() -> None:
    masks = FunctionMasks()
    for info, message in recorded_messages():
        encoded = ObservationEncoder(info).encode(message)
        slow, fast = PlayerFacts.from_observation(message.observation), PlayerFacts.from_encoded(encoded)
        for name in ("minerals", "vespene", "supply_left"):
            assert getattr(fast, name) == getattr(slow, name)
        assert set(fast.finished_unit_types) == slow.finished_unit_types
        assert set(fast.upgrades) == slow.upgrades
        for state, types in fast.unit_types_by_state.items():
            assert set(types) == slow.unit_types_by_state[state]
        first = {order.ability_id for unit in message.observation.raw_data.units for order in unit.orders[:4]}
        assert set(fast.orders) <= {order for order in slow.orders if order in BY_ABILITY} & first
        classes = encoded.arrays[ENTITY_CLASSES]
        np.testing.assert_array_equal(masks(slow, classes), masks(fast, classes))


def test_what_is_only_about_to_be_built_counts_for_nothing() -> None:
    message = frames.observation(np.random.default_rng(0), num_units=1)
    raw, pool, depot = message.observation.raw_data, TYPE_OF_NAME["SpawningPool"], TYPE_OF_NAME["SupplyDepot"]
    raw.units[0].CopyFrom(raw_pb.Unit(tag=1, unit_type=pool, alliance=1, display_type=1, build_progress=1))
    placeholder = raw.units.add(tag=2, unit_type=depot, alliance=1, display_type=4, build_progress=1)
    placeholder.cargo_space_taken = 1
    placeholder.orders.add(ability_id=23)
    placeholder.buff_ids.append(271)
    encoded = ObservationEncoder(frames.game_info(np.random.default_rng(0))).encode(message)
    for facts in (PlayerFacts.from_observation(message.observation), PlayerFacts.from_encoded(encoded)):
        assert set(facts.finished_unit_types) == {pool}
        assert not len(facts.orders)
        assert not any(len(types) for types in facts.unit_types_by_state.values())
    counts = encoded.arrays["scalars"][SCALAR_SLICES["own_unit_counts"]]
    assert np.flatnonzero(counts).tolist() == [int(unit_type_index(np.array([pool]))[0])]
    classes = units("SCV", "Larva")[0]
    for masks in (ALL, fastest_masks(hide_specific=False)):
        mask = masks.of(encoded, np.ascontiguousarray(classes, np.int32))
        names = {FUNCTIONS[index].name for index in np.flatnonzero(mask)}
        assert "Build_Barracks_pt" not in names


@pytest.mark.parametrize("hides", [True, False])
def test_masks_made_in_c_are_the_same(hides: bool) -> None:
    hiding = {"hide_specific": hides, "hide_camera": hides}
    in_python, fastest = FunctionMasks(**hiding), fastest_masks(**hiding)
    if type(fastest) is FunctionMasks:
        pytest.skip("there is no C compiler, or C is switched off")
    generator, offered = np.random.default_rng(0), 0
    for count in (0, 1, 5, 20, 60, 200, 400, 800):
        for busy in (0.0, 0.3, 1.0):
            message = frames.observation(generator, num_units=count, busy=busy)
            common = message.observation.player_common
            common.minerals, common.vespene, common.food_cap = generator.integers(0, 500, 3).tolist()
            message.observation.raw_data.player.upgrade_ids.extend(drawn(generator, UPGRADE_IDS, 0.4).tolist())
            encoded = ObservationEncoder(frames.game_info(generator)).encode(message)
            classes = encoded.arrays[ENTITY_CLASSES]
            expected, mask = in_python.of(encoded, classes), fastest.of(encoded, classes)
            assert mask.dtype == np.int8
            np.testing.assert_array_equal(mask, expected)
            offered += int(mask.sum())
    assert offered > 300
    for info, message in recorded_messages():
        encoded = ObservationEncoder(info).encode(message)
        classes = encoded.arrays[ENTITY_CLASSES]
        np.testing.assert_array_equal(fastest.of(encoded, classes), in_python.of(encoded, classes))


def test_masks_grow_with_a_recorded_game() -> None:
    masks, game = FunctionMasks(), recorded_game()
    found = []
    for message in (game.observations[0], game.observations[-1]):
        encoded = ObservationEncoder(game.game_info).encode(message)
        found.append(masks(PlayerFacts.from_encoded(encoded), encoded.arrays[ENTITY_CLASSES]))
    names = [{FUNCTIONS[index].name for index in np.flatnonzero(mask)} for mask in found]
    assert {"Train_Marauder_quick", "Train_SiegeTank_quick", "Effect_Stim_quick", "Build_FusionCore_pt"} <= names[1]
    assert not {"Train_Marine_quick", "Effect_Stim_quick", "Build_Barracks_pt"} & names[0]
    assert not {"Train_Zealot_quick", "Train_Thor_quick", "Research_Stimpack_quick"} & names[1]
