"""What a run ends with: matches or episodes, figures, and a game to watch against each opponent."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from agent.agent import Agent
from envs.files import replace_durably
from training.config import to_dict
from training.contestants import AgentContestant
from training.environment_config import (
    EnvironmentConfig,
    GymnasiumConfig,
    MatchConfig,
    MicroRTSConfig,
    StarCraft2Config,
    is_scored,
)
from training.environments import place_of
from training.episode_evaluation import EpisodeBatch, ReturnResult, plan_episodes, return_metrics
from training.evaluation import MatchBatch, MatchResult, mean_win_rate, plan_matches, result_metrics
from training.files import to_json
from training.game_gifs import GameGif, GifJob
from training.kept_results import KeptResults
from training.play import Report, play_episode_batches, play_matches
from training.saved_run import SavedRun
from training.workers import run_jobs

TRAINED, UNTRAINED = "trained", "untrained"


@dataclass(frozen=True, kw_only=True)
class FinalEvaluation:
    """What was found.

    Attributes:
        results: matches of the trained agent.
        baseline: the same matches of the network as it was before training.
        returns: episodes, where there are no opponents.
        games: GIFs.
    """

    results: list[MatchResult] = field(default_factory=list)
    baseline: list[MatchResult] = field(default_factory=list)
    returns: list[ReturnResult] = field(default_factory=list)
    games: list[GameGif] = field(default_factory=list)


def evaluate_run(run: SavedRun, report: Report, stop: threading.Event) -> FinalEvaluation | None:
    """Play what a run ends with, write evaluation.json, TensorBoard's figures and a GIF for each opponent.

    Where it is interrupted or fails, the games that were played are kept, and the next call goes on with them.

    Args:
        run: a run that has trained; its processes have ended.
        report: called with the games played and all games after every batch.
        stop: once set, the games end.

    Returns:
        What was found, or None where it was stopped.
    """
    players = {TRAINED: AgentContestant(run.agent)}
    if run.config.evaluation.untrained_baseline:
        players[UNTRAINED] = AgentContestant(untrained_agent(run))
    environment = run.config.environment
    if isinstance(environment, StarCraft2Config):
        environment = replace(environment, replay_directory=str(run.directory.games.resolve()), replay_interval=1)
    if is_scored(environment) or isinstance(environment, GymnasiumConfig):
        return _evaluate_returns(run, environment, players, report, stop)
    return _evaluate_matches(run, environment, players, report, stop)


def _kept(
    run: SavedRun, players: Mapping[str, AgentContestant], batches: Sequence[MatchBatch] | Sequence[EpisodeBatch]
) -> KeptResults:
    identities = {name: player.identity for name, player in players.items()}
    return KeptResults(run.directory.evaluation_file, identities, batches, existing="replace")


def untrained_agent(run: SavedRun) -> Agent:
    """Return the run's network as it was before any training."""
    with torch.random.fork_rng():
        torch.manual_seed(run.config.seed)
        return Agent(run.agent.spec, run.agent.config)


def _evaluate_matches(
    run: SavedRun,
    environment: MatchConfig,
    players: Mapping[str, AgentContestant],
    report: Report,
    stop: threading.Event,
) -> FinalEvaluation | None:
    if not run.config.evaluation.opponents:
        return FinalEvaluation()
    batches = plan_matches(environment, run.config.evaluation, players, place=place_of(environment))
    # How the network played before training is compared in one mode only.
    first_mode = run.config.evaluation.modes[0]
    batches = [batch for batch in batches if batch.contestant == TRAINED or batch.mode == first_mode]
    kept = _kept(run, players, batches)
    results = play_matches(players, batches, report=report, stop=stop, kept=kept)
    if results is None:
        return None
    trained = [result for result in results if result.contestant == TRAINED]
    baseline = [result for result in results if result.contestant == UNTRAINED]
    before = {name.replace("win_rate", "untrained_win_rate"): rate for name, rate in result_metrics(baseline).items()}
    _write(run, results, {**result_metrics(trained), **before}, {"evaluation/mean_win_rate": mean_win_rate(trained)})
    # The games of StarCraft II leave replays.
    games = _write_gifs(run, environment, players, stop) if isinstance(environment, MicroRTSConfig) else []
    if not stop.is_set():
        kept.remove()
    return FinalEvaluation(results=trained, baseline=baseline, games=games)


def _evaluate_returns(
    run: SavedRun,
    environment: EnvironmentConfig,
    players: Mapping[str, AgentContestant],
    report: Report,
    stop: threading.Event,
) -> FinalEvaluation | None:
    batches = plan_episodes(environment, run.config.evaluation, players, place=place_of(environment))
    kept = _kept(run, players, batches)
    results = play_episode_batches(players, batches, report=report, stop=stop, kept=kept)
    if results is None:
        return None
    metrics = return_metrics([result for result in results if result.player == TRAINED])
    _write(run, results, metrics, metrics)
    if not stop.is_set():
        kept.remove()
    return FinalEvaluation(returns=results)


class _Result(Protocol):
    def to_row(self) -> dict[str, Any]: ...


def _write(run: SavedRun, results: Sequence[_Result], metrics: Mapping[str, float], final: Mapping[str, float]) -> None:
    replace_durably(run.directory.evaluation_file, to_json([result.to_row() for result in results]))
    loggers = run.loggers()
    try:
        loggers.log(run.progress.game_steps, metrics)
        loggers.hparams(to_dict(run.config), final)
    finally:
        loggers.close()


def _write_gifs(
    run: SavedRun, environment: MicroRTSConfig, players: Mapping[str, AgentContestant], stop: threading.Event
) -> list[GameGif]:
    evaluation = run.config.evaluation
    jobs = [
        GifJob(
            player=TRAINED,
            environment=replace(environment, max_steps=evaluation.max_steps),
            opponent=opponent,
            side=0,
            mode=evaluation.modes[0],
            seed=run.config.seed,
            path=run.directory.games / f"{opponent}.gif",
        )
        for opponent in dict.fromkeys(evaluation.opponents)
    ]
    games = sorted(run_jobs(players, jobs, stop=stop), key=lambda pair: pair[0])
    return [game for _, game in games if game is not None]
