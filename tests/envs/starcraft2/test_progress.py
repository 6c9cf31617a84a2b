"""What a player has built, read off observations, and the rewards for coming nearer to a human game."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.starcraft2.conditioning import Statistic, unit_build_item, upgrade_build_item
from envs.starcraft2.human_statistics import (
    BuildStep,
    HumanStatistic,
    read_statistics,
    sample_shown,
    sample_statistic,
    write_statistics,
)
from envs.starcraft2.progress import BuildLog, PlayerProgress, PseudoRewards

SCV, DEPOT, DEPOT_LOWERED, BARRACKS, BARRACKS_FLYING, TANK, TANK_SIEGED = 45, 19, 47, 21, 46, 33, 32
COMMAND_CENTER, ORBITAL, STIMPACK = 18, 132, 15
ALL = np.ones(4, bool)


def statistic(**changes: Any) -> HumanStatistic:
    facts: dict[str, Any] = {
        "race": "terran", "opponent_race": "zerg", "map_name": "Acropolis LE",
        "build_order": (
            BuildStep("unit", SCV, 20, (30.0, 30.0)), BuildStep("unit", DEPOT, 400, (40.0, 42.0)),
            BuildStep("unit", BARRACKS, 900, (44.0, 42.5)), BuildStep("upgrade", STIMPACK, 4000),
        ),
        "unit_types": frozenset({SCV, DEPOT, BARRACKS}), "upgrades": frozenset({STIMPACK}), "mmr": 6000, "won": True,
        "game_version": "4.10.0.75689", "source": "test",
    }  # fmt: skip
    return HumanStatistic(**{**facts, **changes})


def update(
    progress: PlayerProgress, game_loop: int, units: list[tuple[int, int, float, float]], *upgrades: int
) -> None:
    table = np.array(units, np.float64).reshape(-1, 4)
    progress.update(
        game_loop=game_loop,
        tags=table[:, 0].astype(np.int64),
        unit_types=table[:, 1].astype(np.int64),
        positions=table[:, 2:],
        upgrades=np.array(upgrades, np.int64),
        effects=np.array([], np.int64),
    )


def test_the_log_holds_what_was_paid_for_once() -> None:
    log = BuildLog()
    log.see_unit("base", COMMAND_CENTER, 0, (10, 10), at_start=True)
    log.see_unit("worker", SCV, 20, (11, 10))
    log.see_unit("depot", DEPOT, 30, (12, 10))
    for unit_type in (DEPOT_LOWERED, DEPOT, DEPOT_LOWERED):
        log.see_unit("depot", unit_type, 40, (12, 10))
    log.see_unit("base", ORBITAL, 50, (10, 10))
    log.see_unit("base", COMMAND_CENTER, 60, (10, 10))
    for upgrade in (STIMPACK, STIMPACK, 999):
        log.see_upgrade(upgrade, 70)
    assert [(step.kind, step.game_id, step.game_loop) for step in log.steps] == [
        ("unit", SCV, 20), ("unit", DEPOT, 30), ("unit", ORBITAL, 50), ("upgrade", STIMPACK, 70),
    ]  # fmt: skip
    assert (log.unit_types, log.upgrades) == ({SCV, DEPOT, ORBITAL}, {STIMPACK})
    assert log.build_order.items == (
        unit_build_item(SCV), unit_build_item(DEPOT), unit_build_item(ORBITAL), upgrade_build_item(STIMPACK),
    )  # fmt: skip
    assert log.build_order.positions[-1] is None


def test_progress_begins_with_what_is_there_at_the_start() -> None:
    progress = PlayerProgress()
    update(progress, 0, [(1, COMMAND_CENTER, 10, 10), (2, SCV, 11, 10)])
    update(progress, 8, [(1, COMMAND_CENTER, 10, 10), (2, SCV, 11, 10), (3, SCV, 12, 10)])
    update(progress, 16, [(3, SCV, 13, 11), (4, TANK, 20, 20)])
    update(progress, 24, [(4, TANK_SIEGED, 20, 20)], STIMPACK)
    update(progress, 32, [(4, TANK, 20, 20), (5, TANK, 22, 20)], STIMPACK)
    assert [step.game_id for step in progress.log.steps] == [SCV, TANK, STIMPACK, TANK]
    assert progress.log.steps[0].position == (12, 10), "where it was first seen"


def test_only_the_first_twenty_are_compared() -> None:
    log = BuildLog()
    for number in range(25):
        log.see_unit(number, SCV, number, (0, 0))
    assert len(log.build_order.items) == 20
    assert len(log.steps) == 25


def test_following_z_earns_what_it_is_worth() -> None:
    target = statistic()
    rewards = PseudoRewards(target, target.conditioning(), ALL)
    assert rewards.active.tolist() == [True, True, True, False], "z tells no effects"
    progress = PlayerProgress()
    update(progress, 0, [(1, COMMAND_CENTER, 10, 10)])
    assert not rewards.step(progress, 0).any()
    update(progress, 20, [(2, SCV, 30, 30)])
    np.testing.assert_allclose(rewards.step(progress, 20), [1, 1, 0, 0])
    update(progress, 400, [(3, DEPOT, 40, 43)])
    np.testing.assert_allclose(rewards.step(progress, 400), [0.8, 1, 0, 0], rtol=1e-6)
    update(progress, 420, [(4, TANK, 0, 0)])
    np.testing.assert_allclose(rewards.step(progress, 420), [0, -1, 0, 0], atol=1e-6)
    update(progress, 15_000, [(5, BARRACKS, 44, 42.5)], STIMPACK)
    assert rewards.step(progress, 15_000)[1:].tolist() == [0.5, 0.5, 0], "after 8 minutes they count half"


def test_what_is_hidden_or_not_active_gives_no_reward() -> None:
    target = statistic(effects=frozenset({1}))
    hidden = Statistic(build_order=target.conditioning().build_order)
    assert PseudoRewards(target, hidden, ALL).active.tolist() == [True, False, False, False]
    assert not PseudoRewards(target, target.conditioning(), ~ALL).active.any()
    assert PseudoRewards(target, target.conditioning(), ALL).active.all()


def test_statistics_are_shown_as_the_scalars_expect() -> None:
    shown = statistic().conditioning()
    assert shown.build_order == (
        unit_build_item(SCV), unit_build_item(DEPOT), unit_build_item(BARRACKS), upgrade_build_item(STIMPACK),
    )  # fmt: skip
    assert (shown.unit_types, shown.upgrades, shown.effects) == ([DEPOT, BARRACKS, SCV], [STIMPACK], None)


def test_parts_are_hidden_with_their_probabilities() -> None:
    generator, target = np.random.default_rng(0), statistic()
    shown = [sample_shown(target, generator) for _ in range(3000)]
    assert np.mean([each.build_order is None for each in shown]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([each.unit_types is None for each in shown]) == pytest.approx(0.5, abs=0.03)
    assert sample_shown(target, generator, hide_build_order=0, hide_cumulative=0) == target.conditioning()


def test_statistics_are_drawn_by_race_then_opponent_then_map() -> None:
    terran, zerg = statistic(source="a"), statistic(race="zerg", source="b")
    other_map = statistic(map_name="Triton LE", won=False)
    generator = np.random.default_rng(0)
    pool = [terran, zerg, other_map]
    assert {sample_statistic(pool, generator, race="terran").map_name for _ in range(30)} == {
        "Acropolis LE",
        "Triton LE",
    }
    for _ in range(5):
        assert sample_statistic(pool, generator, race="terran", map_name="Triton LE") == other_map
        assert sample_statistic(pool, generator, race="terran", map_name="Triton") == other_map, "pysc2's name"
    assert sample_statistic(pool, generator, race="zerg", opponent_race="protoss") == zerg, "none of that kind: any"
    with pytest.raises(ValueError, match=r"no statistic of the race 'protoss' among 3, .* \['terran', 'zerg'\]"):
        sample_statistic(pool, generator, race="protoss")


def test_statistics_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "z.json"
    written = (statistic(), statistic(effects=frozenset({1, 7}), won=None, build_order=()))
    write_statistics(path, written)
    read = read_statistics(path)
    assert read == written
    assert [each.source for each in read] == ["test", "test"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is no file of statistics: expected format 'perceiver-star-z' version 1"),
        ({"version": 2}, r"got \('perceiver-star-z', 2\)"),
        ({"statistics": [{"race": "zerg"}]}, "holds a broken statistic: KeyError"),
        ({"statistics": [{"effects": None, "race": "zerg", "opponent_race": "zerg", "map_name": "",
                          "build_order": [["word", 1, 2]]}]}, "expected unit or upgrade"),
    ],
)  # fmt: skip
def test_files_that_are_none_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "z.json"
    path.write_text(json.dumps({"format": "perceiver-star-z", "version": 1, "statistics": [], **change}))
    with pytest.raises(ValueError, match=message):
        read_statistics(path)
