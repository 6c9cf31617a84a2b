"""The seven mini-games that ship with pysc2: their rules in short, with the map's own score as the reward.

They follow DeepMind's descriptions (pysc2's docs/mini_games.md); sizes and paces are the stand-in's own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from s2clientprotocol import sc2api_pb2 as sc_pb

from . import economy
from .facts import BEACON, NEUTRAL_OWNER, SHARD
from .unit import Player, Unit

if TYPE_CHECKING:
    from .world import World

ENEMY_OWNER = 2
MARINE, ROACH, ZERGLING, BANELING = 48, 110, 105, 9
TOUCH = 1.5
APART = 8.0
"""Cells between the two sides of a fight: within sight of each other."""
LOOPS_PER_SECOND = 22.4
SECONDS = {
    "MoveToBeacon": 120,
    "CollectMineralShards": 120,
    "DefeatRoaches": 120,
    "DefeatZerglingsAndBanelings": 120,
    "FindAndDefeatZerglings": 180,
    "CollectMineralsAndGas": 420,
    "BuildMarines": 900,
}


class MiniGame:
    """What all of them share: one player, a score, a time limit."""

    def __init__(self, name: str, world: World):
        self.world = world
        self.limit = int(SECONDS[name] * LOOPS_PER_SECOND)

    @property
    def player(self) -> Player:
        """The one player."""
        return next(iter(self.world.players.values()))

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the playable area."""
        x0, y0, x1, y1 = self.world.terrain.playable
        return (x0 + x1) / 2, (y0 + y1) / 2

    def start(self) -> None:
        """Put the first units on the map."""
        self.player.camera = self.player.start = self.middle
        self.begin()

    def begin(self) -> None:
        """Put the game's own units on the map."""

    def tick(self) -> None:
        """Look for what the rules reward; called every 8 loops."""
        self.judge()
        if self.world.loop >= self.limit:
            self.world.finish(dict.fromkeys(self.world.players, sc_pb.Tie))

    def judge(self) -> None:
        """Count points."""

    def killed(self, unit: Unit, player: Player | None) -> None:
        """Hear of a death."""

    def points(self) -> float:
        """Return the score that the map shows."""
        return self.player.score.curriculum

    def score(self, points: float) -> None:
        """Add to the score."""
        self.player.score.curriculum += points

    def spot(self, margin: float = 2.0) -> tuple[float, float]:
        """Return a random point of the playable area."""
        x0, y0, x1, y1 = self.world.terrain.playable
        random = self.world.random
        return random.uniform(x0 + margin, x1 - margin), random.uniform(y0 + margin, y1 - margin)

    def own(self, unit_type: int = MARINE) -> list[Unit]:
        """Return the player's units of a type, where they are now."""
        units = [unit for unit in self.world.of(self.player.id) if unit.type == unit_type]
        for unit in units:
            unit.locate(self.world.loop)
        return units

    def group(self, unit_type: int, owner: int, count: int, x: float, y: float) -> None:
        """Put a block of units on the map."""
        side = math.ceil(math.sqrt(count))
        for k in range(count):
            self.world.create(unit_type, owner, x + k % side - side / 2, y + k // side - side / 2)


class MoveToBeacon(MiniGame):
    """A marine reaches the beacon: one point, and the beacon moves."""

    def begin(self) -> None:
        """Put one marine and the beacon on the map."""
        self.world.create(MARINE, self.player.id, *self.spot())
        self._move_beacon()

    def _move_beacon(self) -> None:
        marine = self.own()[0]
        x, y = self.spot(3.0)
        while math.dist((x, y), (marine.x, marine.y)) < 6:
            x, y = self.spot(3.0)
        self.beacon = self.world.create(BEACON, NEUTRAL_OWNER, x, y)

    def judge(self) -> None:
        """Move the beacon when the marine stands on it."""
        for marine in self.own():
            if math.dist((marine.x, marine.y), (self.beacon.x, self.beacon.y)) <= self.beacon.facts.radius:
                self.score(1)
                self.world.remove(self.beacon)
                self._move_beacon()
                return


class CollectMineralShards(MiniGame):
    """Two marines run over 20 shards, a point each; then 20 new ones."""

    def begin(self) -> None:
        """Put marines and shards on the map."""
        self.group(MARINE, self.player.id, 2, *self.middle)
        self._scatter()

    def _scatter(self) -> None:
        for _ in range(20):
            self.world.create(SHARD, NEUTRAL_OWNER, *self.spot())

    def judge(self) -> None:
        """Collect the shards that a marine touches."""
        marines = self.own()
        for shard in list(self.world.neutrals):
            if any(math.dist((m.x, m.y), (shard.x, shard.y)) <= TOUCH for m in marines):
                self.world.remove(shard)
                self.score(1)
        if not self.world.neutrals:
            self._scatter()


class Fight(MiniGame):
    """Marines against waves; a point or more for a kill, one less for a marine lost."""

    marines = 9
    wave: tuple[tuple[int, int], ...] = ((ROACH, 4),)
    worth: float = 10.0
    reinforcements = 5

    def begin(self) -> None:
        """Put both sides on the map, in sight of each other."""
        self.left = self.world.random.random() < 0.5
        self._muster(self.marines)
        self._spawn()

    def _place(self, own: bool) -> tuple[float, float]:
        aside = 0.5 * APART if self.left == own else -0.5 * APART
        return self.middle[0] - aside, self.middle[1]

    def _muster(self, count: int) -> None:
        self.group(MARINE, self.player.id, count, *self._place(own=True))

    def _spawn(self) -> None:
        for unit_type, count in self.wave:
            self.group(unit_type, ENEMY_OWNER, count, *self._place(own=False))

    def killed(self, unit: Unit, player: Player | None) -> None:
        """Count the kill or the loss."""
        if unit.owner == ENEMY_OWNER:
            self.score(self.worth)
        elif unit.owner == self.player.id:
            self.score(-1)

    def judge(self) -> None:
        """Bring the next wave when one is beaten; the game ends with the last marine."""
        enemies = [unit for unit in self.world.units.values() if unit.owner == ENEMY_OWNER]
        marines = self.own()
        if not marines:
            self.world.finish(dict.fromkeys(self.world.players, sc_pb.Defeat))
        elif not enemies:
            self._muster(self.reinforcements)
            self._spawn()


class DefeatRoaches(Fight):
    """Nine marines against four roaches, ten points each."""


class DefeatZerglingsAndBanelings(Fight):
    """Nine marines against six zerglings and four banelings, five points each."""

    wave = ((ZERGLING, 6), (BANELING, 4))
    worth = 5.0
    reinforcements = 4


class FindAndDefeatZerglings(Fight):
    """Three marines look for zerglings in the fog, a point each."""

    marines = 3
    worth = 1.0
    reinforcements = 0

    def _place(self, own: bool) -> tuple[float, float]:
        return self.middle if own else self.spot()

    def _spawn(self) -> None:
        for _ in range(25):
            self.world.create(ZERGLING, ENEMY_OWNER, *self.spot())


class Harvest(MiniGame):
    """A Terran base; the score is what has been harvested."""

    def begin(self) -> None:
        """Put the base on the map."""
        economy.place_base(self.world, self.player, self.world.terrain.bases[0].position)

    def points(self) -> float:
        """Return minerals and vespene collected."""
        return self.player.score.collected_minerals + self.player.score.collected_vespene


class BuildMarines(Harvest):
    """A Terran base; a point for every marine made."""

    def points(self) -> float:
        """Return the marines alive: nothing kills them here."""
        return float(len(self.own()))


KINDS: dict[str, type[MiniGame]] = {
    "MoveToBeacon": MoveToBeacon,
    "CollectMineralShards": CollectMineralShards,
    "DefeatRoaches": DefeatRoaches,
    "DefeatZerglingsAndBanelings": DefeatZerglingsAndBanelings,
    "FindAndDefeatZerglings": FindAndDefeatZerglings,
    "CollectMineralsAndGas": Harvest,
    "BuildMarines": BuildMarines,
}


def make(name: str, world: World) -> MiniGame:
    """Return the rules of a mini-game."""
    return KINDS[name](name, world)
