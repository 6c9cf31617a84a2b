"""Write a folder that pysc2 takes for an installation of StarCraft II: a client needs only `SC2PATH=<folder>`."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from .version import BASE_BUILD, MARK

LAUNCHER = Path(__file__).with_name("launch.py")
EXECUTABLE_MODE = 0o755
MELEE_MAPS = [f"{family}{side}" for family in ("Flat", "Simple") for side in (32, 48, 64, 96, 128)]
MINI_GAME_MAPS = [
    "BuildMarines",
    "CollectMineralsAndGas",
    "CollectMineralShards",
    "DefeatRoaches",
    "DefeatZerglingsAndBanelings",
    "FindAndDefeatZerglings",
    "MoveToBeacon",
]
LADDER_MAPS = {
    "Ladder2017Season1": ["Bel'Shir Vestige LE", "Newkirk Precinct TE", "Paladino Terminal LE"],
    "Ladder2017Season2": ["Blood Boil LE", "Defender's Landing LE", "Proxima Station LE", "Sequencer LE"],
    "Ladder2017Season3": ["Acolyte LE", "Frost LE", "Interloper LE", "Mech Depot LE"],
    "Ladder2017Season4": ["Abyssal Reef LE", "Ascension to Aiur LE", "Battle on the Boardwalk LE", "Odyssey LE"],
    "Ladder2018Season1": ["Abiogenesis LE", "Backwater LE", "Eastwatch LE", "Neon Violet Square LE"],
    "Ladder2018Season2": ["16-Bit LE", "Catalyst LE", "Redshift LE"],
    "Ladder2018Season3": ["Acid Plant LE", "Dreamcatcher LE", "Fracture LE", "Lost and Found LE"],
    "Ladder2018Season4": ["Blueshift LE", "Cerulean Fall LE", "Para Site LE", "Stasis LE"],
    "Ladder2019Season1": ["Automaton LE", "Port Aleksander LE", "Year Zero LE"],
    "Ladder2019Season2": ["Cyber Forest LE", "Kairos Junction LE", "King's Cove LE", "New Repugnancy LE"],
    "Ladder2019Season3": ["Acropolis LE", "Disco Bloodbath LE", "Ephemeron LE", "Thunderbird LE", "Triton LE",
                          "Winter's Gate LE", "World of Sleepers LE"],
}  # fmt: skip
"""Season folder -> battle.net names of maps for two players (names from pysc2's maps/ladder.py)."""
BATTLE_NET_MAPS = [name for names in LADDER_MAPS.values() for name in names]


def _map_paths() -> list[str]:
    paths = [f"Melee/{name}" for name in MELEE_MAPS] + [f"mini_games/{name}" for name in MINI_GAME_MAPS]
    for season, names in LADDER_MAPS.items():
        paths += [f"{season}/{re.sub(r'[ ]', '', name).replace(chr(39), '')}" for name in names]
    return [f"{path}.SC2Map" for path in paths]


def install(directory: str | Path, python: str | Path = sys.executable) -> Path:
    """Write the stand-in's installation into a folder and return the folder.

    Args:
        directory: made if missing; what an earlier call wrote there is replaced.
        python: the interpreter that runs the stand-in; needs numpy and s2clientprotocol.
    """
    root = Path(directory).absolute()
    versions = root / "Versions" / f"Base{BASE_BUILD}"
    versions.mkdir(parents=True, exist_ok=True)
    words = [shlex.quote(str(word)) for word in (python, LAUNCHER, root)]
    program = versions / "SC2_x64"
    program.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n', encoding="utf-8")
    program.chmod(EXECUTABLE_MODE)
    for path in _map_paths():
        target = root / "Maps" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(f"{MARK} map; its terrain is generated from its name\n".encode())
    (root / "Replays").mkdir(exist_ok=True)
    return root


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m tests.starcraft2_standin.install FOLDER")
    install(sys.argv[1])
