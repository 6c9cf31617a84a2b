from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

SCRIPT = Path(__file__).parents[2] / "examples" / "custom_env.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("custom_env", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:.*(infinity|not in the range):UserWarning")
def test_is_a_proper_environment(example: ModuleType) -> None:
    check_env(example.Gatherers(), skip_render_check=True)


def test_legal_orders_keep_workers_on_the_map_and_win_gems(example: ModuleType) -> None:
    env = example.Gatherers()
    totals, lengths = [], []
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        assert observation["entity_mask"].tolist() == [1] * (example.WORKERS + example.GEMS)
        total, length, ended = 0.0, 0, False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            assert env.observation_space.contains(observation)
            total, length, ended = total + reward, length + 1, terminated or truncated
            assert observation["entity_mask"].sum() == example.WORKERS + example.GEMS - total
        assert terminated == (total == example.GEMS)
        totals.append(total)
        lengths.append(length)
    assert 0 < np.mean(totals) < example.GEMS
    assert max(lengths) == example.MAX_STEPS


def test_only_workers_get_orders_and_walls_forbid_directions(example: ModuleType) -> None:
    env = example.Gatherers()
    env.reset(seed=0)
    env.workers = np.array([(0, 0), (example.SIDE - 1, 2)])
    env.gems = np.zeros((0, 2), int)
    mask = env._observation()["action_mask"]
    assert mask[0].tolist() == [1, 1, 0, 1, 1, 0]
    assert mask[1].tolist() == [1, 1, 1, 0, 1, 1]
    assert not mask[2:].any()


@pytest.mark.slow
def test_trains_through_the_main_loop(example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example.main(str(tmp_path / "run"), total_steps=2_000)
    assert 0 < float(capsys.readouterr().out.split()[-1]) < example.GEMS
    metadata = json.loads((tmp_path / "run/checkpoints/latest/metadata.json").read_text())
    assert metadata["layout"]["action"]["arguments"] == [[], [1]]


def test_is_as_short_as_the_readme_says() -> None:
    assert len(SCRIPT.read_text().splitlines()) < 80
