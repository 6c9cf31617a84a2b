"""What every kind of run has: its directory, its checkpoints and its figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.agent import Agent
from training.agent_learner import AgentLearner
from training.checkpoint import Checkpoint, newest_intact, save_checkpoint
from training.checkpoint_compatibility import check_compatible, with_later_fields
from training.checkpoint_errors import CheckpointMismatchError
from training.config import TrainConfig, to_dict
from training.loop import Progress, restore_training_state, training_state
from training.metrics import CompositeLogger, JsonLinesLogger, TensorBoardLogger
from training.progress_line import ProgressLine
from training.run_directory import RunDirectory


@dataclass
class SavedRun:
    """A run that goes on or has ended; everything it has to say is in its directory.

    Attributes:
        identity: what a checkpoint must agree with: game build, layout, network.
        checkpoint: the newest one, None before the first.
    """

    config: TrainConfig
    directory: RunDirectory
    identity: dict[str, Any]
    agent: Agent
    learner: AgentLearner
    progress: Progress = field(default_factory=Progress)
    checkpoint: Path | None = None

    @property
    def complete(self) -> bool:
        """Whether all steps, or the time, are used up."""
        return self.progress.share(self.schedule) >= 1.0

    @property
    def ending(self) -> str:
        """What is said of a run that is complete."""
        return "training is complete"

    @property
    def schedule(self) -> TrainConfig:
        """The config by which the share that is done is told."""
        return self.config

    def settings(self) -> dict[str, Any]:
        """Return the run's settings as plain values, as its directory holds them."""
        return to_dict(self.config)

    def training_state(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside weights and settings."""
        return training_state(self.learner, self.progress)

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Go on from what `training_state` returned."""
        restore_training_state(state, self.learner, self.progress)

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            CheckpointWriteError: if the disk is full or not writable; the last checkpoint stays good.
        """
        self.checkpoint = save_checkpoint(
            self.directory.checkpoints,
            self.progress.game_steps,
            weights=self.agent.state_dict(),
            training_state=self.training_state(),
            metadata={**self.identity, "config": to_dict(self.config), "policy_version": self.progress.updates},
            keep=self.config.keep_checkpoints,
        )

    def restore(self, allow_version_mismatch: bool = False) -> None:
        """Go on from the newest checkpoint that is not damaged.

        Raises:
            CheckpointError: if all are damaged, or it does not fit.
        """
        checkpoint = newest_intact(self.directory.checkpoints)
        check_compatible(with_later_fields(checkpoint.metadata), self.identity, allow_version_mismatch)
        with mismatch_reported(checkpoint):
            self.agent.load_state_dict(checkpoint.weights)
            self.load_training_state(checkpoint.training_state)
        self.checkpoint = checkpoint.path

    def progress_line(self) -> ProgressLine:
        """Return what tells how far the run is."""
        return ProgressLine(self.schedule, self.progress)

    def loggers(self) -> CompositeLogger:
        """Return what writes the run's figures."""
        # A run that was killed before its first checkpoint begins anew, and what it has logged does not count.
        goes_on = self.progress.game_steps > 0 or self.directory.metrics_file.exists()
        resumed_at = self.progress.game_steps if goes_on else None
        tensorboard = TensorBoardLogger(self.directory.path, resumed_at=resumed_at)
        return CompositeLogger([tensorboard, JsonLinesLogger(self.directory.metrics_file)])


@contextmanager
def mismatch_reported(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn what does not fit in a checkpoint that is whole into a CheckpointMismatchError."""
    try:
        yield
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointMismatchError(
            f"the checkpoint {checkpoint.path}, written by perceiver-star {checkpoint.metadata['software_version']}, "
            f"does not fit this version or these settings ({type(error).__name__}: {error}); use those it was trained "
            "with"
        ) from error
