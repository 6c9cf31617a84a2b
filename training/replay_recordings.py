"""StarCraft II replays as recordings: what `perceiver-star imitate` reads, whatever game it is of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from agent.interface import AgentSpec
from envs.starcraft2.functions import function_calls_space
from envs.starcraft2.observation import observation_space
from envs.starcraft2.replays import ReplayReport, ReplaySettings, convert_replays
from envs.starcraft2.rewards import WIN_LOSS


def record_replays(
    paths: Iterable[Path],
    output_directory: Path,
    *,
    directory: Path | None = None,
    settings: ReplaySettings | None = None,
    resume: bool = False,
) -> ReplayReport:
    """Play replays through the game and write a recording that `Demonstrations` reads.

    Args:
        paths: the replays.
        output_directory: made if missing.
        directory: the game's folder; default the one that is found.
        settings: which replays to use and how.
        resume: go on with the recording in the folder.

    Raises:
        GameNotFoundError: if there is no game at all.
        RecordingError: if the folder holds a recording already, or, to resume, another one.
    """
    settings = settings or ReplaySettings()
    spec = AgentSpec.from_spaces(
        observation_space(max_entities=settings.max_entities), function_calls_space(settings.max_entities), (WIN_LOSS,)
    )
    header = {"layout": asdict(spec), "max_steps": None}
    return convert_replays(
        paths, output_directory, directory=directory, settings=settings, header=header, resume=resume
    )
