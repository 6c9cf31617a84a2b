from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("s2clientprotocol", reason="needs the extra [starcraft2]")

from tests.envs.starcraft2.standin.clients import Client
from tests.starcraft2_standin.install import install


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder name that a careless shell script would trip over."""
    return install(tmp_path_factory.mktemp("games") / "it's $HOME of StarCraft II")


@pytest.fixture
def client(installation: Path) -> Client:
    return Client(installation)
