"""The 564 raw functions of pysc2: names, abilities, arguments; which units take them and what they may target.

`functions.csv` pins pysc2's list (4.0.0, the same in pysc2-evolved 1.1.1) and adds the targets of those that take a
unit. A *specific* function (Attack_Attack_unit) orders one ability; the *general* one (Attack_unit) lets the game
choose among the abilities that stand behind it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from envs.function_calls import (
    QUEUED,
    REPEAT,
    SELECTED,
    TARGET_ENTITY,
    TARGET_POINT,
    FunctionCallSpace,
)
from envs.starcraft2.abilities import ABILITIES
from envs.starcraft2.coordinates import GRID_SIZE
from envs.starcraft2.entity_classes import TARGET_CLASS_NAMES, UNFINISHED_CLASS, UNKNOWN_CLASS, selection_class_of
from envs.starcraft2.tables import UNIT_TYPE_IDS

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "no_op": (),
    "camera": (TARGET_POINT,),
    "cmd": (QUEUED, REPEAT, SELECTED),
    "cmd_pt": (QUEUED, SELECTED, TARGET_POINT),
    "cmd_unit": (QUEUED, SELECTED, TARGET_ENTITY),
    "autocast": (SELECTED,),
}
"""The arguments each kind of function reads. As in AlphaStar's interface, only orders without a target are repeated."""

_OWN_GROUND = ("own_ground_biological", "own_ground_mechanical", "own_ground_biomechanical", "own_ground_other")
_OWN_UNITS = (*_OWN_GROUND, "own_air_biological", "own_air_mechanical")
_OWN_STRUCTURES = ("own_structure", "own_townhall", "own_gas_structure")
_ENEMY_UNITS = ("enemy_ground_unit", "enemy_air_unit")
_ENEMIES = (*_ENEMY_UNITS, "enemy_structure")
_ALLIES = ("ally_unit", "ally_structure")

TARGET_GROUPS: dict[str, tuple[str, ...]] = {
    "any": TARGET_CLASS_NAMES[1:],
    "attackable": (*_OWN_UNITS, *_OWN_STRUCTURES, *_ALLIES, *_ENEMIES, "destructible", "neutral_other"),
    "own_units": _OWN_UNITS,
    "own_ground_units": _OWN_GROUND,
    "own_structures": _OWN_STRUCTURES,
    "allies": _ALLIES,
    "enemy_units": _ENEMY_UNITS,
    "enemies": _ENEMIES,
}
"""Names for several target classes in `functions.csv`."""

# Orders that a unit of a type we do not know most likely takes.
_ABILITIES_OF_THE_UNKNOWN = (1, 4, 16, 17, 18, 23)
# Ways to cancel what is under construction.
_ABILITIES_OF_THE_UNFINISHED = (314, 451, 484, 517, 1763)


@dataclass(frozen=True)
class Function:
    """One raw function of pysc2.

    Attributes:
        index: pysc2's id, 0 to 563.
        name: pysc2's name.
        kind: no_op, camera, cmd (no target), cmd_pt (target point), cmd_unit (target unit) or autocast (toggle).
        ability_id: the ability it orders, 0 for none.
        general_id: the ability of its general function, 0 where it is general itself or has none.
        targets: classes that the target of a cmd_unit may have.
    """

    index: int
    name: str
    kind: str
    ability_id: int
    general_id: int
    targets: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments it reads besides the delay."""
        return ARGUMENTS[self.kind]


def _read() -> tuple[Function, ...]:
    text = files(__package__).joinpath("functions.csv").read_text(encoding="utf-8")
    return tuple(
        Function(
            index=int(row["function"]),
            name=row["name"],
            kind=row["kind"],
            ability_id=int(row["ability"]),
            general_id=int(row["general"]),
            targets=tuple(name for word in row["targets"].split() for name in TARGET_GROUPS.get(word, (word,))),
        )
        for row in csv.DictReader(text.splitlines())
    )


FUNCTIONS: tuple[Function, ...] = _read()
"""All raw functions in pysc2's order."""

FUNCTION_BY_NAME = {function.name: function for function in FUNCTIONS}
FUNCTION_BY_ABILITY = {(function.ability_id, function.kind): function for function in FUNCTIONS if function.ability_id}
"""Functions by ability id and kind."""
GENERAL_ABILITY = {function.ability_id: function.general_id for function in FUNCTIONS if function.general_id}
"""The general ability of each specific one."""


def variants(function: Function) -> tuple[Function, ...]:
    """Return the specific functions of its kind that stand behind a general function, or itself alone."""
    found = tuple(
        other for other in FUNCTIONS if other.general_id == function.ability_id != 0 and other.kind == function.kind
    )
    direct = function.ability_id in ABILITIES and bool(ABILITIES[function.ability_id].units)
    return (*found, function) if direct or not found else found


def performers(function: Function) -> frozenset[int]:
    """Return the ids of the unit types that take a function; a general one is taken by those of all its variants."""
    behind = {other.ability_id for other in FUNCTIONS if other.general_id == function.ability_id != 0}
    abilities = [ABILITIES[number] for number in {function.ability_id, *behind} if number in ABILITIES]
    return frozenset(unit for ability in abilities for unit in ability.units)


def selection_table() -> NDArray[np.bool_]:
    """Return bool [functions, selection classes]: which own units can be given which function."""
    table = np.zeros((len(FUNCTIONS), UNFINISHED_CLASS + 1), np.bool_)
    class_of = dict(zip(UNIT_TYPE_IDS, selection_class_of(UNIT_TYPE_IDS).tolist(), strict=True))
    for function in FUNCTIONS:
        if SELECTED not in function.arguments:
            continue
        table[function.index, [class_of[unit] for unit in performers(function) if unit in class_of]] = True
        abilities = {variant.ability_id for variant in variants(function)}
        table[function.index, UNKNOWN_CLASS] = not abilities.isdisjoint(_ABILITIES_OF_THE_UNKNOWN)
        table[function.index, UNFINISHED_CLASS] = not abilities.isdisjoint(_ABILITIES_OF_THE_UNFINISHED)
    return table


def target_table() -> NDArray[np.bool_]:
    """Return bool [functions, target classes]: what the target of which function may be."""
    table = np.zeros((len(FUNCTIONS), len(TARGET_CLASS_NAMES)), np.bool_)
    for function in FUNCTIONS:
        table[function.index, [TARGET_CLASS_NAMES.index(name) for name in function.targets]] = True
    return table


def function_calls_space(
    max_entities: int = 512, seed: int | np.random.Generator | None = None, *, grid_size: int = GRID_SIZE
) -> FunctionCallSpace:
    """Return the action space of StarCraft II: AlphaStar's arguments over `max_entities` slots."""
    arguments: Sequence[tuple[str, ...]] = [function.arguments for function in FUNCTIONS]
    return FunctionCallSpace(
        arguments,
        max_entities=max_entities,
        max_selected=min(64, max_entities),
        point_shape=(grid_size, grid_size),
        selection_table=selection_table(),
        target_table=target_table(),
        seed=seed,
    )
