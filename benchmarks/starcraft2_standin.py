"""The stand-in for StarCraft II of the tests: pysc2-evolved's own game tests against it, its speed, its strengths.

No figure here is a StarCraft II result.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common import machine_info, versions, write_json  # noqa: E402
from s2clientprotocol import sc2api_pb2 as sc_pb  # noqa: E402

from tests.starcraft2_standin import ai  # noqa: E402
from tests.starcraft2_standin.install import install  # noqa: E402
from tests.starcraft2_standin.observation import View  # noqa: E402
from tests.starcraft2_standin.unit import Player  # noqa: E402
from tests.starcraft2_standin.world import World  # noqa: E402

PACKAGE = "pysc2_evolved"
PACKAGES = ("perceiver-star", "numpy", "protobuf", "pysc2_evolved", "pys2clientprotocol", "websocket-client", "pytest")
TEST_CONFIGURATION = "[pytest]\npython_files = *_test.py\nmarkers =\n    sc2: needs the game\n    minor: does not\n"
MARKER = "pytest.mark.sc2"
MATCH_LOOPS = 28_000
SPEED_LOOPS = {"Simple64": (1000, 6000), "KairosJunctionLE": (6000,), "AcropolisLE": (9000,)}
SPEED_STEPS, LOOPS_PER_STEP = 100, 8


def run_client_tests(timeout: float) -> dict[str, Any]:
    """Return the outcome of each of the installed client's own tests that need the game, unchanged."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{PACKAGE} is not installed: pip install 'perceiver-star[starcraft2]'")
    package = Path(spec.origin).parent
    with tempfile.TemporaryDirectory() as folder:
        configuration, report = Path(folder, "pytest.ini"), Path(folder, "report.xml")
        configuration.write_text(TEST_CONFIGURATION, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-c", str(configuration), "--rootdir", folder, "-m", "sc2", "-q"]
        command += ["--import-mode=importlib", "-p", "no:cacheprovider", "--timeout", "180", f"--junitxml={report}"]
        files = sorted(path for path in package.rglob("*_test.py") if MARKER in path.read_text(encoding="utf-8"))
        command += [str(path) for path in files]
        environment = {**os.environ, "SC2PATH": str(install(Path(folder, "StarCraftII")))}
        subprocess.run(command, env=environment, timeout=timeout, check=False, stdout=subprocess.DEVNULL, cwd=folder)
        return _outcomes(report)


def _outcomes(report: Path) -> dict[str, Any]:
    """Return passed, total and the reasons of failures from a JUnit report."""
    failures, passed = {}, []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname', '').split('.')[-1]}::{case.get('name')}"
        fault = case.find("failure")
        fault = case.find("error") if fault is None else fault
        if fault is None:
            passed.append(name)
        else:
            failures[name] = (fault.get("message") or "").splitlines()[0][:300]
    return {"passed": len(passed), "total": len(passed) + len(failures), "failures": failures, "passing": passed}


def _options() -> sc_pb.InterfaceOptions:
    options = sc_pb.InterfaceOptions(raw=True, score=True, show_cloaked=True)
    options.feature_layer.width = 24
    options.feature_layer.resolution.x = options.feature_layer.resolution.y = 1
    options.feature_layer.minimap_resolution.x = options.feature_layer.minimap_resolution.y = 128
    return options


def measure_speed() -> list[dict[str, Any]]:
    """Return the processor time of a step of 8 loops and of an observation (raw, 128 x 128 minimap, score)."""
    rows = []
    for name, starts in SPEED_LOOPS.items():
        for loops in starts:
            world = World(name, [Player(k, 1, 1, False, difficulty=7) for k in (1, 2)], seed=3)
            world.step(loops)
            player = world.players[1]
            player.human = True
            view = View(world, player, _options(), sees_all=False)
            stepping = observing = 0.0
            for _ in range(SPEED_STEPS):
                ai.think(world, player)
                began = time.process_time()
                world.step(LOOPS_PER_STEP)
                stepped = time.process_time()
                answer = view.observation()
                stepping, observing = stepping + stepped - began, observing + time.process_time() - stepped
            told = sc_pb.ResponseObservation.FromString(answer)
            times = {"step_ms": 1e3 * stepping / SPEED_STEPS, "observation_ms": 1e3 * observing / SPEED_STEPS}
            units = {"units": len(world.units), "units_told": len(told.observation.raw_data.units)}
            rows.append({"map": name, "game_loop": world.loop, **units, **times})
    return rows


def play(difficulties: tuple[int, int], races: tuple[int, int], seed: int) -> float:
    """Return what the first of two scripts scores against the second on Simple64: 1, 0 or one half."""
    players = [Player(k + 1, races[k], races[k], False, difficulty=difficulties[k]) for k in (0, 1)]
    world = World("Simple64", players, seed)
    world.step(MATCH_LOOPS)
    return {1: 1.0, 2: 0.0}.get(players[0].result, 0.5)


def measure_strengths(rounds: int) -> dict[str, Any]:
    """Return each strength's share of points against all others: both corners, mirrored races, `rounds` seeds."""
    points = dict.fromkeys(range(1, 11), 0.0)
    games = dict.fromkeys(range(1, 11), 0)
    for seed, (low, high) in itertools.product(range(rounds), itertools.combinations(points, 2)):
        race = 1 + (seed + low + high) % 3
        order = (low, high) if seed % 2 else (high, low)
        score = play(order, (race, race), seed)
        for strength, gained in zip(order, (score, 1.0 - score), strict=True):
            points[strength] += gained
            games[strength] += 1
    return {"points_per_game": {s: points[s] / games[s] for s in points}, "games_of_each": games[1]}


def main() -> None:
    """Run, measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=4, help="games of each pair of strengths; 0: none")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds for the client's tests; 0: none")
    options = parser.parse_args()
    machine = machine_info()
    results: dict[str, Any] = {"speed": measure_speed()}
    if options.rounds:
        results["strengths"] = measure_strengths(options.rounds)
    if options.timeout:
        results["client_tests"] = run_client_tests(options.timeout)
    write_json(options.output, {"machine": machine, "versions": versions(PACKAGES), **results})


if __name__ == "__main__":
    main()
