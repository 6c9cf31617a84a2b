"""What happens to units while nothing happens: shields and Zerg life come back, idleness is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facts import ABILITIES, LOOPS_PER_GAME_SECOND, PRODUCING, ZERG

if TYPE_CHECKING:
    from .world import World

QUIET_LOOPS = 160
"""Shields wait ten game seconds after the last hit."""
SHIELD_PER_SECOND, ZERG_LIFE_PER_SECOND = 2.0, 0.2734
MAKERS = {maker for (maker, _), ability in PRODUCING.items() if ABILITIES[ability].kind == "Train"}


def recover(world: World, loops: int) -> None:
    """Let units recover for so many loops, and add to the players' idle times."""
    seconds = loops / LOOPS_PER_GAME_SECOND
    for unit in world.units.values():
        player = world.players.get(unit.owner)
        if player is None or unit.done_at > world.loop:
            continue
        facts = unit.facts
        if unit.shield < facts.shield and world.loop - unit.under_attack_at > QUIET_LOOPS:
            unit.shield = min(facts.shield, unit.shield + SHIELD_PER_SECOND * seconds)
        if facts.race == ZERG and unit.health < facts.health:
            unit.health = min(facts.health, unit.health + ZERG_LIFE_PER_SECOND * seconds)
        if not unit.orders:
            if facts.worker:
                player.score.idle_worker_loops += loops
            elif facts.structure and unit.type in MAKERS:
                player.score.idle_production_loops += loops
