"""The main loop: experience -> learner -> weights, until the steps or the time are used up."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from agent.agent import Agent
from training.agent_learner import AgentLearner
from training.config import TrainConfig
from training.environment_config import NO_OPPONENT
from training.league import League
from training.learner import Learner
from training.sources import Experience, ExperienceSource

EPISODE_WINDOW = 100


@dataclass
class Progress:
    """Counters of a run; they are saved with every checkpoint and continue after a resume."""

    game_steps: int = 0
    decisions: int = 0
    updates: int = 0
    seconds: float = 0.0
    episodes: int = 0

    def share(self, config: TrainConfig) -> float:
        """Return the share of the training that is done, by steps or by the clock, 0 to 1."""
        shares = [self.game_steps / config.total_steps]
        if config.max_minutes is not None:
            shares.append(self.seconds / (60 * config.max_minutes))
        return min(1.0, max(shares))


@dataclass
class EpisodeStatistics:
    """Outcomes, returns and lengths of the last episodes against each opponent."""

    recent: dict[str, deque[tuple[float, int, int]]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=EPISODE_WINDOW))
    )

    def add(self, experience: Experience) -> None:
        """Take in the finished episodes of a batch."""
        for episode in experience.episodes:
            # Past selves come and go: together they are one opponent.
            self.recent[episode.opponent.partition("@")[0]].append(
                (episode.episodic_return, episode.length, episode.outcome)
            )

    def state_dict(self) -> dict[str, list[tuple[float, int, int]]]:
        """Return what a checkpoint holds of them."""
        return {
            opponent: [(float(gained), int(length), int(outcome)) for gained, length, outcome in episodes]
            for opponent, episodes in self.recent.items()
        }

    def load_state_dict(self, state: dict[str, list[tuple[float, int, int]]]) -> None:
        """Go on from what `state_dict` returned."""
        for opponent, episodes in state.items():
            self.recent[opponent].extend(episodes)

    def metrics(self) -> dict[str, float]:
        """Return means over the last episodes, and the training win rate against each opponent."""
        everything = [episode for episodes in self.recent.values() for episode in episodes]
        if not everything:
            return {}
        metrics = {
            "charts/episodic_return": float(np.mean([episode[0] for episode in everything])),
            "charts/episodic_length": float(np.mean([episode[1] for episode in everything])),
        }
        for opponent, episodes in self.recent.items():
            if opponent == NO_OPPONENT:
                continue
            metrics[f"charts/win_rate/{opponent}"] = float(np.mean([episode[2] > 0 for episode in episodes]))
        return metrics


@dataclass(frozen=True)
class Update:
    """What the loop yields after each update."""

    progress: Progress
    metrics: dict[str, float]


def training_loop(
    config: TrainConfig,
    agent: Agent,
    learner: Learner,
    source: ExperienceSource,
    progress: Progress,
    league: League,
    statistics: EpisodeStatistics,
) -> Iterator[Update]:
    """Train until the steps or minutes of the config are used up; yield after every update.

    The caller logs, saves checkpoints and may stop at any yield; `progress`, `league` and `statistics` are updated in
    place.
    """
    freeze_if_due(league, agent, progress.updates)
    source.publish(agent, progress.updates)
    while progress.share(config) < 1.0:
        start = time.perf_counter()
        experience = source.next()
        learn_start = time.perf_counter()
        metrics = learner.update(experience.trajectories, progress.share(config))
        lag = policy_lag(experience, progress.updates)
        statistics.add(experience)
        for episode in experience.episodes:
            league.add(episode.opponent, episode.side, episode.outcome, episode.length)
        steps = sum(trajectory.num_game_steps for trajectory in experience.trajectories)
        progress.updates += 1
        progress.game_steps += steps
        progress.decisions += sum(len(t.observations.decision["action"]) for t in experience.trajectories)
        progress.episodes += len(experience.episodes)
        freeze_if_due(league, agent, progress.updates)
        source.publish(agent, progress.updates)
        end = time.perf_counter()
        progress.seconds += end - start
        metrics |= {
            **experience.metrics,
            **statistics.metrics(),
            **league.metrics(),
            "charts/SPS": steps / (end - start),
            "rollout/policy_lag": lag,
            "rollout/learner_waiting_share": (learn_start - start) / (end - start),
            "rollout/observations_per_second": sum(t.num_steps for t in experience.trajectories) / (end - start),
        }
        yield Update(progress, metrics)


def freeze_if_due(league: League, agent: Agent, version: int) -> None:
    """Let the agent become one of its own opponents, where the league wants one of this version."""
    if league.is_due(version):
        league.freeze(version, {name: value.detach().cpu().clone() for name, value in agent.state_dict().items()})


def policy_lag(experience: Experience, version: int) -> float:
    """Return how many updates older than the learner's weights the acting weights were, on average."""
    return float(np.mean([version - trajectory.policy_version.mean() for trajectory in experience.trajectories]))


def training_state(learner: AgentLearner, progress: Progress) -> dict[str, Any]:
    """Return what a checkpoint holds beside weights and config."""
    return {
        "learner": learner.state_dict(),
        "progress": {**vars(progress)},
        "torch_rng": torch.get_rng_state(),
    }


def restore_training_state(state: dict[str, Any], learner: AgentLearner, progress: Progress) -> None:
    """Continue from what `training_state` returned."""
    learner.load_state_dict(state["learner"])
    for name, value in state["progress"].items():
        setattr(progress, name, value)
    torch.set_rng_state(state["torch_rng"])
