"""The score message of an observation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2clientprotocol import score_pb2

from .combat import category
from .unit import Player, Score

if TYPE_CHECKING:
    from .world import World

LOOPS_PER_MINUTE = 960
CATEGORIES = ("army", "economy", "technology")


def build(world: World, player: Player) -> score_pb2.Score:
    """Return a player's score: the mini-game's own points, or the melee sum."""
    sums = player.score
    used_minerals = dict.fromkeys(CATEGORIES, 0.0)
    used_vespene = dict.fromkeys(CATEGORIES, 0.0)
    food = dict.fromkeys(CATEGORIES, 0.0)
    values = [0.0, 0.0]
    for unit in world.units.values():
        if unit.owner == player.id and not unit.hallucination:
            facts = unit.facts
            kind = category(unit)
            used_minerals[kind] += facts.minerals
            used_vespene[kind] += facts.vespene
            food[kind] += max(0.0, facts.supply)
            values[facts.structure] += facts.minerals + facts.vespene
    killed = sums.killed_units + sums.killed_structures
    melee = values[0] + values[1] + player.minerals + player.vespene + killed
    mini_game = world.mini_game
    message = score_pb2.Score(
        score_type=score_pb2.Score.Curriculum if mini_game is not None else score_pb2.Score.Melee,
        score=int(mini_game.points() if mini_game is not None else melee),
    )
    details = message.score_details
    _add_sums(details, sums, world.loop)
    details.total_value_units, details.total_value_structures = values
    for name in CATEGORIES:
        setattr(details.used_minerals, name, used_minerals[name])
        setattr(details.used_vespene, name, used_vespene[name])
        setattr(details.food_used, name, food[name])
        lost = sums.lost.get(name, (0.0, 0.0))
        setattr(details.total_used_minerals, name, used_minerals[name] + lost[0])
        setattr(details.total_used_vespene, name, used_vespene[name] + lost[1])
    return message


def _add_sums(details: score_pb2.ScoreDetails, sums: Score, loop: int) -> None:
    """Add what a player's running sums tell."""
    details.killed_value_units, details.killed_value_structures = sums.killed_units, sums.killed_structures
    details.collected_minerals, details.collected_vespene = sums.collected_minerals, sums.collected_vespene
    details.spent_minerals, details.spent_vespene = sums.spent_minerals, sums.spent_vespene
    details.idle_production_time = sums.idle_production_loops / 16
    details.idle_worker_time = sums.idle_worker_loops / 16
    minutes = max(1.0, loop / LOOPS_PER_MINUTE)
    details.collection_rate_minerals = sums.collected_minerals / minutes
    details.collection_rate_vespene = sums.collected_vespene / minutes
    for name in CATEGORIES:
        for kind, totals in (("killed", sums.killed), ("lost", sums.lost)):
            minerals, vespene = totals.get(name, (0.0, 0.0))
            setattr(getattr(details, f"{kind}_minerals"), name, minerals)
            setattr(getattr(details, f"{kind}_vespene"), name, vespene)
    for vital, dealt, taken in zip(("life", "shields", "energy"), sums.damage_dealt, sums.damage_taken, strict=True):
        setattr(details.total_damage_dealt, vital, dealt)
        setattr(details.total_damage_taken, vital, taken)
        setattr(details.total_healed, vital, 0.0)
