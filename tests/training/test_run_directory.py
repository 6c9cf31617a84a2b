"""A run directory is refused before anything starts, or holds what is written to it."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from envs import folder_lock
from training import run_directory
from training.run_directory import RunDirectory, RunDirectoryError, prepare_run_directory


def test_a_new_directory_is_made_and_left_clean(tmp_path: Path) -> None:
    run = prepare_run_directory(tmp_path / "runs" / "a")
    assert run == RunDirectory(tmp_path / "runs" / "a")
    assert sorted(path.name for path in run.path.rglob("*")) == [".in-use", "checkpoints", "games"]


def test_a_directory_with_something_in_it_needs_resume(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"is not empty.*--resume auto.*--run-dir"):
        prepare_run_directory(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "config.json").write_text("{}")
    prepare_run_directory(tmp_path, resume=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_resume_may_start_a_new_run(tmp_path: Path) -> None:
    for _ in range(2):  # the second time over what a start leaves that was killed before it had settings
        assert prepare_run_directory(tmp_path / "new", resume=True).checkpoints.is_dir()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("runs", "no run to go on with, but other files, such as a"),
        ("runs/a/checkpoints", r"has the checkpoints of a run: give its directory, .*runs/a$"),
        ("runs/a/checkpoints/000000000100", "is a checkpoint: give the run directory"),
    ],
)
def test_resume_begins_no_run_inside_of_something_else(tmp_path: Path, place: str, message: str) -> None:
    checkpoint = tmp_path / "runs/a/checkpoints/000000000100"
    checkpoint.mkdir(parents=True)
    (checkpoint / "metadata.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunDirectoryError, match=message):
        prepare_run_directory(tmp_path / place, resume=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_two_processes_have_no_run_in_one_directory(tmp_path: Path) -> None:
    code = (
        "import sys, time; from training.run_directory import prepare_run_directory\n"
        "prepare_run_directory(sys.argv[1], resume=True); print('there', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "there\n"
            with pytest.raises(RunDirectoryError, match="another process has a run in"):
                prepare_run_directory(tmp_path / "a", resume=True)
        finally:
            other.kill()
    for _ in range(2):
        prepare_run_directory(tmp_path / "a", resume=True)


def test_a_directory_that_was_removed_and_made_again_is_occupied_again(tmp_path: Path) -> None:
    for _ in range(2):
        prepare_run_directory(tmp_path / "a")
        assert (tmp_path / "a/.in-use").is_file()
        shutil.rmtree(tmp_path / "a")


def test_a_place_that_cannot_be_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(OSError, match=r"cannot use the run directory.*nothing was started.*--run-dir") as caught:
            prepare_run_directory(path)
        assert caught.value.filename == str(path)


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**40, 2**40 - 2**20, 2**20))
    with pytest.raises(OSError, match="1 MiB of disk space are left, at least 256 are needed") as caught:
        prepare_run_directory(tmp_path / "a")
    assert caught.value.errno == errno.ENOSPC


def test_a_quota_shows_itself_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, data: bytes) -> None:
        path.write_bytes(data[:10])
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(run_directory, "write_durably", fail)
    with pytest.raises(OSError, match=r"Disk quota exceeded.*Make it writable"):
        prepare_run_directory(tmp_path / "a")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_file_system_without_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock.fcntl, "flock", fail)
    assert prepare_run_directory(tmp_path / "a").games.is_dir()


def test_config_comes_back(tmp_path: Path) -> None:
    run = prepare_run_directory(tmp_path)
    run.write_config({"config_version": 1, "maps": ("a", "b"), "path": Path("x/y")})
    assert run.read_config() == {"config_version": 1, "maps": ["a", "b"], "path": "x/y"}
    run.write_config({"config_version": 1})
    assert run.read_config() == {"config_version": 1}
    with pytest.raises(ValueError, match="config_version"):
        run.write_config({"maps": 1})
    with pytest.raises(TypeError, match="cannot write object as JSON"):
        run.write_config({"config_version": 1, "x": object()})
    assert run.read_config() == {"config_version": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".in-use", "checkpoints", "config.json", "games"]


def test_a_directory_without_config_is_no_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(RunDirectoryError, match=r"there is no .*config\.json"):
        run.read_config()
    run.config_file.write_text("{")
    with pytest.raises(RunDirectoryError, match="is not JSON"):
        run.read_config()
    run.config_file.write_text("{}")
    with pytest.raises(RunDirectoryError, match="is not the config of a run"):
        run.read_config()


def test_every_start_is_noted(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for start in range(3):
        run.write_environment({"start": start})
    noted = json.loads(run.environment_file.read_text())
    assert noted == {"start": 2, "earlier_starts": [{"start": 0}, {"start": 1}]}
    run.environment_file.write_text("damaged")
    run.write_environment({"start": 3})
    assert json.loads(run.environment_file.read_text()) == {"start": 3, "earlier_starts": []}
