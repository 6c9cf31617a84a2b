"""The two classes of each entity that static tables speak of: what it can be ordered to do, what may target it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.tables import ATTRIBUTE_NAMES, UNIT_ATTRIBUTES, UNIT_TYPE_IDS, UNIT_TYPE_NAMES, unit_type_index

TARGET_CLASS_NAMES = (
    "none",
    "own_ground_biological",
    "own_ground_mechanical",
    "own_ground_biomechanical",
    "own_ground_other",
    "own_air_biological",
    "own_air_mechanical",
    "own_structure",
    "own_townhall",
    "own_gas_structure",
    "ally_unit",
    "ally_structure",
    "enemy_ground_unit",
    "enemy_air_unit",
    "enemy_structure",
    "mineral_field",
    "vespene_geyser",
    "destructible",
    "neutral_other",
)
"""Target classes; class 0 is never a target."""

NUM_UNIT_CLASSES = len(UNIT_TYPE_IDS) + 1
UNKNOWN_CLASS = 1
"""Selection class of own units whose type is in no table."""
UNFINISHED_CLASS = NUM_UNIT_CLASSES + 1
"""Selection class of own structures under construction, whatever their type."""
NUM_SELECTION_CLASSES = UNFINISHED_CLASS + 1

_OWN, _ALLY, _NEUTRAL, _ENEMY = 1, 2, 3, 4
_TOWNHALLS = {
    "CommandCenter",
    "CommandCenterFlying",
    "Hatchery",
    "Hive",
    "Lair",
    "Nexus",
    "OrbitalCommand",
    "OrbitalCommandFlying",
    "PlanetaryFortress",
}
_GAS_STRUCTURES = ("Assimilator", "Extractor", "Refinery")
_DESTRUCTIBLE = ("Destructible", "Rocks", "Debris", "Collapsible", "Unbuildable", "Reptile", "Ice")

Ids = NDArray[np.integer] | tuple[int, ...]


def selection_class_of(unit_types: Ids) -> NDArray[np.int32]:
    """Return the selection class of finished own units of these types: 1 + index of the type, the unknown is 1."""
    return unit_type_index(unit_types) + 1


def selection_classes(
    unit_types: NDArray[np.integer], selectable: NDArray[np.bool_], build_progress: NDArray[np.floating]
) -> NDArray[np.int32]:
    """Return the selection class int32 [N] of entities, 0 for those that can't be ordered.

    Args:
        unit_types: the game's ids [N].
        selectable: [N] own units with a tag that are not in cargo.
        build_progress: [N] share that is built, 1 for finished.
    """
    classes = np.where(build_progress < 1, UNFINISHED_CLASS, selection_class_of(unit_types))
    return np.where(selectable, classes, 0).astype(np.int32)


def target_classes(
    unit_types: NDArray[np.integer],
    alliances: NDArray[np.integer],
    flying: NDArray[np.bool_],
    targetable: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """Return the target class int32 [N] (of `TARGET_CLASS_NAMES`) of entities, 0 for those that can't be targets.

    Args:
        unit_types: the game's ids [N].
        alliances: [N] 1 own, 2 ally, 3 neutral, 4 enemy.
        flying: [N] whether it flies now.
        targetable: [N] whether it has a tag and is not in cargo.
    """
    classes: NDArray[np.int32] = _CLASSES[alliances, flying.astype(np.intp), unit_type_index(unit_types)]
    return np.where(targetable, classes, 0).astype(np.int32)


def _own_class(name: str, attributes: set[str], flying: bool) -> str:
    if name in _TOWNHALLS:
        return "own_townhall"
    if name.startswith(_GAS_STRUCTURES):
        return "own_gas_structure"
    if "structure" in attributes:
        return "own_structure"
    if flying:
        return "own_air_biological" if "biological" in attributes else "own_air_mechanical"
    kinds = "".join(kind for kind in ("biological", "mechanical") if kind in attributes)
    return "own_ground_" + (kinds.replace("biologicalm", "biom") or "other")


def _neutral_class(name: str) -> str:
    if "MineralField" in name:
        return "mineral_field"
    if "Geyser" in name:
        return "vespene_geyser"
    return "destructible" if any(word in name for word in _DESTRUCTIBLE) else "neutral_other"


def _class_table() -> NDArray[np.int32]:
    """Return the target class [5 alliances, 2 flying, 1 + unit types]."""
    table = np.zeros((5, 2, NUM_UNIT_CLASSES), np.int32)
    number = {name: index for index, name in enumerate(TARGET_CLASS_NAMES)}
    for index, name in enumerate(("", *UNIT_TYPE_NAMES)):
        attributes = {word for word, has in zip(ATTRIBUTE_NAMES, UNIT_ATTRIBUTES[index], strict=True) if has}
        structure = "structure" in attributes
        for flying in (False, True):
            unit = "air_unit" if flying else "ground_unit"
            table[_OWN, int(flying), index] = number[_own_class(name, attributes, flying)]
            table[_ALLY, int(flying), index] = number["ally_structure" if structure else "ally_unit"]
            table[_NEUTRAL, int(flying), index] = number[_neutral_class(name)]
            table[_ENEMY, int(flying), index] = number["enemy_structure" if structure else f"enemy_{unit}"]
    table.setflags(write=False)
    return table


_CLASSES = _class_table()
