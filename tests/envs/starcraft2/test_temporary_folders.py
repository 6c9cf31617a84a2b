from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from envs.starcraft2.temporary_folders import TemporaryFolder, remove_abandoned_folders

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs file locks of POSIX")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_removed_with_its_files(temporary: Path) -> None:
    before = psutil.Process().num_fds()
    folder = TemporaryFolder()
    (folder.path / "game").mkdir()
    (folder.path / "game" / "file").touch()
    folder.remove()
    folder.remove()
    assert not list(temporary.iterdir())
    assert psutil.Process().num_fds() == before


def test_folders_in_use_are_kept(temporary: Path) -> None:
    first, second = TemporaryFolder(), TemporaryFolder()
    remove_abandoned_folders()
    assert {first.path, second.path} == set(temporary.iterdir())
    first.remove()
    second.remove()


def test_folders_of_killed_processes_are_removed(temporary: Path) -> None:
    code = "import sys, time; from envs.starcraft2.temporary_folders import TemporaryFolder\n"
    code += "print(TemporaryFolder().path, flush=True); time.sleep(600)"
    environment = {"TMPDIR": str(temporary), "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as maker:
        assert maker.stdout is not None
        path = Path(maker.stdout.readline().strip())
        TemporaryFolder().remove()
        assert path.is_dir()
        maker.send_signal(signal.SIGKILL)
    assert path.is_dir()
    TemporaryFolder().remove()
    assert not path.exists()


def test_a_folder_that_is_just_being_made_is_kept(temporary: Path) -> None:
    made = Path(tempfile.mkdtemp(prefix="perceiver-star-sc2-"))
    (temporary / "another-program").mkdir()
    remove_abandoned_folders()
    assert made.is_dir()
    assert (temporary / "another-program").is_dir()
