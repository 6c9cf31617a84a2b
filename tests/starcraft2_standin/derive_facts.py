"""Write the tables under data/ from public descriptions of the game; run by hand, never by the stand-in.

    python -m tests.starcraft2_standin.derive_facts TECH_TREE.json RESPONSE_DATA.pb

The two inputs are the tech tree of https://github.com/BurnySc2/sc2-techtree (MIT) and a serialized `ResponseData` of
the game's own API. Only facts are kept: names, ids, costs, times, hit points, weapons, what makes what.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from s2clientprotocol import data_pb2, sc2api_pb2

DATA = Path(__file__).parent / "data"
NEUTRAL_HEALTH = {341: 500, 483: 500, 342: 10000, 149: 400, 317: 1, 1680: 1}
NEUTRAL_RADIUS = {341: 1.125, 483: 1.125, 342: 2.708, 149: 1.5, 317: 2.5, 1680: 0.375}
PREFIXES = {"upgrade": "u", "building": "b", "addon": "a", "addon_to": "a"}


def number(value: float) -> str:
    """Return a number without a needless ".0"."""
    return f"{value:.5g}"


def weapon_text(weapons: list[dict[str, Any]]) -> str:
    """Return weapons as target,damage,attacks,range,cooldown loops[,attribute+bonus], joined by semicolons."""
    rows = []
    for weapon in weapons:
        cooldown = max(1, round(weapon["cooldown"] * 16))
        bonuses = [f"{bonus['against']}+{number(bonus['damage'])}" for bonus in weapon["bonuses"]]
        fields = [weapon["target_type"], weapon["damage_per_hit"], weapon["attacks"], weapon["range"], cooldown]
        rows.append(",".join([f if isinstance(f, str) else number(f) for f in fields] + bonuses))
    return ";".join(rows)


def unit_row(fact: data_pb2.UnitTypeData, tree: dict[str, Any]) -> list[str]:
    """Return one row of units.tsv."""
    flags = [n for n in ("is_structure", "is_worker", "is_townhall", "is_flying", "is_addon") if tree.get(n)]
    flags += [n for n in ("accepts_addon", "needs_power", "needs_creep") if tree.get(n)]
    floats = [tree.get("supply", 0), fact.build_time, tree.get("max_health", NEUTRAL_HEALTH.get(fact.unit_id, 1))]
    floats += [tree.get(n, 0) for n in ("max_shield", "max_energy", "start_energy", "armor")]
    radius = tree.get("radius", NEUTRAL_RADIUS.get(fact.unit_id, 1))
    floats += [radius, tree.get("sight", 0), tree.get("speed", 0)]
    floats += [tree.get(n) or 0 for n in ("cargo_size", "cargo_capacity", "detection_range", "power_radius")]
    return [
        str(fact.unit_id),
        fact.name,
        tree.get("race", "Neutral"),
        str(fact.mineral_cost),
        str(fact.vespene_cost),
        *map(number, floats),
        ",".join(n.removeprefix("is_") for n in flags),
        ",".join(tree.get("attributes", [])),
        ",".join(str(alias) for alias in fact.tech_alias),
        weapon_text(tree.get("weapons", [])),
        ",".join(str(entry["ability"]) for entry in tree.get("abilities", [])),
    ]


def ability_requirements(units: list[dict[str, Any]]) -> dict[int, str]:
    """Return what an ability needs: b<unit> a building, a<unit> an add-on, u<upgrade> an upgrade."""
    needed: dict[int, str] = {}
    for unit in units:
        for entry in unit["abilities"]:
            for requirement in (entry.get("requirements") or [])[:1]:
                texts = [f"{PREFIXES[kind]}{value}" for kind, value in requirement.items() if kind != "addon_to"]
                if texts and requirement.get("upgrade") != 3:
                    needed[entry["ability"]] = ",".join(sorted(texts))
    return needed


def ability_row(fact: data_pb2.AbilityData, tree: dict[str, Any], requires: str) -> list[str]:
    """Return one row of abilities.tsv."""
    kind, product = "", 0
    if isinstance(tree.get("target"), dict):
        kind, values = next(iter(tree["target"].items()))
        product = values.get("produces") or values.get("upgrade") or 0
    return [
        str(fact.ability_id),
        fact.link_name,
        str(fact.link_index),
        fact.button_name,
        fact.friendly_name,
        str(fact.remaps_to_ability_id),
        data_pb2.AbilityData.Target.Name(fact.target),
        ("m" if fact.allow_minimap else "") + ("c" if fact.allow_autocast else ""),
        number(tree.get("cast_range", 0)),
        str(tree.get("energy_cost", 0)),
        kind,
        str(product),
        requires,
    ]


def write(name: str, header: str, rows: list[list[str]]) -> None:
    """Write one table."""
    lines = [header.replace(" ", "\t"), *("\t".join(row) for row in rows)]
    (DATA / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(tree_path: str, data_path: str, ability_ids: set[int]) -> None:
    """Write all tables."""
    tree = json.loads(Path(tree_path).read_text())
    data = sc2api_pb2.ResponseData.FromString(Path(data_path).read_bytes())
    units = {unit["id"]: unit for unit in tree["Unit"]}
    abilities = {ability["id"]: ability for ability in tree["Ability"]}
    requires = ability_requirements(tree["Unit"])
    kept = ability_ids | {entry["ability"] for unit in tree["Unit"] for entry in unit["abilities"]}
    unit_facts = [fact for fact in data.units if fact.unit_id in units or fact.unit_id in NEUTRAL_HEALTH]
    write(
        "units.tsv",
        "id name race minerals vespene supply build_loops health shield energy start_energy armor radius sight speed "
        "cargo_size cargo_space detection power flags attributes aliases weapons abilities",
        [unit_row(fact, units.get(fact.unit_id, {})) for fact in unit_facts],
    )
    kept |= {fact.remaps_to_ability_id for fact in data.abilities if fact.ability_id in kept}
    write(
        "abilities.tsv",
        "id link link_index button friendly general target flags cast_range energy kind product requires",
        [
            ability_row(fact, abilities.get(fact.ability_id, {}), requires.get(fact.ability_id, ""))
            for fact in data.abilities
            if fact.ability_id in kept
        ],
    )
    researched = {
        ability["target"]["Research"]["upgrade"] for ability in tree["Ability"] if "Research" in ability["target"]
    }
    write(
        "upgrades.tsv",
        "id name minerals vespene loops ability",
        [
            [
                str(u.upgrade_id),
                u.name,
                str(u.mineral_cost),
                str(u.vespene_cost),
                number(u.research_time),
                str(u.ability_id),
            ]
            for u in data.upgrades
            if u.upgrade_id in researched
        ],
    )


if __name__ == "__main__":
    from pysc2_evolved.lib import actions

    main(sys.argv[1], sys.argv[2], {function.ability_id for function in (*actions.RAW_FUNCTIONS, *actions.FUNCTIONS)})
