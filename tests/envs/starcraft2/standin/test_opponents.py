from __future__ import annotations

import itertools
import math

import pytest

from tests.starcraft2_standin import commands
from tests.starcraft2_standin.ai import STRENGTHS
from tests.starcraft2_standin.facts import ATTACK, MOVE
from tests.starcraft2_standin.mini_games import KINDS
from tests.starcraft2_standin.terrain import MINI_GAMES, generate
from tests.starcraft2_standin.unit import Player
from tests.starcraft2_standin.world import World


def match(first: int, second: int, race: int, seed: int, loops: int = 24000) -> int | None:
    """Let two scripts play; return the winner's player id."""
    players = [Player(k, race, race, False, difficulty=d) for k, d in ((1, first), (2, second))]
    world = World("Simple64", players, seed)
    world.step(loops)
    return next((player.id for player in players if player.result == 1), None)


@pytest.mark.parametrize("race", [1, 2, 3])
def test_the_strongest_beats_the_weakest_from_either_corner(race: int) -> None:
    assert match(10, 1, race, seed=race) == 1
    assert match(1, 10, race, seed=race + 10) == 2


def test_strengths_rise() -> None:
    steps = [(s.income, -s.think_every, s.workers, s.barracks) for s in STRENGTHS.values()]
    assert sorted(STRENGTHS) == list(range(1, 11))
    assert all(a[1] <= b[1] and a[2] <= b[2] and a[3] <= b[3] for a, b in itertools.pairwise(steps))


def test_a_player_that_does_nothing_is_beaten_by_the_weakest() -> None:
    players = [Player(1, 1, 1, True), Player(2, 1, 1, False, difficulty=1)]
    world = World("Simple64", players, 5)
    world.step(28800)
    assert players[1].result == 1


def test_a_marine_that_walks_to_the_beacon_scores() -> None:
    world = World("MoveToBeacon", [Player(1, 1, 1, True)], 1)
    for _ in range(60):
        marine = next(u for u in world.of(1))
        beacon = world.neutrals[0]
        commands.command(world, 1, MOVE, [marine.tag], (beacon.x, beacon.y))
        world.step(16)
    assert world.mini_game is not None
    assert world.mini_game.points() >= 4
    world.step(3000)
    assert world.ended
    assert world.loop == 2688


def test_running_over_shards_collects_them() -> None:
    world = World("CollectMineralShards", [Player(1, 1, 1, True)], 2)
    assert len(world.neutrals) == 20
    for _ in range(160):
        for marine, shard in zip(list(world.of(1)), world.neutrals[:2], strict=False):
            commands.command(world, 1, MOVE, [marine.tag], (shard.x, shard.y))
        world.step(16)
    assert world.mini_game is not None
    assert world.mini_game.points() > 20, "a second field of shards came"


@pytest.mark.parametrize(("name", "kill"), [("DefeatRoaches", 10), ("DefeatZerglingsAndBanelings", 5)])
def test_kills_and_losses_are_scored(name: str, kill: int) -> None:
    world = World(name, [Player(1, 1, 1, True)], 3)
    owners = {}
    enemies = [u for u in world.units.values() if u.owner == 2]
    commands.command(world, 1, ATTACK, [u.tag for u in world.of(1)], (enemies[0].x, enemies[0].y))
    for _ in range(30):
        owners.update({u.tag: u.owner for u in world.units.values()})
        world.step(1)
        owners.update({u.tag: u.owner for u in world.units.values()})
        world.step(5)
    dead = [owners[tag] for tag in world.players[1].dead]
    assert 2 in dead
    assert world.mini_game is not None
    assert world.mini_game.points() == kill * dead.count(2) - dead.count(1)


@pytest.mark.parametrize("name", MINI_GAMES)
def test_every_mini_game_runs_to_its_time_limit_at_most(name: str) -> None:
    world = World(name, [Player(1, 1, 1, True)], 4)
    world.step(25000)
    assert world.ended
    assert sorted(KINDS) == sorted(MINI_GAMES)


@pytest.mark.parametrize("name", ["Flat32", "Simple64", "Flat128", "KairosJunctionLE", "TurboCruise'84LE"])
def test_maps_are_the_same_from_both_sides(name: str) -> None:
    terrain = generate(name)
    x0, y0, x1, y1 = terrain.playable
    for grid in (terrain.pathable, terrain.placeable):
        area = grid[y0:y1, x0:x1]
        assert area.mean() > 0.5
        assert (area != area[::-1, ::-1]).mean() < 0.1
    (ax, ay), (bx, by) = terrain.starts
    assert (ax + bx, ay + by) == (x0 + x1, y0 + y1)
    for base in terrain.bases:
        assert terrain.placeable[int(base.position[1]), int(base.position[0])]
        assert len(base.resources) == 10
        for _, x, y in base.resources:
            assert x0 <= x < x1
            assert y0 <= y < y1
            assert 5 < math.dist((x, y), base.position) < 9
