"""Checkpoints come back exactly, survive interrupted saves, and refuse what is damaged, foreign, newer or hostile."""

import dataclasses
import errno
import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.config import AgentConfig
from tests.agent import games
from training import checkpoint_paths
from training.checkpoint import (
    CheckpointError,
    CheckpointMismatchError,
    CheckpointNotFoundError,
    CheckpointWriteError,
    CorruptedCheckpointError,
    NewerCheckpointError,
    NotACheckpointError,
    check_compatible,
    latest_checkpoint,
    load_checkpoint,
    resolve_checkpoint,
    save_checkpoint,
)
from training.checkpoint_compatibility import with_later_fields
from training.files import to_json

METADATA = {"game": {"name": "microrts", "version": "1.0"}, "policy_version": 3}


def save(directory: Path, step: int = 100, keep: int | None = None, **changes: Any) -> Path:
    content = {"weights": {"w": torch.full((2, 3), float(step))}, "training_state": {"counter": step}}
    return save_checkpoint(directory, step, **{**content, "metadata": METADATA, **changes}, keep=keep)


def snapshot(directory: Path) -> dict[str, bytes | str]:
    """Return every file and link below a directory with its content."""
    return {
        str(path.relative_to(directory)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def sign(folder: Path) -> None:
    """Rewrite the sizes and hashes of a tampered checkpoint, as an attacker would."""
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["files"] = {name: (folder / name).stat().st_size for name in metadata["files"]}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    names = ("weights.safetensors", "training_state.pt", "metadata.json")
    lines = (f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_everything_comes_back_exactly(tmp_path: Path) -> None:
    model = torch.nn.Linear(4, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.9**step)
    model(torch.ones(3, 4)).sum().backward()
    optimiser.step()
    scheduler.step()
    generator = torch.Generator().manual_seed(3)
    state = {
        "optimiser": optimiser.state_dict(),
        "schedule": scheduler.state_dict(),
        "random": {"torch": generator.get_state(), "numpy": np.random.default_rng(0).bit_generator.state},
        "counters": {"steps": 2**40, "seen": (1, 2.5, None, "x", True), 7: {"a", "b"}},
        "types": [torch.float16, torch.device("cpu"), b"bytes"],
    }
    path = save(tmp_path / "checkpoints", weights=model.state_dict(), training_state=state)
    loaded = load_checkpoint(path)
    assert loaded.step == 100
    assert loaded.path == path
    assert loaded.metadata["game"] == METADATA["game"]
    torch.testing.assert_close(loaded.weights, dict(model.state_dict()), rtol=0, atol=0)
    for name in ("schedule", "counters", "types"):
        assert loaded.training_state[name] == state[name]
    assert loaded.training_state["random"]["numpy"] == state["random"]["numpy"]
    assert torch.equal(loaded.training_state["random"]["torch"], generator.get_state())
    torch.testing.assert_close(loaded.training_state["optimiser"], optimiser.state_dict(), rtol=0, atol=0)


def test_tied_and_non_contiguous_weights_are_saved(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    path = save(tmp_path, weights={"a": shared, "b": shared, "c": shared.T})
    assert torch.equal(load_checkpoint(path).weights["c"], shared.T)


def test_acting_needs_no_training_state(tmp_path: Path) -> None:
    path = save(tmp_path)
    (path / "training_state.pt").unlink()
    assert load_checkpoint(path, with_training_state=False).training_state == {}
    with pytest.raises(CorruptedCheckpointError, match=r"training_state\.pt is missing"):
        load_checkpoint(path)


def test_standard_tools_verify_the_hashes(tmp_path: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("needs sha256sum")
    path = save(tmp_path)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=path, check=True, capture_output=True)


def test_every_way_of_naming_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "a"
    save(run / "checkpoints", 100)
    last = save(run / "checkpoints", 200)
    assert last.name == "000000000200"
    for path in (run, run / "checkpoints", run / "checkpoints" / "latest", last, str(run)):
        assert resolve_checkpoint(path) == last
    assert load_checkpoint(run / "checkpoints" / "000000000100").step == 100


def test_a_moved_or_copied_run_directory_still_works(tmp_path: Path) -> None:
    save(tmp_path / "a" / "checkpoints")
    (tmp_path / "a").rename(tmp_path / "b")
    assert load_checkpoint(tmp_path / "b" / "checkpoints" / "latest").path.is_relative_to(tmp_path / "b")
    shutil.copytree(tmp_path / "b", tmp_path / "c")  # follows the link
    assert load_checkpoint(tmp_path / "c" / "checkpoints" / "latest").path.is_relative_to(tmp_path / "c")


def test_latest_is_a_text_file_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: str) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    save(tmp_path, 100)
    save(tmp_path, 200)
    assert (tmp_path / "latest").read_text() == "000000000200"
    assert load_checkpoint(tmp_path / "latest").step == 200
    outside = save(tmp_path.with_name("outside"), 300)
    (tmp_path / "latest").write_text(f"../outside/{outside.name}")
    assert load_checkpoint(tmp_path / "latest").step == 200, "a pointer may not lead out of the run directory"


def test_a_dangling_latest_gives_the_highest_step(tmp_path: Path) -> None:
    save(tmp_path, 100)
    shutil.rmtree(save(tmp_path, 200))
    assert resolve_checkpoint(tmp_path / "latest").name == "000000000100"
    assert latest_checkpoint(tmp_path / "absent") is None


def test_keep_removes_the_oldest_and_never_the_one_just_written(tmp_path: Path) -> None:
    for step in (9, 10, 200, 1000):
        save(tmp_path, step, keep=2)
    assert sorted(os.listdir(tmp_path)) == ["000000000200", "000000001000", "latest"]
    save(tmp_path, 300, keep=1)  # a run that was resumed from an earlier step
    assert sorted(os.listdir(tmp_path)) == ["000000000300", "000000001000", "latest"]
    assert resolve_checkpoint(tmp_path).name == "000000000300"


def test_saving_a_step_again_replaces_it_and_clears_left_overs(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / ".saving-000000000050").mkdir()
    save(tmp_path, training_state={"counter": "second"})
    assert load_checkpoint(tmp_path).training_state == {"counter": "second"}
    assert sorted(os.listdir(tmp_path)) == ["000000000100", "latest"]


@pytest.mark.parametrize("failing_write", [1, 2, 3, 4])
@pytest.mark.parametrize("step", [100, 200])
def test_a_full_disk_leaves_the_directory_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_write: int, step: int
) -> None:
    good = save(tmp_path, 100)
    before, writes, real_fsync = snapshot(tmp_path), 0, os.fsync

    def fail_once(descriptor: int) -> None:
        nonlocal writes
        writes += 1
        if writes == failing_write:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_once)
    with pytest.raises(CheckpointWriteError, match="No space left on device") as caught:
        save(tmp_path, step)
    assert str(good) in str(caught.value)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / f"{step:012d}")
    assert snapshot(tmp_path) == before
    assert load_checkpoint(tmp_path).step == 100


def test_a_failed_rename_puts_the_replaced_checkpoint_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path)
    before, real_rename = snapshot(tmp_path), Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == ".saving-000000000100":
            raise OSError(errno.EIO, "Input/output error")
        return real_rename(self, target)

    monkeypatch.setattr(checkpoint_paths.Path, "rename", fail)
    with pytest.raises(CheckpointWriteError, match="Input/output error"):
        save(tmp_path, training_state={})
    assert snapshot(tmp_path) == before


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        CheckpointWriteError, match=r"there is no earlier one.*mend the permissions.*file/checkpoints/000000000100"
    ):
        save(tmp_path / "file" / "checkpoints")


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"a": {"b": [1, np.zeros(2)]}}, r"training_state\['a'\]\['b'\]\[1\] is a numpy.ndarray"),
        ({"a": np.float64(1)}, r"training_state\['a'\] is a numpy.float64"),
        ({"a": Path()}, r"pathlib"),
        ({"a": {Path(): 1}}, r"a key of training_state\['a'\]"),
    ],
)
def test_state_that_could_not_be_read_back_is_refused_when_saving(
    tmp_path: Path, state: dict[str, Any], place: str
) -> None:
    with pytest.raises(ValueError, match=place):
        save(tmp_path, training_state=state)
    assert not any(tmp_path.iterdir())


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep 0"):
        save(tmp_path, keep=0)
    with pytest.raises(ValueError, match="step -1"):
        save(tmp_path, -1)
    with pytest.raises(ValueError, match="may not hold step, files"):
        save(tmp_path, metadata={"step": 1, "files": 2})


@pytest.mark.parametrize("name", ["weights.safetensors", "training_state.pt", "metadata.json"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "missing"])
def test_damage_is_found(tmp_path: Path, name: str, damage: str) -> None:
    file = save(tmp_path) / name
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(data[:-20])
    else:
        at = data.index(b"1.0") if name == "metadata.json" else len(data) // 2
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(file.parent)
    if not (damage == "missing" and name == "metadata.json"):
        assert isinstance(caught.value, CorruptedCheckpointError)
        assert name in str(caught.value)
        reasons = {"missing": "is missing", "truncated": "bytes where|not JSON", "altered": "hash noted in SHA256SUMS"}
        assert re.search(reasons[damage], str(caught.value))


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("writer", ["pickle", "torch", "torch_legacy"])
def test_nothing_in_a_malicious_file_is_run(tmp_path: Path, writer: str) -> None:
    folder, sign_of_life = save(tmp_path), tmp_path / "executed"
    attack = {"optimiser": Malicious(f"touch {sign_of_life}")}
    file = folder / "training_state.pt"
    if writer == "pickle":
        file.write_bytes(pickle.dumps(attack))
    else:
        torch.save(attack, file, _use_new_zipfile_serialization=writer == "torch")
    sign(folder)
    with pytest.raises(CorruptedCheckpointError, match="nothing in it was run"):
        load_checkpoint(folder)
    assert not sign_of_life.exists()
    pickle.loads(pickle.dumps(attack))
    assert sign_of_life.exists(), "the attack is not one: the test shows nothing"


def test_a_pickle_in_place_of_the_weights_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path)
    (folder / "weights.safetensors").write_bytes(pickle.dumps(Malicious(f"touch {tmp_path}/executed")))
    sign(folder)
    with pytest.raises(CorruptedCheckpointError, match="not a safetensors file"):
        load_checkpoint(folder)
    assert not (tmp_path / "executed").exists()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps({**metadata, "format_version": 99, "software_version": "7.0"}))
    with pytest.raises(NewerCheckpointError, match=r"format 99, written by perceiver-star 7\.0.*pip install --upgrade"):
        load_checkpoint(folder)
    for content in ('{"format": "other"}', "[1, 2]"):
        (folder / "metadata.json").write_text(content)
        with pytest.raises(NotACheckpointError, match="written by something else"):
            load_checkpoint(folder)
    (folder / "metadata.json").write_text(json.dumps({**metadata, "files": [], "step": "1"}))
    with pytest.raises(CorruptedCheckpointError, match="no usable step, files"):
        load_checkpoint(folder)


def test_paths_that_hold_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(NotACheckpointError, match=r"model\.pt is a file, and a checkpoint is a folder"):
        load_checkpoint(tmp_path / "model.pt")
    with pytest.raises(NotACheckpointError, match=r"holds neither metadata\.json nor checkpoints/"):
        load_checkpoint(tmp_path)
    for path in ("absent", "run", "run/checkpoints", "run/checkpoints/latest"):
        with pytest.raises(CheckpointNotFoundError, match="there is no checkpoint at"):
            load_checkpoint(tmp_path / path)
    save(tmp_path / "run" / "checkpoints", 42)
    with pytest.raises(CheckpointNotFoundError, match="the steps there are 42;"):
        load_checkpoint(tmp_path / "run" / "checkpoints" / "000000000043")


def test_compatible_metadata_passes_also_after_a_round_trip(tmp_path: Path) -> None:
    layout = {"entity_values": {"shape": (4, 2), "high": np.ones(2, dtype=np.float32)}}
    path = save(tmp_path, metadata={**METADATA, "observation_layout": layout})
    metadata = load_checkpoint(path).metadata
    assert check_compatible(metadata, {"game": METADATA["game"], "observation_layout": layout}) == []


def test_every_difference_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metadata = {"game": {"name": "microrts", "version": "1.0", "map": "8x8"}, "action_layout": [6, 4], "other": 1}
    expected = {
        "game": {"name": "microrts", "version": "2.0", "seed": 0},
        "action_layout": [6, 5],
        "observation_layout": {},
    }
    with pytest.raises(CheckpointMismatchError) as caught:
        check_compatible(metadata, expected)
    differences = [
        'game.version: expected "2.0", the checkpoint has "1.0"',
        "game.seed: expected 0, the checkpoint has nothing",
        'game.map: expected nothing, the checkpoint has "8x8"',
        "action_layout[1]: expected 5, the checkpoint has 4",
        "observation_layout: expected {}, the checkpoint has nothing",
    ]
    assert [line.strip() for line in str(caught.value).splitlines()[1:-1]] == differences
    assert "Either use the game version" in str(caught.value)
    assert "--allow-version-mismatch" not in str(caught.value)
    with pytest.raises(CheckpointMismatchError, match="action_layout"):
        check_compatible(metadata, expected, allow_mismatch=True)
    with pytest.raises(CheckpointMismatchError, match="or add --allow-version-mismatch"):
        check_compatible(metadata, {"game": expected["game"]})
    assert check_compatible(metadata, {"game": expected["game"]}, allow_mismatch=True) == differences[:3]
    assert "game.version" in caplog.text


def test_many_differences_are_cut_short() -> None:
    with pytest.raises(CheckpointMismatchError, match="and 80 more"):
        check_compatible({"x": list(range(100))}, {"x": list(range(1, 101))})


def test_errors_survive_the_way_between_processes() -> None:
    for error in (CorruptedCheckpointError("broken"), CheckpointWriteError(errno.ENOSPC, "full", "path")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy)) == (type(error), str(error))


def test_paths_are_saved_with_everyones_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()
    assert save(tmp_path / "checkpoints").stat().st_mode == usual.stat().st_mode


def test_fields_that_were_added_later_are_there_with_their_defaults() -> None:
    """A checkpoint of before function calls fits the same game and agent; other differences stay."""
    spec, agent = games.unit_game(), AgentConfig.of_size("dummy")
    expected = {"layout": dataclasses.asdict(spec), "agent": dataclasses.asdict(AgentConfig(channels=32))}
    written = json.loads(to_json(expected))
    for fields, later in (
        (
            written["agent"],
            ("selection", "head_channels", "latent_channels", "decoder_query_residual", "entity_queries"),
        ),
        (written["layout"], ("num_value_scalars",)),
        (written["layout"]["action"], ("function_call",)),
    ):
        for name in later:
            del fields[name]
    with pytest.raises(CheckpointMismatchError, match="function_call: expected null, the checkpoint has nothing"):
        check_compatible(written, expected)
    assert check_compatible(with_later_fields(written), expected) == []
    assert check_compatible(with_later_fields(METADATA), METADATA) == []
    with pytest.raises(CheckpointMismatchError, match=r"agent\.channels: expected 16, the checkpoint has 32"):
        check_compatible(with_later_fields(written), {**expected, "agent": dataclasses.asdict(agent)})
