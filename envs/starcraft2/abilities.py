"""What is pinned about the game's abilities: who has them, what they need, cost and bring.

The table `abilities.csv` holds facts of the game's own `ResponseData` (costs, supply) and of its tech tree (units and
requirements), with what the tech tree leaves out added by hand. Versions of the game differ in a few of them: costs and
requirements can be renewed from the running game by `costs_from_game`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

_LARVA_ZERGLINGS = (151, 105)
"""A larva becomes two zerglings, the only pair."""

TECH_EQUIVALENTS: dict[int, tuple[int, ...]] = {
    18: (36, 130, 132, 134),
    19: (47,),
    21: (46,),
    27: (43,),
    28: (44,),
    62: (133,),
    86: (100, 101),
    92: (102,),
    100: (101,),
    132: (134,),
}
"""Unit types that meet a requirement of the key as well: a Lair is a Hatchery, a flying Barracks a Barracks."""


@dataclass(frozen=True)
class Ability:
    """Facts of one ability.

    Attributes:
        units: ids of the unit types that have it.
        required_units: unit types of which the player needs a finished one each (or an equivalent).
        required_upgrades: upgrades the player needs.
        product: unit type that it makes, 0 for none.
        source: unit type that is used up by it, 0 for none.
        upgrade: upgrade that it researches, 0 for none.
        minerals, vespene, supply: what is paid for it.
        state: what one of these units must be for it: "busy" (has orders), "loaded" (has passengers), "carrying" (has
            resources with it), or "" for anything.
        while_orders: abilities of which an own unit must have one as its order, where there are any.
        available: whether the game has it at all; versions take abilities out.
    """

    units: tuple[int, ...] = ()
    required_units: tuple[int, ...] = ()
    required_upgrades: tuple[int, ...] = ()
    product: int = 0
    source: int = 0
    upgrade: int = 0
    minerals: int = 0
    vespene: int = 0
    supply: float = 0.0
    state: str = ""
    while_orders: tuple[int, ...] = ()
    available: bool = True


def _read() -> dict[int, Ability]:
    text = files(__package__).joinpath("abilities.csv").read_text(encoding="utf-8")
    return {int(row["ability"]): _ability(row) for row in csv.DictReader(text.splitlines())}


def _ability(row: Mapping[str, str]) -> Ability:
    needs = [need.split(":") for need in row["needs"].split()]
    orders = tuple(int(word[len("order:") :]) for word in row["during"].split() if word.startswith("order:"))
    return Ability(
        units=tuple(int(unit) for unit in row["units"].split()),
        required_units=tuple(int(number) for kind, number in needs if kind == "unit"),
        required_upgrades=tuple(int(number) for kind, number in needs if kind == "upgrade"),
        product=int(row["product"] or 0),
        source=int(row["source"] or 0),
        upgrade=int(row["upgrade"] or 0),
        minerals=int(row["minerals"] or 0),
        vespene=int(row["vespene"] or 0),
        supply=float(row["supply"] or 0),
        state="" if orders else row["during"],
        while_orders=orders,
    )


ABILITIES: Mapping[int, Ability] = _read()
"""Facts by ability id; abilities without any are left out."""


def costs_from_game(game_data: Any, abilities: Mapping[int, Ability] = ABILITIES) -> dict[int, Ability]:
    """Return the abilities with the costs of the running game, and whether it has them at all.

    The game tells what a unit is worth altogether, so what the ability uses up is taken off: an Orbital Command costs
    what it is worth above a Command Center. Where it tells no cost, the pinned one stays.

    Args:
        game_data: `sc_pb.ResponseData`, with abilities, units and upgrades.
    """
    units = {unit.unit_id: unit for unit in game_data.units}
    upgrades = {upgrade.upgrade_id: upgrade for upgrade in game_data.upgrades}
    missing = {ability.ability_id for ability in game_data.abilities if not ability.available}
    return {
        number: replace(_priced(ability, units, upgrades), available=number not in missing)
        for number, ability in abilities.items()
    }


def _priced(ability: Ability, units: Mapping[int, Any], upgrades: Mapping[int, Any]) -> Ability:
    upgrade = upgrades.get(ability.upgrade) if ability.upgrade else None
    product = units.get(ability.product) if ability.product else None
    if upgrade is not None:
        return replace(ability, minerals=upgrade.mineral_cost, vespene=upgrade.vespene_cost)
    if product is None or (ability.source and ability.source not in units):
        return ability
    price = [float(product.mineral_cost), float(product.vespene_cost), float(product.food_required)]
    if ability.source:
        source = units[ability.source]
        for index, part in enumerate((source.mineral_cost, source.vespene_cost, source.food_required)):
            price[index] = max(0.0, price[index] - part)
    if (ability.source, ability.product) == _LARVA_ZERGLINGS:
        price = [2 * part for part in price]
    if not any(price):
        return ability
    return replace(ability, minerals=int(price[0]), vespene=int(price[1]), supply=price[2])


def equivalents(unit_type: int) -> Iterable[int]:
    """Return the unit types that meet a requirement of `unit_type`, itself first."""
    return (unit_type, *TECH_EQUIVALENTS.get(unit_type, ()))
