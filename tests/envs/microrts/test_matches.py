from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs.errors import GameCrashedError, UnknownNameError
from envs.microrts import play_ai_games
from tests.envs.microrts.games import MAP_8


@pytest.mark.parametrize("player", [0, 1])
def test_a_rush_beats_an_ai_that_does_nothing_from_either_side(player: int) -> None:
    results = play_ai_games(MAP_8, "WorkerRush", "PassiveAI", num_games=2, player=player)
    assert results.outcomes.tolist() == [1, 1]
    assert (results.game_steps < 2000).all()
    lost = play_ai_games(MAP_8, "PassiveAI", "WorkerRush", num_games=1, player=1 - player)
    assert lost.outcomes.tolist() == [-1]


def test_two_passive_ais_draw_at_the_step_limit() -> None:
    results = play_ai_games(MAP_8, "PassiveAI", "PassiveAI", num_games=2, max_steps=60)
    assert results.outcomes.tolist() == [0, 0]
    assert results.game_steps.tolist() == [60, 60]


def test_equal_seeds_give_equal_games_and_games_differ_from_each_other() -> None:
    first, second, other = (
        play_ai_games(MAP_8, "RandomBiasedAI", "WorkerRush", num_games=4, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.game_steps, second.game_steps)
    assert len(set(first.game_steps.tolist())) > 1
    assert first.game_steps.tolist() != other.game_steps.tolist()


def test_a_file_that_is_no_map_is_an_error_of_the_game(tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_text("<wrong/>")
    with pytest.raises(GameCrashedError, match="in a match of WorkerRush against LightRush"):
        play_ai_games(str(tmp_path / "bad.xml"), "WorkerRush", "LightRush", num_games=1)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="player 0 or 1"):
        play_ai_games(MAP_8, "PassiveAI", "PassiveAI", num_games=1, player=2)
    with pytest.raises(UnknownNameError, match="WorkerRush"):
        play_ai_games(MAP_8, "WorkrRush", "PassiveAI", num_games=1)
