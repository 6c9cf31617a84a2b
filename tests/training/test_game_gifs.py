"""A game becomes a GIF of few, evenly spread pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.contestants import RandomContestant
from training.environment_config import MicroRTSConfig
from training.game_gifs import GifJob, frame_durations, spread, write_gif


def test_few_times_are_all_kept_and_many_are_spread_evenly() -> None:
    assert spread([0, 3, 4], 5) == [0, 1, 2]
    times = list(range(0, 1000, 2))
    chosen = spread(times, 11)
    assert chosen[0] == 0
    assert chosen[-1] == len(times) - 1
    assert len(chosen) == 11
    gaps = np.diff([times[index] for index in chosen])
    assert gaps.min() >= 98
    assert gaps.max() <= 102


def test_times_that_bunch_up_do_not_get_more_pictures() -> None:
    times = [*range(100), 1000]
    chosen = spread(times, 5)
    assert chosen[0] == 0
    assert chosen[-1] == 100
    assert len(chosen) <= 5
    assert chosen == sorted(set(chosen))


def test_pictures_are_shown_as_long_as_the_game_took() -> None:
    assert frame_durations([0, 2, 5, 1000]) == [80, 120, 400, 2000]


def test_a_gif_has_all_pictures_in_their_colours(tmp_path: Path) -> None:
    pictures = [np.full((20, 30, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    path = tmp_path / "new" / "game.gif"
    write_gif(path, pictures, [100, 200, 300])
    with Image.open(path) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
        assert image.size == (30, 20)
        for index, picture in enumerate(pictures):
            image.seek(index)
            assert image.info["duration"] == 100 * (index + 1)
            np.testing.assert_allclose(np.asarray(image.convert("RGB")), picture, atol=8)


def test_a_game_is_shown_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip("jpype")
    path = tmp_path / "WorkerRush.gif"
    job = GifJob(
        player="random",
        environment=MicroRTSConfig(max_steps=60),
        opponent="PassiveAI",
        side=1,
        mode="sampled",
        seed=2,
        path=path,
        max_frames=10,
    )
    game = job.run({"random": RandomContestant()})
    assert (game.outcome, game.game_steps, game.path) == (0, 60, path)
    assert 2 <= game.frames <= 10
    with Image.open(path) as image:
        assert 2 <= image.n_frames <= game.frames  # type: ignore[attr-defined]
    assert path.stat().st_size < 200_000
    again = job.run({"random": RandomContestant()})
    assert again == game
