"""What the comparison's agents are taught: games of a map's AIs, recorded once, read alike for equal seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from paper_comparison_plan import MAPS, VARIANTS, Budget
from paper_comparison_results import recording_of

from agent import Agent
from training.demonstration_choice import Choice, ChosenGame, choose_games, repeated_games
from training.demonstration_streams import DemonstrationBatch, DemonstrationStreams
from training.demonstrations import Demonstrations
from training.imitation import ImitationLearner
from training.imitation_config import ImitationConfig
from training.learner_config import LearnerConfig
from training.record_command import RecordOptions, record

_STEPS_INTO_GAMES = 300
_FEWEST_WINS = 4


def record_map(directory: Path, game_map: str, budget: Budget) -> None:
    """Record the games of a map that are not there yet; fewer where only the lengths of their lists are of interest."""
    output, trained = recording_of(directory, game_map), MAPS[game_map].trained
    record(
        RecordOptions(
            players=budget.players,
            output=output,
            map_path=MAPS[game_map].path,
            games=budget.games_on(game_map) if trained else budget.recorded_games_for_lists,
            max_steps=budget.max_steps,
            random_orders=budget.random_orders,
            games_per_shard=MAPS[game_map].games_per_shard,
            resume=output.exists(),
        )
    )


class Lessons:
    """What every variant is taught from a map's recording, alike for equal seeds."""

    def __init__(self, recording: Path, game_map: str, budget: Budget) -> None:
        self.demonstrations = Demonstrations(recording)
        self.spec, self.budget = self.demonstrations.manifest.spec, budget
        wins = sum(game.outcome > 0 for game in self.demonstrations.player_games)
        self.config = ImitationConfig(
            data=str(self.demonstrations.directory),
            # The games of a tiny run end before they are won.
            outcome_weights=(1.0, 0.0, 0.0) if wins >= _FEWEST_WINS else (1.0, 1.0, 1.0),
            passes=budget.passes_on(game_map),
            streams=budget.streams,
            unroll_length=budget.unroll_length,
        )
        repeats = repeated_games(self.demonstrations)
        self.choice: Choice = choose_games(self.demonstrations.player_games, self.config, values=False, repeats=repeats)

    def training(self, seed: int) -> DemonstrationStreams:
        """Return all passes of a training."""
        return self._streams(self.choice.train, self.config.passes, seed)

    def held_out(self) -> DemonstrationStreams:
        """Return the games that are measured on."""
        return self._streams(self.choice.held_out, 1, None)

    def typical_batch(self, **sizes: int) -> DemonstrationBatch:
        """Return a batch from amid the games, to measure costs on: in their first steps there are few units."""
        streams = self._streams(self.choice.train, 1, seed=0, **sizes)
        unroll_length = sizes.get("unroll_length", self.budget.unroll_length)
        for batch in itertools.islice(batches(streams), 1 + _STEPS_INTO_GAMES // unroll_length):
            typical = batch
        return typical

    def _streams(
        self, games: tuple[ChosenGame, ...], passes: int, seed: int | None, **sizes: int
    ) -> DemonstrationStreams:
        return DemonstrationStreams(
            self.demonstrations,
            games,
            **{"num_streams": self.budget.streams, "unroll_length": self.budget.unroll_length, **sizes},
            reward_weights=np.ones(len(self.spec.reward_terms)),
            discounts=(1.0,),
            passes=passes,
            seed=seed,
        )

    def learner(self, variant: str, seed: int, device: str = "cpu") -> ImitationLearner:
        """Return a new agent of that variant with what trains it; as in the paper, only the policy is taught."""
        torch.manual_seed(seed)
        config = LearnerConfig(
            learning_rate=self.budget.learning_rate,
            final_learning_rate=self.budget.final_learning_rate,
            max_grad_norm=5.0,
            value_cost=0.0,
            discounts=(1.0,),
        )
        agent = Agent(self.spec, VARIANTS[variant])
        return ImitationLearner(agent, config, num_streams=self.budget.streams, device=device)


def batches(streams: DemonstrationStreams) -> Iterator[DemonstrationBatch]:
    """Yield all batches of streams."""
    while (batch := streams.next()) is not None:
        yield batch
