"""Plays planned matches and episodes on all cores, and keeps what is finished."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from training.episode_evaluation import EpisodeBatch, ReturnResult, return_results
from training.evaluation import MatchBatch, MatchResult, match_results
from training.kept_results import KeptResults
from training.workers import run_jobs, timeout_seconds

_LONGEST_EPISODES_SECONDS = 3600.0

Report = Callable[[int, int], None]
"""Called with the games played and all games after every batch."""


def play_matches(
    contestants: Mapping[str, Any],
    batches: Sequence[MatchBatch],
    *,
    num_workers: int | None = None,
    report: Report = lambda games, all_games: None,
    stop: threading.Event | None = None,
    kept: KeptResults | None = None,
) -> list[MatchResult] | None:
    """Return the results of all planned matches, played on all cores; None where they were stopped.

    Those in `kept` are not played again.
    """
    longest = max((batch.num_games * batch.environment.max_steps for batch in batches), default=0)
    games = _play(contestants, batches, timeout_seconds(longest), num_workers, report, stop, kept)
    return None if games is None else match_results(batches, games)


def play_episode_batches(
    players: Mapping[str, Any],
    batches: Sequence[EpisodeBatch],
    *,
    num_workers: int | None = None,
    report: Report = lambda games, all_games: None,
    stop: threading.Event | None = None,
    kept: KeptResults | None = None,
) -> list[ReturnResult] | None:
    """Return the results of all planned episodes, played on all cores; None where they were stopped.

    Those in `kept` are not played again.
    """
    returns = _play(players, batches, _LONGEST_EPISODES_SECONDS, num_workers, report, stop, kept)
    return None if returns is None else return_results(batches, returns)


def _play(
    context: Any,
    batches: Sequence[MatchBatch] | Sequence[EpisodeBatch],
    timeout: float,
    num_workers: int | None,
    report: Report,
    stop: threading.Event | None,
    kept: KeptResults | None,
) -> list[Any] | None:
    results: dict[int, Any] = {} if kept is None else dict(kept.results)
    missing = [index for index in range(len(batches)) if index not in results]
    games, all_games = sum(batches[index].num_games for index in results), sum(batch.num_games for batch in batches)
    report(games, all_games)
    jobs = [batches[index] for index in missing]
    for number, result in run_jobs(context, jobs, num_workers=num_workers, job_timeout_seconds=timeout, stop=stop):
        index = missing[number]
        results[index] = result
        if kept is not None:
            kept.add(index, result)
        games += batches[index].num_games
        report(games, all_games)
    return [results[index] for index in range(len(batches))] if len(results) == len(batches) else None
