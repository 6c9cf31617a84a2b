"""The answer to a data request: the tables as protobufs."""

from __future__ import annotations

from functools import lru_cache

from s2clientprotocol import common_pb2, data_pb2
from s2clientprotocol import sc2api_pb2 as sc_pb

from .facts import ABILITIES, GEYSER, MINERAL_FIELD, PRODUCING, SMALL_MINERAL_FIELD, UNITS, UPGRADES, UnitFacts

BUFFS = {
    5: "GravitonBeam", 18: "GuardianShield", 24: "StimpackMarauder", 27: "Stimpack", 271: "CarryMineralFieldMinerals",
    273: "CarryHarvestableVespeneGeyserGas", 274: "CarryHarvestableVespeneGeyserGasProtoss",
    275: "CarryHarvestableVespeneGeyserGasZerg", 281: "ChronoBoostEnergyCost",
}  # fmt: skip
EFFECTS = {1: ("PsiStormPersistent", 1.5), 2: ("GuardianShieldPersistent", 4.5)}


def build(request: sc_pb.RequestData) -> bytes:
    """Return a serialized ResponseData with the tables that were asked for."""
    wanted = (request.ability_id, request.unit_type_id, request.upgrade_id, request.buff_id, request.effect_id)
    return _build(wanted)


@lru_cache(maxsize=8)
def _build(wanted: tuple[bool, ...]) -> bytes:
    answer = sc_pb.ResponseData()
    abilities, units, upgrades, buffs, effects = wanted
    if abilities:
        _add_abilities(answer)
    if units:
        for unit in UNITS.values():
            _add_unit(answer.units.add(), unit)
    if upgrades:
        for upgrade in UPGRADES.values():
            answer.upgrades.add(
                upgrade_id=upgrade.id,
                name=upgrade.name,
                mineral_cost=upgrade.minerals,
                vespene_cost=upgrade.vespene,
                research_time=upgrade.loops,
                ability_id=upgrade.ability,
            )
    if buffs:
        for buff, name in BUFFS.items():
            answer.buffs.add(buff_id=buff, name=name)
    if effects:
        for effect, (name, radius) in EFFECTS.items():
            answer.effects.add(effect_id=effect, name=name, friendly_name=name, radius=radius)
    return answer.SerializeToString()


def _add_abilities(answer: sc_pb.ResponseData) -> None:
    for ability in ABILITIES.values():
        answer.abilities.add(
            ability_id=ability.id,
            link_name=ability.link,
            link_index=ability.link_index,
            button_name=ability.button,
            friendly_name=ability.friendly,
            remaps_to_ability_id=ability.general,
            available=bool(ability.link),
            target=data_pb2.AbilityData.Target.Value(ability.target),
            allow_minimap=ability.minimap,
            allow_autocast=ability.autocast,
            is_building=ability.kind in ("Build", "BuildOnUnit"),
            is_instant_placement=ability.kind == "BuildInstant",
            cast_range=ability.cast_range,
        )


def _add_unit(message: data_pb2.UnitTypeData, unit: UnitFacts) -> None:
    message.unit_id, message.name, message.available = unit.id, unit.name, True
    message.mineral_cost, message.vespene_cost = unit.minerals, unit.vespene
    message.food_required, message.food_provided = max(0.0, unit.supply), max(0.0, -unit.supply)
    message.cargo_size, message.build_time = unit.cargo_size, unit.build_loops
    message.race = unit.race or common_pb2.NoRace
    message.sight_range, message.movement_speed, message.armor = unit.sight, unit.speed * 16, unit.armor
    message.has_minerals = unit.id in (MINERAL_FIELD, SMALL_MINERAL_FIELD)
    message.has_vespene = unit.id == GEYSER
    message.tech_alias.extend(unit.aliases)
    message.attributes.extend(data_pb2.Attribute.Value(name) for name in unit.attributes)
    maker = next((ability for (_, product), ability in PRODUCING.items() if product == unit.id), 0)
    message.ability_id = maker
    if maker:
        requirements = dict(ABILITIES[maker].requires)
        message.tech_requirement = requirements.get("b", 0)
        message.require_attached = "a" in requirements
    for weapon in unit.weapons:
        added = message.weapons.add(damage=weapon.damage, attacks=weapon.attacks, range=weapon.range)
        added.type, added.speed = data_pb2.Weapon.TargetType.Value(weapon.target), weapon.cooldown / 16
        for attribute, bonus in weapon.bonuses:
            added.damage_bonus.add(attribute=data_pb2.Attribute.Value(attribute), bonus=bonus)
