"""Measures recordings: bytes a step, how fast they are read, and how fast games of AIs are recorded.

python benchmarks/recordings.py --output recordings.json
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import machine_info, versions, write_json
from numpy.typing import NDArray
from timing import interleaved, medians

from agent.interface import PackedObservation
from envs.microrts import play_ai_games
from envs.microrts.recorder import AiGameRecorder
from training.demonstrations import Demonstrations, RecordedSteps
from training.record_command import RecordOptions, record

MAP = "maps/16x16/basesWorkers16x16A.xml"
PLAYERS = ("CoacAI", "mayari", "WorkerRush", "LightRush")
MAX_STEPS = 2000
UNROLL_LENGTH = 64
Array = NDArray[Any]


def named_arrays(steps: RecordedSteps) -> dict[str, Array]:
    """Return all arrays of some steps."""
    packed: PackedObservation = steps.observations
    groups = {"sample": packed.sample, "entity": packed.entity, "decision": packed.decision}
    arrays = {f"{group}.{name}": array for group, named in groups.items() for name, array in named.items()}
    counts = {"entity_counts": packed.entity_counts, "decision_counts": packed.decision_counts}
    return {**arrays, **counts, "rewards": steps.rewards, "elapsed_steps": steps.elapsed_steps}


class PlainFiles:
    """The same games as NumPy writes them: mapped .npy files for each player game, or compressed .npz files."""

    def __init__(self, demonstrations: Demonstrations, directory: Path) -> None:
        self.directory = directory
        self.mapped: list[dict[str, Array]] = []
        self.npz: list[Path] = []
        for index in range(len(demonstrations)):
            arrays = named_arrays(demonstrations.read(index))
            folder = directory / f"{index:05d}"
            folder.mkdir(parents=True)
            for name, array in arrays.items():
                np.save(folder / f"{name}.npy", array)
            self.mapped.append({name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in arrays})
            self.npz.append(directory / f"{index:05d}.npz")
            np.savez_compressed(self.npz[-1], **arrays)

    def copy(self, index: int, first: int, length: int) -> dict[str, Array]:
        """Return copies of an unroll from the mapped files."""
        return sliced(self.mapped[index], first, length)

    def load(self, index: int, first: int, length: int) -> dict[str, Array]:
        """Return an unroll from the compressed file, which is read as a whole."""
        with np.load(self.npz[index]) as file:
            return sliced({name: file[name] for name in file.files}, first, length)

    def bytes(self, pattern: str) -> int:
        """Return the size of all files of a kind."""
        return sum(path.stat().st_size for path in self.directory.rglob(pattern))


def sliced(arrays: dict[str, Array], first: int, length: int) -> dict[str, Array]:
    """Return copies of the rows of some steps."""
    taken = {}
    for group in ("entity", "decision"):
        counts = np.asarray(arrays[f"{group}_counts"])
        start = int(counts[:first].sum())
        rows = slice(start, start + int(counts[first : first + length].sum()))
        taken |= {name: np.array(array[rows]) for name, array in arrays.items() if name.startswith(f"{group}.")}
    steps = slice(first, first + length)
    return {name: taken[name] if name in taken else np.array(array[steps]) for name, array in arrays.items()}


def measure_reading(directory: Path, seconds: float) -> dict[str, Any]:
    """Return bytes and speeds of our format and of plain files, on random unrolls."""
    demonstrations = Demonstrations(directory)
    counts = demonstrations.manifest.counts
    unrolls = random_unrolls(demonstrations, 64)
    steps = sum(length for _, _, length in unrolls)
    with tempfile.TemporaryDirectory() as plain_directory:
        plain = PlainFiles(demonstrations, Path(plain_directory))
        readers: dict[str, Callable[[int, int, int], object]] = {
            "recording": demonstrations.read,
            "npy_copies": plain.copy,
            "npz_compressed": plain.load,
        }
        times = interleaved(
            {name: lambda read=read: [read(*unroll) for unroll in unrolls] for name, read in readers.items()},
            seconds=seconds,
        )
        sizes = {"npy_copies": plain.bytes("*.npy"), "npz_compressed": plain.bytes("*.npz")}
    sizes["recording"] = counts["bytes"]
    return {
        "steps": counts["steps"],
        "entities_mean": counts["entities"] / counts["steps"],
        "decisions_mean": counts["decisions"] / counts["steps"],
        "bytes_per_step": {name: size / counts["steps"] for name, size in sizes.items()},
        "read_steps_per_second": {name: steps / median for name, median in medians(times).items()},
        "raw_seconds": times,
    }


def random_unrolls(demonstrations: Demonstrations, number: int) -> list[tuple[int, int, int]]:
    """Return player game, first step and length of random unrolls."""
    generator = np.random.default_rng(0)
    unrolls = []
    for index in generator.integers(len(demonstrations), size=number).tolist():
        num_steps = demonstrations.player_games[index].num_steps
        length = min(UNROLL_LENGTH, num_steps)
        unrolls.append((index, int(generator.integers(num_steps - length + 1)), length))
    return unrolls


def measure_recording(seconds: float) -> dict[str, Any]:
    """Return how fast one process plays and records, and how fast the same AIs play when nobody watches."""
    pairs = list(itertools.combinations(PLAYERS, 2))
    recorders = [AiGameRecorder(map_path=MAP, players=pair, max_steps=MAX_STEPS) for pair in pairs]
    for recorder in recorders:
        recorder.record(0)  # compiles the game
    speed = {"game_steps": 0, "decision_steps": 0}
    seed, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        seed += 1
        for recorder in recorders:
            game = recorder.record(seed)
            speed["game_steps"] += game.game_steps
            speed["decision_steps"] += sum(len(view) for view in game.views)
    recording_seconds = time.process_time() - start
    played, start = 0, time.process_time()
    for pair in pairs:
        played += int(play_ai_games(MAP, *pair, num_games=seed, max_steps=MAX_STEPS).game_steps.sum())
    return {
        "recorded_game_steps_per_cpu_second": speed["game_steps"] / recording_seconds,
        "recorded_decision_steps_per_cpu_second": speed["decision_steps"] / recording_seconds,
        "played_game_steps_per_cpu_second": played / (time.process_time() - start),
    }


def main() -> None:
    """Record, measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--games", type=int, default=8, help="games of each of the six pairs")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine_info(), "versions": versions()}
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "data"
        options = RecordOptions(
            players=PLAYERS, output=output, map_path=MAP, games=arguments.games, max_steps=MAX_STEPS
        )
        start = time.perf_counter()
        manifest = record(options)
        assert manifest is not None
        results["command_seconds"] = time.perf_counter() - start
        results["games"] = manifest["counts"]["games"]
        results["left_out"] = manifest["left_out"]
        results |= measure_reading(output, arguments.seconds)
    results |= measure_recording(arguments.seconds)
    results["settings"] = {"map": MAP, "players": PLAYERS, "max_steps": MAX_STEPS, "unroll_length": UNROLL_LENGTH}
    write_json(arguments.output, results)
    sizes, speeds = results["bytes_per_step"], results["read_steps_per_second"]
    for name in sizes:
        print(f"{name}: {sizes[name]:,.0f} bytes a step, {speeds[name]:,.0f} steps/s read")
    print(
        f"recorded {results['recorded_game_steps_per_cpu_second']:,.0f} game steps/s, "
        f"played unwatched {results['played_game_steps_per_cpu_second']:,.0f}"
    )


if __name__ == "__main__":
    main()
