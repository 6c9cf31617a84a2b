"""Settings of all tests."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch

from tests.starcraft2_standin.install import install

torch.set_num_threads(1)  # threads that wait for each other beside busy neighbours are many times slower


@pytest.fixture(autouse=True)
def _annotations_checked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the annotated shapes of tensor functions, except in tests that hand over what must be refused."""
    expects_refusal = "pytest.raises(" in inspect.getsource(request.function)
    jaxtyping.config.update("jaxtyping_disable", expects_refusal)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def stand_in_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the stand-in game is installed."""
    return install(tmp_path_factory.mktemp("stand-in"))


@pytest.fixture
def stand_in(stand_in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let SC2PATH name the stand-in game."""
    monkeypatch.setenv("SC2PATH", str(stand_in_folder))
    return stand_in_folder


@pytest.fixture
def plan_faults(stand_in: Path) -> Iterator[Callable[..., None]]:
    """Return what plans the faults of games that start from now on; without arguments, none."""
    path = stand_in / "faults.json"

    def plan(*faults: dict[str, Any], **settings: Any) -> None:
        path.unlink(missing_ok=True)
        if faults or settings:
            path.write_text(json.dumps({"faults": list(faults), **settings}), encoding="utf-8")

    yield plan
    path.unlink(missing_ok=True)
