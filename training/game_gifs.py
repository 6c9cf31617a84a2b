"""Games as GIFs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from envs.errors import GameCrashedError
from training.environment_config import MicroRTSConfig
from training.environments import make_environment
from training.policies import Player, play_episodes

logger = logging.getLogger(__name__)

Array = NDArray[Any]

OUR_NAME = "PerceiverStar"
BOARD_PIXELS = 384
MILLISECONDS_PER_GAME_STEP = 40
_SHORTEST_FRAME_MILLISECONDS, _LONGEST_FRAME_MILLISECONDS = 60, 400
_LAST_FRAME_MILLISECONDS = 2000
_COLOURS = 64


@dataclass(frozen=True)
class GameGif:
    """A game that was written to a file: outcome (+1, 0, -1), game steps, and frames of the GIF."""

    path: Path
    outcome: int
    game_steps: int
    frames: int


@dataclass(frozen=True, kw_only=True)
class GifJob:
    """A game to be played and written to a GIF; a job for `run_jobs`, whose context is the players by name."""

    player: str
    title: str = OUR_NAME
    environment: MicroRTSConfig
    opponent: str
    side: int
    mode: str
    seed: int
    path: Path
    max_frames: int = 200

    def run(self, players: Mapping[str, Player]) -> GameGif | None:
        """Play the game and write it; None, with a warning, where the game or its AI fails.

        Raises:
            OSError: if the file cannot be written.
        """
        try:
            return write_game(players[self.player], self)
        except GameCrashedError as error:
            logger.warning("the game against %s leaves no GIF: %s", self.opponent, error)
            return None


def write_game(player: Player, job: GifJob) -> GameGif:
    """Play a game and write it to a GIF: at most `max_frames` pictures, evenly spread over the game's time."""
    observations: list[dict[str, Array]] = []
    times: list[int] = []

    def watch(observation: dict[str, Array], elapsed_steps: Array) -> None:
        observations.append({key: value[0].copy() for key, value in observation.items()})
        times.append((times[-1] if times else 0) + int(elapsed_steps[0]))

    environment = make_environment(
        job.environment,
        1,
        seed=job.seed,
        opponents=[job.opponent],
        agent_players=[job.side],
    )
    try:
        policy = player.policy(environment, job.mode)
        episodes = play_episodes(environment, policy, seed=job.seed, watch=watch)
    finally:
        environment.close()
    chosen = spread(times, job.max_frames)
    pictures = [_picture(observations[index], job) for index in chosen]
    write_gif(job.path, pictures, frame_durations([times[index] for index in chosen]))
    return GameGif(job.path, int(episodes.outcomes[0]), int(episodes.lengths[0]), len(chosen))


def _picture(observation: dict[str, Array], job: GifJob) -> Array:
    from envs.microrts.render import render_observation

    height, width = observation["planes"].shape[-2:]
    return render_observation(
        observation,
        player_name=job.title,
        opponent=job.opponent,
        max_steps=job.environment.max_steps,
        cell_pixels=max(12, BOARD_PIXELS // max(height, width)),
    )


def spread(times: Sequence[int], most: int) -> list[int]:
    """Return at most `most` indices of increasing times, evenly spread in time, the first and the last included."""
    if len(times) <= most:
        return list(range(len(times)))
    wanted = np.linspace(times[0], times[-1], max(2, most))
    return sorted({int(index) for index in np.searchsorted(times, wanted)})


def frame_durations(times: Sequence[int]) -> list[int]:
    """Return how long each picture is shown, in milliseconds; times are in game steps."""
    shown = np.diff(np.asarray(times)) * MILLISECONDS_PER_GAME_STEP
    shown = np.clip(shown, _SHORTEST_FRAME_MILLISECONDS, _LONGEST_FRAME_MILLISECONDS)
    return [*(int(duration) for duration in shown), _LAST_FRAME_MILLISECONDS]


def write_gif(path: Path, pictures: Sequence[Array], durations: Sequence[int]) -> None:
    """Write pictures uint8 [height, width, 3] as a GIF that repeats; one palette for all keeps the file small.

    Raises:
        OSError: if the file cannot be written.
    """
    # The last picture of a game alone may lack colours; the first, middle and last together have them all.
    samples = np.concatenate([pictures[0], pictures[len(pictures) // 2], pictures[-1]])
    palette = Image.fromarray(samples).quantize(_COLOURS, dither=Image.Dither.NONE)
    frames = [Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        path, format="GIF", save_all=True, append_images=frames[1:], duration=list(durations), loop=0, optimize=False
    )
