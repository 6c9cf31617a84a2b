from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.slow
def test_the_packaged_client_plays_the_same_games(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from parity import compare  # type: ignore[import-not-found]

    opponents = ["WorkerRush", "LightRush", "RangedRush", "PassiveAI"]
    result = compare(game_steps=8_000, max_steps=300, opponents=opponents)
    assert result["parity_game_steps"] >= 8_000
    assert result["parity_episodes"] > 6
    assert result["parity_mismatches_by_kind"] == {"masks": 0, "rewards": 0, "endings": 0}
