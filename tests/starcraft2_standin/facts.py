"""What units, abilities and upgrades are: the tables of data/ as plain records.

Times are game loops (22.4 a second at the speed "faster"), distances map cells, speeds cells per loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

DATA = Path(__file__).parent / "data"
LOOPS_PER_GAME_SECOND = 16.0

TERRAN, ZERG, PROTOSS = 1, 2, 3
NEUTRAL_OWNER = 16
RACE_NUMBERS = {"Neutral": 0, "Terran": TERRAN, "Zerg": ZERG, "Protoss": PROTOSS}

TOWN_HALLS = {TERRAN: 18, ZERG: 86, PROTOSS: 59}
WORKERS = {TERRAN: 45, ZERG: 104, PROTOSS: 84}
SUPPLIERS = {TERRAN: 19, ZERG: 106, PROTOSS: 60}
REFINERIES = {TERRAN: 20, ZERG: 88, PROTOSS: 61}
LARVA, EGG, QUEEN, MULE, PYLON, BANELING = 151, 103, 126, 268, 60, 9
MINERAL_FIELD, SMALL_MINERAL_FIELD, GEYSER, BEACON, SHARD = 341, 483, 342, 317, 1680
CREEP_RADIUS = {86: 12.0, 100: 12.0, 101: 12.0, 87: 10.0, 137: 10.0, 138: 10.0, 142: 8.0}
EGGS = {LARVA: EGG, 105: 8, 106: 128, 112: 113, 110: 687, 688: 687, 107: 501}
DETECTORS = {82, 1911, 129, 1912, 56, 23, 66, 98, 99}
PERMANENTLY_CLOAKED = {76, 82, 1911}

SMART, STOP, MOVE, PATROL, HOLD, SCAN_MOVE, ATTACK = 1, 4, 16, 17, 18, 19, 23
GATHER = {45: 295, 104: 1183, 84: 298, 268: 166}
RETURN = {45: 296, 104: 1184, 84: 299, 268: 167}
GENERAL_GATHER, GENERAL_RETURN = 3666, 3667


@dataclass(frozen=True, slots=True)
class Weapon:
    """One weapon: what it may hit ("Ground", "Air" or "Any"), and how hard."""

    target: str
    damage: float
    attacks: int
    range: float
    cooldown: int
    bonuses: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """One unit type."""

    id: int
    name: str
    race: int
    minerals: int
    vespene: int
    supply: float
    build_loops: int
    health: float
    shield: float
    energy: float
    start_energy: float
    armor: float
    radius: float
    sight: float
    speed: float
    cargo_size: int
    cargo_space: int
    power: float
    flags: frozenset[str]
    attributes: tuple[str, ...]
    aliases: tuple[int, ...]
    weapons: tuple[Weapon, ...]
    abilities: tuple[int, ...]
    structure: bool
    worker: bool
    town_hall: bool
    flying: bool
    mobile: bool


@dataclass(frozen=True, slots=True)
class AbilityFacts:
    """One ability: `kind` tells what it makes (Train, Morph, Build, Research, ...), `product` the id of that."""

    id: int
    link: str
    link_index: int
    button: str
    friendly: str
    general: int
    target: str
    minimap: bool
    autocast: bool
    cast_range: float
    energy: float
    kind: str
    product: int
    requires: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class UpgradeFacts:
    """One upgrade."""

    id: int
    name: str
    minerals: int
    vespene: int
    loops: int
    ability: int


def _rows(name: str) -> list[dict[str, str]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _weapon(text: str) -> Weapon:
    target, damage, attacks, reach, cooldown, *bonuses = text.split(",")
    pairs = tuple((bonus.split("+")[0], float(bonus.split("+")[1])) for bonus in bonuses)
    return Weapon(target, float(damage), int(attacks), float(reach), int(cooldown), pairs)


def _unit(row: dict[str, str]) -> UnitFacts:
    flags = frozenset(part for part in row["flags"].split(",") if part)
    floats = {n: float(row[n]) for n in ("supply", "health", "shield", "energy", "start_energy", "armor", "radius")}
    return UnitFacts(
        id=int(row["id"]),
        name=row["name"],
        race=RACE_NUMBERS[row["race"]],
        minerals=int(row["minerals"]),
        vespene=int(row["vespene"]),
        build_loops=int(float(row["build_loops"])),
        sight=float(row["sight"]),
        speed=float(row["speed"]) / LOOPS_PER_GAME_SECOND,
        cargo_size=int(row["cargo_size"]),
        cargo_space=int(float(row["cargo_space"])),
        power=float(row["power"]),
        flags=flags,
        attributes=tuple(part for part in row["attributes"].split(",") if part),
        aliases=_numbers(row["aliases"]),
        weapons=tuple(_weapon(text) for text in row["weapons"].split(";") if text),
        abilities=_numbers(row["abilities"]),
        structure="structure" in flags,
        worker="worker" in flags,
        town_hall="townhall" in flags,
        flying="flying" in flags,
        mobile=float(row["speed"]) > 0,
        **floats,
    )


def _ability(row: dict[str, str]) -> AbilityFacts:
    return AbilityFacts(
        id=int(row["id"]),
        link=row["link"],
        link_index=int(row["link_index"]),
        button=row["button"],
        friendly=row["friendly"],
        general=int(row["general"]),
        target=row["target"],
        minimap="m" in row["flags"],
        autocast="c" in row["flags"],
        cast_range=float(row["cast_range"]),
        energy=float(row["energy"]),
        kind=row["kind"],
        product=int(row["product"]),
        requires=tuple((part[0], int(part[1:])) for part in row["requires"].split(",") if part),
    )


def _upgrade(row: dict[str, str]) -> UpgradeFacts:
    return UpgradeFacts(
        int(row["id"]),
        row["name"],
        int(row["minerals"]),
        int(row["vespene"]),
        int(float(row["loops"])),
        int(row["ability"]),
    )


UNITS = {unit.id: unit for unit in map(_unit, _rows("units.tsv"))}
UNITS[BANELING] = replace(UNITS[BANELING], weapons=(Weapon("Ground", 16.0, 1, 0.25, 1, (("Light", 19.0),)),))
"""The tech tree knows no weapon of the baneling; these are its numbers as of 4.10."""
ABILITIES = {ability.id: ability for ability in map(_ability, _rows("abilities.tsv"))}
UPGRADES = {upgrade.id: upgrade for upgrade in map(_upgrade, _rows("upgrades.tsv"))}

VARIANTS: dict[int, tuple[int, ...]] = {}
"""General ability -> the specific ones that it stands for."""
for _item in ABILITIES.values():
    if _item.general:
        VARIANTS[_item.general] = (*VARIANTS.get(_item.general, ()), _item.id)

PRODUCING: dict[tuple[int, int], int] = {}
"""(maker's unit type, product's id) -> the ability; research products are negative."""
for _maker in UNITS.values():
    for _id in _maker.abilities:
        if _id in ABILITIES and ABILITIES[_id].product:
            _sign = -1 if ABILITIES[_id].kind == "Research" else 1
            PRODUCING.setdefault((_maker.id, _sign * ABILITIES[_id].product), _id)


def counts_as(unit_type: int, wanted: int) -> bool:
    """Return whether a unit of this type fulfils a requirement: the type itself or an alias of it."""
    return unit_type == wanted or wanted in UNITS[unit_type].aliases
