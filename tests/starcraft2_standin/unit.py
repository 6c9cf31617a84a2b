"""A unit and a player: what they remember. No rules here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .facts import ATTACK, UNITS, UnitFacts

Point = tuple[float, float]


@dataclass(slots=True)
class Order:
    """One entry of a unit's queue of orders. `start` and `end` bound work in progress, in game loops."""

    ability: int
    target: int = 0
    position: Point | None = None
    start: int = 0
    end: int = 0
    paid: tuple[int, int] = (0, 0)

    def progress(self, loop: int) -> float:
        """Return how far the work is, 0 to 1."""
        return min(1.0, (loop - self.start) / (self.end - self.start)) if self.end > self.start else 0.0


class Unit:
    """One unit. Positions of moving units follow from the leg they are on, so asking changes nothing."""

    __slots__ = (
        "addon", "alive", "assigned", "born", "buffs", "busy_until", "cargo", "carried", "carrier", "cloaked",
        "cooldown_until", "done_at", "energy", "energy_at", "engaged", "facing", "facts", "hallucination", "health",
        "host", "leg", "minerals", "mining", "morph", "orders", "owner", "rally", "ready_at", "selected", "shield",
        "tag", "token", "type", "under_attack_at", "vespene", "x", "y", "z",
    )  # fmt: skip

    def __init__(self, tag: int, unit_type: int, owner: int, x: float, y: float, z: float, loop: int):
        self.tag, self.owner, self.x, self.y, self.z, self.born = tag, owner, x, y, z, loop
        self.facing = 0.0
        self.orders: list[Order] = []
        self.leg: tuple[float, float, float, float, int, int, float, float] | None = None
        self.token = 0
        self.alive = True
        self.minerals = self.vespene = 0
        self.carried: tuple[int, int] = (0, 0)
        self.mining: tuple[int, int] | None = None
        self.busy_until = self.ready_at = self.cooldown_until = 0
        self.under_attack_at = -1000
        self.assigned = 0
        self.engaged = self.addon = self.host = self.carrier = 0
        self.cargo: list[int] = []
        self.morph: tuple[int, int, int] | None = None
        self.rally: tuple[Point, int] | None = None
        self.buffs: dict[int, tuple[int, int]] = {}
        self.selected = self.cloaked = self.hallucination = False
        self.done_at = loop
        self.become(unit_type)
        self.health, self.shield = self.facts.health, self.facts.shield
        self.energy, self.energy_at = self.facts.start_energy, loop

    def become(self, unit_type: int) -> None:
        """Take on a unit type; hit points are the caller's."""
        self.type = unit_type
        self.facts: UnitFacts = UNITS[unit_type]

    def finished(self, loop: int) -> bool:
        """Return whether the unit is built."""
        return loop >= self.done_at

    def build_progress(self, loop: int) -> float:
        """Return the part that is built, 0 to 1."""
        if loop >= self.done_at:
            return 1.0
        return (loop - self.born) / max(1, self.done_at - self.born)

    def energy_now(self, loop: int) -> float:
        """Return the energy, which regenerates at 0.5625 a game second (0.03515625 a loop)."""
        return min(self.facts.energy, self.energy + 0.03515625 * (loop - self.energy_at))

    def spend_energy(self, amount: float, loop: int) -> None:
        """Take energy away."""
        self.energy, self.energy_at = max(0.0, self.energy_now(loop) - amount), loop

    def locate(self, loop: int) -> Point:
        """Bring `x` and `y` up to this loop and return them."""
        if self.leg is not None:
            x0, y0, vx, vy, start, end, x1, y1 = self.leg
            if loop >= end:
                self.x, self.y, self.leg = x1, y1, None
            else:
                self.x, self.y = x0 + vx * (loop - start), y0 + vy * (loop - start)
        return self.x, self.y

    def go(self, x: float, y: float, loop: int, speed: float, stop_short: float = 0.0) -> int:
        """Start towards a point, stop that far before it, and return the loops until arrival (0: there already)."""
        self.locate(loop)
        dx, dy = x - self.x, y - self.y
        distance = math.hypot(dx, dy)
        length = distance - stop_short
        if length <= 1e-6:
            self.leg = None
            return 0
        self.facing = math.atan2(dy, dx) % (2 * math.pi)
        loops = max(1, math.ceil(length / speed))
        part = length / distance
        x1, y1 = (x, y) if stop_short == 0.0 else (self.x + dx * part, self.y + dy * part)
        self.leg = (self.x, self.y, dx / distance * speed, dy / distance * speed, loop, loop + loops, x1, y1)
        return loops

    def halt(self, loop: int) -> None:
        """Stop moving."""
        self.locate(loop)
        self.leg = None

    def attacks(self, other: Unit) -> bool:
        """Return whether one of the unit's weapons reaches that kind of unit."""
        wanted = ("Any", "Air") if other.facts.flying else ("Any", "Ground")
        return any(weapon.target in wanted for weapon in self.facts.weapons)

    def idle_or_attacking(self) -> bool:
        """Return whether the unit picks targets by itself: idle, or on its way with an attack order."""
        return not self.orders or (self.orders[0].ability == ATTACK and not self.orders[0].target)


@dataclass(slots=True)
class Score:
    """The running sums behind the score of the game's API."""

    idle_production_loops: int = 0
    idle_worker_loops: int = 0
    killed_units: float = 0.0
    killed_structures: float = 0.0
    collected_minerals: float = 0.0
    collected_vespene: float = 0.0
    spent_minerals: float = 0.0
    spent_vespene: float = 0.0
    killed: dict[str, list[float]] = field(default_factory=dict)
    lost: dict[str, list[float]] = field(default_factory=dict)
    damage_dealt: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    damage_taken: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    curriculum: float = 0.0


@dataclass(slots=True, eq=False)
class Player:
    """One player: who plays, what is owned and known."""

    id: int
    race: int
    race_requested: int
    human: bool
    name: str = ""
    difficulty: int = 0
    ai_build: int = 0
    minerals: float = 50.0
    vespene: float = 0.0
    upgrades: set[int] = field(default_factory=set)
    researching: set[int] = field(default_factory=set)
    camera: Point = (0.0, 0.0)
    start: Point = (0.0, 0.0)
    result: int = 0
    score: Score = field(default_factory=Score)
    visibility: NDArray[np.uint8] | None = None
    detected: NDArray[np.bool_] | None = None
    snapshots: dict[int, Unit] = field(default_factory=dict)
    alerts: list[int] = field(default_factory=list)
    errors: list[tuple[int, int, int]] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    echoes: list[tuple[int, bytes]] = field(default_factory=list)
    groups: dict[int, list[int]] = field(default_factory=dict)
    gods: bool = False
    memory: dict[str, float] = field(default_factory=dict)
