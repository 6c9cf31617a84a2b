"""`perceiver-star record`: games between the game's own AIs as data for imitation."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from envs.recording_writer import RecordingWriter, shard_name
from envs.recordings import read_manifest
from training.config import ConfigError, config_checked
from training.environment_config import MicroRTSConfig
from training.environments import check_opponents, game_build
from training.recording_job import RecordingJob
from training.run import environment_spec
from training.workers import run_jobs, timeout_seconds

STOPPING = "stopping; complete shards stay, once more ends at once\n"


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """Play the game's AIs against each other and write what both see and order, for `imitate`."""

    players: tuple[str, ...]
    """Names of AIs; each plays each other one, on both sides in turn."""
    opponents: tuple[str, ...] = ()
    """More AIs, which play the players above, but not each other."""
    output: Path
    """A folder for the recording."""
    map_path: Annotated[str, tyro.conf.arg(name="map")] = "maps/16x16/basesWorkers16x16A.xml"
    """The map."""
    games: int = 20
    """Games of each pair."""
    mirror: bool = False
    """Each AI also plays itself."""
    max_steps: int = 2000
    """Game steps after which a game is truncated; agents see which share of them is over, and so do imitators."""
    random_orders: float = 0.0
    """Share of the orders that are replaced by random ones once they are recorded: most AIs throw no dice, and who
    imitates them has to know the way back too (Laskey et al. 2017)."""
    seed: int = 0
    """Of the games; equal seeds record equal games, except of AIs that search against the clock."""
    resume: bool = False
    """Go on with a recording that was interrupted or has lost files, with the same options."""
    games_per_shard: int = 16
    """Games in each file of the recording, all of which an interruption loses."""
    workers: int | None = None
    """Processes; by default one for each usable core."""


def parse(arguments: list[str], prog: str) -> RecordOptions:
    """Return the options of the command line."""
    return tyro.cli(RecordOptions, args=arguments, prog=prog)


def plan_games(options: RecordOptions) -> list[tuple[int, tuple[str, str], int]]:
    """Return number, players and seed of each game: round by round, so that a part of them has all pairs evenly.

    Raises:
        ConfigError: if there is nothing to play.
    """
    players = tuple(dict.fromkeys(options.players))
    pairs = list((itertools.combinations_with_replacement if options.mirror else itertools.combinations)(players, 2))
    pairs += itertools.product(players, [name for name in dict.fromkeys(options.opponents) if name not in players])
    if not pairs or options.games < 1:
        raise ConfigError(
            f"there is nothing to play: expected two players, --opponents or --mirror, and games of at least 1, got "
            f"{', '.join(options.players) or 'nobody'} and {options.games}"
        )
    for name, least in (("seed", 0), ("max_steps", 1), ("games_per_shard", 1)):
        if getattr(options, name) < least:
            raise ConfigError(f"{name} must be at least {least}, got {getattr(options, name)}")
    if not 0 <= options.random_orders <= 1:
        raise ConfigError(f"random_orders must lie between 0 and 1, got {options.random_orders}")
    if options.workers is not None and options.workers < 1:
        raise ConfigError(f"workers must be at least 1, got {options.workers}")
    games: list[tuple[int, tuple[str, str], int]] = []
    for turn in range(options.games):
        for first, second in pairs:
            number = len(games)
            seed = np.random.SeedSequence([options.seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1)
            games.append((number, (first, second) if turn % 2 == 0 else (second, first), int(seed)))
    return games


@config_checked()
def open_recording(options: RecordOptions) -> tuple[RecordingWriter, list[RecordingJob]]:
    """Return the recording, and the games that are not in it yet.

    Raises:
        ConfigError: if there is nothing to play, a map or an AI does not exist, or the folder holds something else.
        GameNotFoundError: if the game is not installed.
    """
    games = plan_games(options)
    environment = MicroRTSConfig(
        map_path=options.map_path, opponents=options.players + options.opponents, max_steps=options.max_steps
    )
    check_opponents(environment, environment.opponents)
    header = {
        "game": game_build(environment),
        "layout": asdict(environment_spec(environment)),
        "max_steps": options.max_steps,
        "players": list(dict.fromkeys(options.players)),
        "opponents": list(dict.fromkeys(options.opponents)),
        "games": options.games,
        "mirror": options.mirror,
        "random_orders": options.random_orders,
        "seed": options.seed,
        "games_per_shard": options.games_per_shard,
    }
    writer = RecordingWriter(options.output, header, resume=options.resume, can_repair=True)
    jobs = []
    for first in range(0, len(games), options.games_per_shard):
        shard = shard_name(first // options.games_per_shard)
        if shard not in writer.shard_names:
            jobs.append(
                RecordingJob(
                    directory=options.output,
                    shard=shard,
                    map_path=options.map_path,
                    max_steps=options.max_steps,
                    random_orders=options.random_orders,
                    games=tuple(games[first : first + options.games_per_shard]),
                )
            )
    return writer, jobs


def record(
    options: RecordOptions,
    report: Callable[[int, int], None] = lambda games, all_games: None,
    stop: threading.Event | None = None,
) -> Mapping[str, Any] | None:
    """Play and write what was asked for; return the manifest, or None where it was stopped before the end.

    Args:
        options: what to play, and where to write it.
        report: called with the games recorded and all games after every shard.
        stop: once set, the games end; complete shards stay.
    """
    writer, jobs = open_recording(options)
    all_games = len(plan_games(options))
    games = all_games - sum(len(job.games) for job in jobs)
    report(games, all_games)
    timeout = timeout_seconds(max((len(job.games) for job in jobs), default=0) * options.max_steps)
    remaining = len(jobs)
    try:
        for index, shard in run_jobs(None, jobs, num_workers=options.workers, job_timeout_seconds=timeout, stop=stop):
            writer.add(shard)
            remaining -= 1
            games += len(jobs[index].games)
            report(games, all_games)
    finally:
        writer.close()
    return None if remaining else read_manifest(options.output)


def summary(manifest: Mapping[str, Any]) -> list[str]:
    """Return lines that tell what a recording holds."""
    counts = manifest["counts"]
    steps = max(1, counts.get("steps", 0))
    size = f"{counts['bytes'] / 2**20:.1f} MiB, {counts['bytes'] / steps:.0f} bytes a step"
    lines = [
        f"{counts['games']} games, {counts['player_games']} player games, {counts['steps']} steps, "
        f"{counts['decisions']} decisions, {size}"
    ]
    if manifest["left_out"]:
        lines.append("not in the recorded actions:")
        lines += [f"  {number:>8} {reason}" for reason, number in manifest["left_out"].items()]
    return lines
