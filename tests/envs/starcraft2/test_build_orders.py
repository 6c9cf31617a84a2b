"""Build orders from tracker events made by hand, from recorded replays, and from replays that are broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envs.starcraft2.build_orders import (
    UNIT_ID_OF_GAME_NAME,
    UPGRADE_ID_OF_GAME_NAME,
    build_logs,
    read_replays,
    replay_statistics,
)
from envs.starcraft2.conditioning import BUILD_UPGRADES
from envs.starcraft2.progress import BUILT_TYPES
from envs.starcraft2.replay_files import ReplayError, ReplayFile
from envs.starcraft2.tables import UNIT_TYPE_IDS, UNIT_TYPE_NAMES, UPGRADE_IDS, UPGRADE_NAMES
from tests.envs.starcraft2.shared_data import shared_file

NAMES = dict(zip(UNIT_TYPE_IDS, UNIT_TYPE_NAMES, strict=True))
UPGRADE_OF_ID = dict(zip(UPGRADE_IDS, UPGRADE_NAMES, strict=True))


def event(kind: str, game_loop: int, tag: int = 0, name: str = "", player: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "kind": kind, "_gameloop": game_loop, "m_unitTagIndex": tag, "m_unitTagRecycle": 1, "m_playerId": player,
        "m_controlPlayerId": player, "m_unitTypeName": name.encode(), "m_upgradeTypeName": name.encode(), **fields,
    }  # fmt: skip


def test_events_become_logs() -> None:
    place = {"m_x": 30, "m_y": 40}
    logs = build_logs([
        event("PlayerSetup", 0), event("UnitBorn", 0, 1, "Hatchery", **place), event("Upgrade", 0, name="SprayZerg"),
        event("UnitBorn", 0, 2, "MineralField", player=0, **place), event("UnitBorn", 90, 3, "Larva", **place),
        event("UnitTypeChange", 100, 3, "Egg"), event("UnitBorn", 300, 4, "Drone", **place),
        event("UnitInit", 400, 5, "SpawningPool", **place), event("UnitDone", 900, 5),
        event("UnitBorn", 500, 6, "Probe", player=2, **place), event("UnitTypeChange", 2000, 1, "Lair"),
        event("Upgrade", 2100, name="zerglingmovementspeed"), event("UnitBorn", 2200, 7, "LurkerMP", **place),
        event("UnitBorn", 2300, 8, "Phoenix", player=2, m_creatorAbilityName=b"HallucinationPhoenix", **place),
        event("UnitTypeChange", 2400, 99, "Hive"),
    ])  # fmt: skip
    assert [(NAMES.get(step.game_id) if step.kind == "unit" else UPGRADE_OF_ID[step.game_id], step.game_loop)
            for step in logs[1].steps] == [
        ("Drone", 300), ("SpawningPool", 400), ("Lair", 2000), ("MetabolicBoost", 2100), ("Lurker", 2200),
    ]  # fmt: skip
    assert logs[1].steps[1].position == (30.0, 40.0)
    assert [NAMES[step.game_id] for step in logs[2].steps] == ["Probe"]


def test_every_built_thing_has_a_name() -> None:
    assert set(UNIT_ID_OF_GAME_NAME.values()) == BUILT_TYPES
    assert set(UPGRADE_ID_OF_GAME_NAME.values()) == set(BUILD_UPGRADES)


def recorded_replays() -> list[Path]:
    return sorted(shared_file("replays/pysc2").glob("*.SC2Replay"))


def test_recorded_replays_tell_their_game() -> None:
    header = ReplayFile(recorded_replays()[0]).header
    assert (header.game_version, header.base_build) == ("4.10.0.75689", 75689)
    assert (header.map_name, header.game_loops) == ("Cyber Forest LE", 18376)
    assert [(player.race, player.won) for player in header.players] == [("protoss", False), ("protoss", True)]


def test_recorded_replays_have_plausible_build_orders() -> None:
    found = read_replays(recorded_replays())
    assert not found.skipped
    assert len(found.statistics) == 2 * len(recorded_replays())
    allowed_first = {"protoss": "Probe", "terran": "SCV", "zerg": "Drone"}
    supply = {"protoss": "Pylon", "terran": "SupplyDepot", "zerg": "Overlord"}
    for statistic in found.statistics:
        names = [NAMES[step.game_id] for step in statistic.build_order[:20] if step.kind == "unit"]
        assert names[0] == allowed_first[statistic.race]
        assert supply[statistic.race] in names
        assert all(step.item for step in statistic.build_order)
        loops = [step.game_loop for step in statistic.build_order]
        assert loops == sorted(loops)
        assert loops[0] > 0
        assert statistic.won is not None
        assert {step.game_id for step in statistic.build_order if step.kind == "unit"} == statistic.unit_types


def test_hallucinations_are_not_built() -> None:
    protoss = replay_statistics(recorded_replays()[0])[1]
    assert "Stargate" not in {NAMES[number] for number in protoss.unit_types}
    assert "Phoenix" not in {NAMES[number] for number in protoss.unit_types}


def test_broken_replays_are_skipped_and_counted(tmp_path: Path) -> None:
    whole = recorded_replays()[0].read_bytes()
    contents = {
        "empty": b"", "text": b"no replay at all", "cut": whole[: len(whole) // 2], "header only": whole[:1024],
        "zeros": whole[:4096] + bytes(len(whole) - 4096), "whole": whole,
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / f"{name}.SC2Replay").write_bytes(content)
    found = read_replays([*sorted(tmp_path.iterdir()), tmp_path / "missing.SC2Replay"])
    assert len(found.statistics) == 2
    assert found.skipped.pop("unreadable") == 1
    assert sum(found.skipped.values()) == len(contents) - 1
    assert all(reason.startswith(("broken ", "no ")) for reason in found.skipped), found.skipped


def test_text_is_no_replay(tmp_path: Path) -> None:
    path = tmp_path / "text.SC2Replay"
    path.write_bytes(b"no replay at all")
    with pytest.raises(ReplayError, match="broken archive") as caught:
        ReplayFile(path)
    assert caught.value.reason == "broken archive"
