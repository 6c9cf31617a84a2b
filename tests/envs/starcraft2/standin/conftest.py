from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("s2clientprotocol", reason="needs the extra [starcraft2]")

from tests.envs.starcraft2.standin.clients import Client
from tests.envs.starcraft2.standin.processes import Game
from tests.starcraft2_standin.install import install


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder name that a careless shell script would trip over."""
    return install(tmp_path_factory.mktemp("games") / "it's $HOME of StarCraft II")


@pytest.fixture
def client(installation: Path) -> Client:
    return Client(installation)


@pytest.fixture
def start(installation: Path) -> Iterator[Callable[..., Game]]:
    games: list[Game] = []

    def start_one(**environment: str) -> Game:
        games.append(Game(installation, **environment))
        return games[-1]

    yield start_one
    for game in games:
        game.close()
