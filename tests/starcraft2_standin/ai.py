"""The scripted opponent in ten strengths: how much it builds, how fast it thinks, when it attacks.

It stands for the game's built-in AI in tests and has nothing to do with how that one plays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2clientprotocol import error_pb2

from . import commands, economy
from .facts import ATTACK, GATHER, LARVA, PRODUCING, REFINERIES, SUPPLIERS, TERRAN, TOWN_HALLS, UNITS, WORKERS, ZERG
from .unit import Player, Unit

if TYPE_CHECKING:
    from .world import World

RUSH, TIMING, MACRO = 2, 3, 5
SUPPLY_LIMIT = 190.0
HOME, SCOUTS = 14.0, 2
"""Cells around the start that count as home; so many intruders are only scouts."""


@dataclass(frozen=True)
class Strength:
    """What a difficulty allows the script."""

    think_every: int
    """Game loops between two decisions (a multiple of 8)."""
    workers: int
    bases: int
    barracks: int
    first_wave: int
    """Army units before the first attack; later waves are larger."""
    gas: int
    drafts_workers: bool
    """Whether workers defend against more than a scout or two."""
    income: float
    """Minerals (and a third of it vespene) given for nothing per decision."""


STRENGTHS = {
    1: Strength(320, 12, 1, 1, 4, 0, False, 0.0),
    2: Strength(224, 13, 1, 1, 5, 0, False, 0.0),
    3: Strength(160, 15, 1, 2, 6, 0, False, 0.0),
    4: Strength(112, 18, 1, 2, 8, 0, True, 0.0),
    5: Strength(80, 20, 1, 3, 10, 0, True, 0.0),
    6: Strength(56, 22, 1, 4, 12, 0, True, 0.0),
    7: Strength(32, 22, 1, 5, 14, 1, True, 0.0),
    8: Strength(16, 30, 2, 7, 16, 1, True, 1.0),
    9: Strength(8, 36, 2, 9, 18, 1, True, 3.0),
    10: Strength(8, 44, 3, 12, 20, 2, True, 8.0),
}

MAKERS = {1: 21, 2: 89, 3: 62}
"""Race -> barracks, spawning pool, gateway."""
SECOND_TECH = {1: 27, 2: 97, 3: 72}
"""Race -> factory, roach warren, cybernetics core."""
ARMY = {1: (48,), 2: (110, 105), 3: (73, 74)}
"""Race -> army units, the preferred first."""


def think(world: World, player: Player) -> None:
    """Let a scripted player decide, when it is its turn."""
    strength = STRENGTHS[min(10, max(1, player.difficulty or 1))]
    if world.loop % strength.think_every:
        return
    player.alerts.clear()
    player.errors.clear()
    player.minerals += strength.income
    player.vespene += strength.income / 3
    units = [unit for unit in world.units.values() if unit.owner == player.id]
    workers = [unit for unit in units if unit.facts.worker]
    halls = [unit for unit in units if unit.facts.town_hall and unit.finished(world.loop)]
    if not halls and not workers:
        return
    for worker in workers:
        if not worker.orders:
            economy.send_to_mine(world, worker)
    _supply(world, player, units, workers, halls)
    army = army_of(units)
    if player.race == ZERG and 2 * len(army) < len(workers):
        _train_army(world, player, strength, units)
    _train_workers(world, player, strength, units, workers, halls)
    _train_army(world, player, strength, units)
    _grow(world, player, strength, units, workers, army)
    _wave(world, player, strength, units)


def _make(world: World, player: Player, makers: list[Unit], product: int) -> bool:
    """Let the first free maker make a unit."""
    for maker in makers:
        ability = PRODUCING.get((maker.type, product))
        if ability is None or len(maker.orders) >= 2:
            continue
        if commands.command(world, player.id, ability, [maker.tag]) == error_pb2.Success:
            return True
    return False


def _build(world: World, player: Player, workers: list[Unit], product: int, spread: float) -> bool:
    """Send a worker to build a structure somewhere around the main base."""
    facts = UNITS[product]
    if player.minerals < facts.minerals - 50 or player.vespene < facts.vespene or not workers:
        return False
    builder = next((w for w in workers if economy.is_gathering(w) and not any(w.carried)), workers[0])
    ability = PRODUCING.get((builder.type, product))
    if ability is None:
        return False
    for _ in range(6):
        x = player.start[0] + world.random.uniform(-spread, spread)
        y = player.start[1] + world.random.uniform(-spread, spread)
        place = (round(x) + 0.5, round(y) + 0.5)
        if commands.command(world, player.id, ability, [builder.tag], place) == error_pb2.Success:
            return True
    return False


def _supply(world: World, player: Player, units: list[Unit], workers: list[Unit], halls: list[Unit]) -> None:
    used, cap, _, _ = world.supply(player.id)
    if cap - used > 3 + 0.1 * used or cap >= SUPPLY_LIMIT:
        return
    product = SUPPLIERS[player.race]
    if player.race == ZERG:
        if sum(unit.morph is not None and unit.morph[0] == product for unit in units) < 2:
            _make(world, player, [unit for unit in units if unit.type == LARVA], product)
    elif not any(unit.type == product and unit.done_at > world.loop for unit in units) and not _walking(
        workers, product
    ):
        _build(world, player, workers, product, 11.0)


def _walking(workers: list[Unit], product: int) -> int:
    """Return how many workers are on their way to build a structure."""
    return sum(
        PRODUCING.get((worker.type, product)) == order.ability and not order.end
        for worker in workers
        for order in worker.orders
    )


def _train_workers(
    world: World, player: Player, strength: Strength, units: list[Unit], workers: list[Unit], halls: list[Unit]
) -> None:
    product = WORKERS[player.race]
    if len(workers) >= min(strength.workers, 22 * max(1, len(halls))):
        return
    if player.race == ZERG:
        _make(world, player, [unit for unit in units if unit.type == LARVA], product)
    else:
        _make(world, player, [hall for hall in halls if not hall.orders], product)


def _grow(
    world: World, player: Player, strength: Strength, units: list[Unit], workers: list[Unit], army: list[Unit]
) -> None:
    """Add production, tech, gas and bases."""
    maker, tech = MAKERS[player.race], SECOND_TECH[player.race]
    have = sum(unit.type == maker for unit in units) + _walking(workers, maker)
    wanted = 1 if player.race == ZERG else strength.barracks
    if have == 0:
        _build(world, player, workers, maker, 9.0)
        return
    if have < min(wanted, 1 + len(workers) // 5 + int(player.minerals // 300)) and player.minerals >= 150:
        _build(world, player, workers, maker, 12.0)
    refineries = sum(unit.type == REFINERIES[player.race] for unit in units)
    wanted_gas = 0 if player.race == TERRAN else strength.gas
    if refineries + _walking(workers, REFINERIES[player.race]) < wanted_gas:
        _take_gas(world, player, units, workers)
    _man_gas(world, player, units, workers)
    all_halls = sum(unit.facts.town_hall for unit in units) + _walking(workers, TOWN_HALLS[player.race])
    ready = len(workers) > 14 * all_halls and len(army) > 6
    if ready and all_halls < strength.bases and player.minerals >= 350:
        _expand(world, player, workers)
    elif wanted_gas and not any(unit.type == tech for unit in units) and not _walking(workers, tech):
        _build(world, player, workers, tech, 9.0)


def _take_gas(world: World, player: Player, units: list[Unit], workers: list[Unit]) -> None:
    halls = [unit for unit in units if unit.facts.town_hall]
    free = [u for u in world.neutrals if u.vespene and not any(v.host == u.tag for v in units)]
    near = [u for u in free if any(abs(u.x - h.x) < 10 and abs(u.y - h.y) < 10 for h in halls)]
    if near and workers and player.minerals >= 75:
        ability = PRODUCING[(workers[0].type, REFINERIES[player.race])]
        commands.command(world, player.id, ability, [workers[0].tag], target_tag=near[0].tag)


def _man_gas(world: World, player: Player, units: list[Unit], workers: list[Unit]) -> None:
    for refinery in units:
        if refinery.type == REFINERIES[player.race] and refinery.finished(world.loop) and refinery.assigned < 3:
            free = [w for w in workers if economy.is_gathering(w) and not any(w.carried) and w.mining is None]
            free = [w for w in free if w.orders[0].target != refinery.tag]
            for worker in free[: 3 - refinery.assigned]:
                commands.command(world, player.id, GATHER[worker.type], [worker.tag], target_tag=refinery.tag)


def _expand(world: World, player: Player, workers: list[Unit]) -> None:
    ability = PRODUCING[(workers[0].type, TOWN_HALLS[player.race])]
    bases = sorted(
        world.terrain.bases,
        key=lambda base: abs(base.position[0] - player.start[0]) + abs(base.position[1] - player.start[1]),
    )
    for base in bases:
        if commands.command(world, player.id, ability, [workers[-1].tag], base.position) == error_pb2.Success:
            return


def _train_army(world: World, player: Player, strength: Strength, units: list[Unit]) -> None:
    makers = [unit for unit in units if unit.type == MAKERS[player.race]]
    if player.race == ZERG:
        makers = [unit for unit in units if unit.type == LARVA][: strength.barracks]
    for maker in makers:
        for product in ARMY[player.race]:
            if _make(world, player, [maker], product):
                break


def army_of(units: list[Unit]) -> list[Unit]:
    """Return the units that fight."""
    return [u for u in units if u.facts.weapons and u.facts.mobile and not u.facts.worker and not u.facts.structure]


def _wave(world: World, player: Player, strength: Strength, units: list[Unit]) -> None:
    """Attack when the army is large enough, and call it back to the fight at home."""
    army = army_of(units)
    size = strength.first_wave * {RUSH: 0.6, TIMING: 1.0, MACRO: 1.4}.get(player.ai_build, 1.0)
    size *= 1.0 + 0.25 * player.memory.get("waves", 0.0)
    enemies = [unit for unit in world.units.values() if unit.owner in world.players and unit.owner != player.id]
    home = player.start
    intruders = [e for e in enemies if abs(e.x - home[0]) < HOME and abs(e.y - home[1]) < HOME and e.facts.weapons]
    idle = [unit for unit in army if not unit.orders and not unit.engaged]
    if intruders:
        defenders = list(idle)
        if strength.drafts_workers and len(army) < len(intruders) and len(intruders) > SCOUTS:
            miners = [unit for unit in units if unit.facts.worker and economy.is_gathering(unit)]
            drafted = sum(u.facts.worker and bool(u.orders) and u.orders[0].ability == ATTACK for u in units)
            defenders += miners[: max(0, len(intruders) + 2 - drafted)]
        place = (intruders[0].x, intruders[0].y)
        commands.command(world, player.id, ATTACK, [unit.tag for unit in defenders], place)
    elif len(idle) >= min(40.0, size):
        structures = [unit for unit in enemies if unit.facts.structure]
        if structures:
            aim = min(structures, key=lambda u: abs(u.x - idle[0].x) + abs(u.y - idle[0].y))
            player.memory["waves"] = player.memory.get("waves", 0.0) + 1.0
            commands.command(world, player.id, ATTACK, [u.tag for u in idle], (aim.x, aim.y))
