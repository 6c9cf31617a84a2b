"""The toy game: units, players and the clock. All that happens is an event; chance comes from one seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from s2clientprotocol import sc2api_pb2 as sc_pb

from . import ai, combat, economy, mini_games, orders, recovery, vision
from .facts import GEYSER, MINERAL_FIELD, NEUTRAL_OWNER, PERMANENTLY_CLOAKED, SMALL_MINERAL_FIELD, UNITS
from .terrain import MINI_GAMES, Terrain, generate
from .unit import Order, Player, Unit

ACQUIRE_EVERY, SIGHT_EVERY, END_EVERY = 8, 16, 32
SUPPLY_LIMIT = 200.0


class World:
    """One running game.

    Args:
        map_name: name of the map without folder and ending.
        players: the players, ids 1 and up; random races are drawn here.
        seed: everything random follows from it.
    """

    def __init__(self, map_name: str, players: list[Player], seed: int):
        self.terrain: Terrain = generate(map_name)
        self.random = random.Random(seed)
        self.loop = 0
        self.ended = False
        self.units: dict[int, Unit] = {}
        self.neutrals: list[Unit] = []
        self.players = {player.id: player for player in players}
        self.effects: list[tuple[int, int, float, float, float, int]] = []
        self.pending: list[tuple[int, int, int, Callable[[], None]]] = []
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0
        self._tags = 0
        self.creep = np.zeros((self.terrain.height, self.terrain.width), np.uint8)
        self.creep_sources: set[tuple[int, int, int]] = set()
        self.mini_game = mini_games.make(map_name, self) if map_name in MINI_GAMES else None
        for player in players:
            shape = (self.terrain.height, self.terrain.width)
            player.visibility = np.zeros(shape, np.uint8)
            player.detected = np.zeros(shape, np.bool_)
            if player.race not in (1, 2, 3):
                player.race = self.random.choice((1, 2, 3))
        self._place_resources()
        if self.mini_game is not None:
            self.mini_game.start()
        else:
            economy.place_starts(self)
        vision.look(self)

    def _place_resources(self) -> None:
        for base in self.terrain.bases:
            for kind, x, y in base.resources:
                unit = self.create(kind, NEUTRAL_OWNER, x, y)
                unit.minerals = {MINERAL_FIELD: 1800, SMALL_MINERAL_FIELD: 900}.get(kind, 0)
                unit.vespene = 2250 if kind == GEYSER else 0

    def create(self, unit_type: int, owner: int, x: float, y: float, build_loops: int = 0) -> Unit:
        """Return a new unit; with build loops it starts at a tenth of its hit points and grows."""
        self._tags += 1
        x, y = self.terrain.clamp(x, y)
        z = self.terrain.ground(x, y) + (3.75 if UNITS[unit_type].flying else 0.0)
        unit = Unit((1 << 32) + (self._tags << 18) + 1, unit_type, owner, x, y, z, self.loop)
        unit.cloaked = unit_type in PERMANENTLY_CLOAKED and not build_loops
        self.units[unit.tag] = unit
        if owner == NEUTRAL_OWNER:
            self.neutrals.append(unit)
        if build_loops:
            unit.done_at = self.loop + build_loops
            unit.health, unit.shield = max(1.0, unit.health * 0.1), unit.shield * 0.1
        return unit

    def remove(self, unit: Unit) -> None:
        """Take a unit off the map, with everything that hangs on it."""
        unit.alive = False
        self.units.pop(unit.tag, None)
        if unit.owner == NEUTRAL_OWNER:
            self.neutrals.remove(unit)
        for tag in unit.cargo:
            passenger = self.units.get(tag)
            if passenger is not None:
                self.remove(passenger)
        for player in self.players.values():
            if player.human:
                player.dead.append(unit.tag)

    def of(self, player_id: int) -> Iterator[Unit]:
        """Return the units of a player."""
        return (unit for unit in list(self.units.values()) if unit.owner == player_id)

    def schedule(self, delay: int, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function so many loops from now (at least one)."""
        self._sequence += 1
        heapq.heappush(self._events, (self.loop + max(1, delay), self._sequence, function, arguments))

    def wake(self, unit: Unit, delay: int) -> None:
        """Let a unit go on with its orders so many loops from now; replaces an earlier wake-up."""
        unit.token += 1
        self.schedule(delay, self._awake, unit, unit.token)

    def _awake(self, unit: Unit, token: int) -> None:
        if unit.alive and unit.token == token:
            orders.advance(self, unit)

    def give(self, unit: Unit, order: Order, queue: bool) -> None:
        """Give a unit an order, at the end of its queue or instead of it."""
        if queue and unit.orders:
            if len(unit.orders) < 8:
                unit.orders.append(order)
            return
        economy.release(self, unit)
        unit.orders = [order]
        unit.engaged = 0
        orders.advance(self, unit)

    def later(self, loop: int, rank: int, action: Callable[[], None]) -> None:
        """Run a player's action at the start of the tick that leaves this loop, those of the same loop by rank."""
        self._sequence += 1
        heapq.heappush(self.pending, (loop, rank, self._sequence, action))

    def supply(self, player_id: int) -> tuple[float, float, float, float]:
        """Return the supply used, its cap, and the parts used by workers and by the army."""
        cap = workers = army = making = 0.0
        for unit in self.units.values():
            if unit.owner != player_id or unit.hallucination:
                continue
            need = unit.facts.supply
            if need < 0:
                cap -= need if self.loop >= unit.done_at else 0
            elif unit.facts.worker:
                workers += need
            else:
                army += need
            making += orders.supply_in_production(unit)
        return workers + army + making, min(SUPPLY_LIMIT, cap), workers, army

    def step(self, loops: int) -> None:
        """Advance so many loops, or to the end of the game."""
        target = self.loop + loops
        while self.loop < target and not self.ended:
            while self.pending and self.pending[0][0] <= self.loop:
                heapq.heappop(self.pending)[3]()
            self.loop = min(target, self._next_loop())
            self._tick()

    def _next_loop(self) -> int:
        """Return the next loop at which anything happens."""
        following = self.loop - self.loop % ACQUIRE_EVERY + ACQUIRE_EVERY
        if self._events:
            following = min(following, self._events[0][0])
        if self.pending:
            following = min(following, max(self.loop + 1, self.pending[0][0]))
        return max(self.loop + 1, following)

    def _tick(self) -> None:
        while self._events and self._events[0][0] <= self.loop:
            _, _, function, arguments = heapq.heappop(self._events)
            function(*arguments)
        if self.loop % ACQUIRE_EVERY == 0:
            combat.acquire(self)
            if self.mini_game is not None:
                self.mini_game.tick()
            else:
                for player in self.players.values():
                    if not player.human:
                        ai.think(self, player)
        if self.loop % SIGHT_EVERY == 0:
            recovery.recover(self, SIGHT_EVERY)
            vision.look(self)
        if self.loop % END_EVERY == 0 and self.mini_game is None:
            self._eliminate()

    def _eliminate(self) -> None:
        """End the game when a player has no structure left."""
        alive = {unit.owner for unit in self.units.values() if unit.facts.structure}
        lost = [player for player in self.players if player not in alive]
        if lost and len(self.players) > 1:
            tie = len(lost) == len(self.players)
            self.finish({p: sc_pb.Tie if tie else sc_pb.Defeat if p in lost else sc_pb.Victory for p in self.players})

    def finish(self, results: dict[int, int]) -> None:
        """End the game with these results."""
        self.ended = True
        for player_id, result in results.items():
            self.players[player_id].result = result
