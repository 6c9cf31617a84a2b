"""Plays many episodes against the stand-in game while it hangs, dies and talks nonsense, and counts what is left.

python benchmarks/starcraft2_faults.py --output faults.json

Two actor processes step batches of games with random legal actions. Checked: every game that did not end in an orderly
way was counted as a fault, every start of a program as a start, no process is left, and the actors' memory is flat.
Nothing here is a StarCraft II result: the game is the stand-in of the tests.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from common import machine_info, versions, write_json
from numpy.typing import NDArray

from training.workers import end_with_parent

ROOT = Path(__file__).resolve().parents[1]
NUM_ACTORS = 2
OPPONENTS: tuple[str | None, ...] = (None, "very_easy", "cheat_insane")
MAP = "Flat32"
MAX_GAME_LOOPS = 1200
MAX_DELAY = 24
REQUEST_TIMEOUT_SECONDS = 3.0
EPISODES_PER_PROCESS = 40
FAULTS = (
    {"kind": "hang", "probability": 0.0003, "request": "step"},
    {"kind": "crash", "probability": 0.001, "request": "step"},
    {"kind": "garbage", "probability": 0.001, "request": "observation"},
    {"kind": "crash", "probability": 0.02, "request": "create_game"},
    {"kind": "slow", "probability": 0.002, "seconds": 0.1, "request": "observation"},
)
"""Probabilities are those of one such request; an episode has about a hundred of each of the frequent ones."""
MOST_GROWTH_MIB = 16.0
_SAMPLES = 20


def install_stand_in(folder: Path) -> Path:
    """Install the stand-in with its faults, and return the file in which processes log how they start and end."""
    command = [sys.executable, "-m", "tests.starcraft2_standin.install", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT)
    (folder / "faults.json").write_text(json.dumps({"seed": 1, "faults": FAULTS}), encoding="utf-8")
    log = folder / "processes.txt"
    [program] = folder.glob("Versions/*/SC2_x64")
    inner = program.rename(program.with_name("stand_in"))
    # Linux kills the shell with the process that starts it, and by this launcher the stand-in with the shell.
    launch = shlex.join([sys.executable, "-I", "-S", str(ROOT / "envs" / "starcraft2" / "launcher.py")])
    target, inner_program = shlex.quote(str(log)), shlex.quote(str(inner))
    program.write_text(
        f'#!/bin/sh\necho start $$ >>{target}\n{launch} $$ {inner_program} "$@"\necho end $$ $? >>{target}\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return log


def random_actions(env: Any, observation: dict[str, NDArray[Any]], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return random legal calls with short delays."""
    from envs.function_calls import sample_function_call

    rows = zip(observation["action_mask"], observation["entity_classes"], strict=True)
    actions = np.stack([sample_function_call(*row, env.single_action_space, generator) for row in rows])
    actions[:, 1] %= MAX_DELAY
    return actions


def play(actor: int, num_episodes: int) -> dict[str, Any]:
    """Play episodes in one actor and return what it counted; a game of two rows counts once."""
    from envs.starcraft2.process_settings import ProcessSettings
    from envs.starcraft2.settings import StarCraft2Settings
    from envs.starcraft2.vector_env import StarCraft2VectorEnv

    logging.disable(logging.ERROR)  # each fault is a line of the log otherwise
    process = ProcessSettings(
        request_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
        start_timeout_seconds=20 * REQUEST_TIMEOUT_SECONDS,
        episodes_per_process=EPISODES_PER_PROCESS,
    )
    settings = StarCraft2Settings(map_name=MAP, max_game_loops=MAX_GAME_LOOPS, process=process)
    env = StarCraft2VectorEnv(settings, OPPONENTS, seed=actor)
    generator = np.random.default_rng(actor)
    first_rows = np.flatnonzero(env.rows.player == 0)
    counts = {"episodes": 0, "dropped_episodes": 0, "steps": 0}
    memory: list[float] = []
    try:
        observation, _ = env.reset()
        while counts["episodes"] < num_episodes:
            observation, _, terminated, truncated, infos = env.step(random_actions(env, observation, generator))
            ended = terminated | truncated
            counts["steps"] += 1
            counts["episodes"] += int(ended[first_rows].sum())
            counts["dropped_episodes"] += int(infos["dropped"][first_rows].sum())
            if ended.any():
                observation, _ = env.reset(options={"reset_mask": ended.copy()})
            if counts["episodes"] >= num_episodes * len(memory) / _SAMPLES:
                memory.append(psutil.Process().memory_info().rss / 2**20)
        processes = sum(match_processes(match) for match in env._matches)
        return {
            **counts,
            "faults": env.faults,
            "restarts": env.restarts,
            "planned_restarts": env.planned_restarts,
            "processes_started": processes,
            "processes_that_failed": sum(sum(m.faults.values()) * len(m.players) for m in env._matches),
            "memory_mib": memory,
        }
    finally:
        env.close()


def match_processes(match: Any) -> int:
    """Return how many processes a game has started, by its own counts."""
    return len(match.players) * (1 + match.restarts + match.planned_restarts)


def count_processes(log: Path) -> dict[str, int]:
    """Return how many processes started, and how many of them did not end in an orderly way, by their own log."""
    lines = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    started = [line[1] for line in lines if line[0] == "start"]
    orderly = [line[1] for line in lines if line[0] == "end" and line[2] == "0"]
    return {"started": len(started), "failed": len(started) - len(orderly)}


def left_over(folder: Path, timeout_seconds: float = 10.0) -> list[int]:
    """Return the ids of processes that were started from `folder` and still run."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = [
            process.info["pid"]
            for process in psutil.process_iter(["pid", "cmdline", "status"])
            if str(folder) in " ".join(process.info["cmdline"] or []) and process.info["status"] != "zombie"
        ]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def measure(num_episodes: int, folder: Path) -> dict[str, Any]:
    """Play and return what was counted, and whether all checks hold."""
    log = install_stand_in(folder)
    os.environ["SC2PATH"] = str(folder)
    start = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(NUM_ACTORS, mp_context=spawn, initializer=end_with_parent) as pool:
        actors = list(pool.map(play, range(NUM_ACTORS), [-(-num_episodes // NUM_ACTORS)] * NUM_ACTORS))
    seconds = time.monotonic() - start
    by_log, orphans = count_processes(log), left_over(folder)
    # The first quarter fills caches.
    growth = [actor["memory_mib"][-1] - actor["memory_mib"][len(actor["memory_mib"]) // 4] for actor in actors]
    checks = {
        "every_fault_counted": by_log["failed"] == sum(actor["processes_that_failed"] for actor in actors),
        "every_start_counted": by_log["started"] == sum(actor["processes_started"] for actor in actors),
        "no_orphans": not orphans,
        "memory_flat": max(growth) <= MOST_GROWTH_MIB,
    }
    return {
        "episodes": sum(actor["episodes"] for actor in actors),
        "dropped_episodes": sum(actor["dropped_episodes"] for actor in actors),
        "faults": {
            kind: sum(actor["faults"].get(kind, 0) for actor in actors)
            for kind in sorted({kind for actor in actors for kind in actor["faults"]})
        },
        "processes_by_their_log": by_log,
        "orphans": len(orphans),
        "memory_growth_mib": growth,
        "checks": checks,
        "passed": all(checks.values()),
        "seconds": seconds,
        "actors": actors,
    }


def main() -> None:
    """Play, check and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--episodes", type=int, default=500, help="episodes of all games together, at least")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="starcraft2-faults-") as folder:
        results = measure(options.episodes, Path(folder))
    settings = {"map": MAP, "opponents": OPPONENTS, "max_game_loops": MAX_GAME_LOOPS, "faults": FAULTS}
    write_json(options.output, {**results, "settings": settings, "machine": machine_info(), "versions": versions()})
    print(
        f"stand-in game: {results['episodes']} episodes, {results['dropped_episodes']} dropped, faults "
        f"{results['faults']}, {results['orphans']} orphans, memory {max(results['memory_growth_mib']):+.1f} MiB; "
        f"{'all checks hold' if results['passed'] else results['checks']}"
    )
    sys.exit(not results["passed"])


if __name__ == "__main__":
    main()
