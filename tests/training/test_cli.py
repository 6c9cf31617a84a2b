"""The command: its exit codes, what it says, what it leaves, and how it stops."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from envs.recordings import RecordingError
from training import cli, final_evaluation, play
from training.checkpoint import OWN_METADATA, load_checkpoint, save_checkpoint
from training.metrics import JsonLinesLogger
from training.run_directory import RunDirectory
from training.workers import run_jobs

ROOT = Path(__file__).parents[2]
CARTPOLE = ("--recipe", "gymnasium", "--actors.games-per-actor", "2", "--actors.unroll-length", "8")
STOPPING = "stopping, with a checkpoint; once more ends at once\n"
pytestmark = pytest.mark.timeout(300)


def run(*arguments: str) -> int:
    try:
        return cli.main(list(arguments))
    except SystemExit as exit_request:
        return int(exit_request.code or 0)


class Command:
    """The command in a process group of its own, which never outlives the test."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "training", *arguments],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error::ResourceWarning"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self.descendants: list[psutil.Process] = []

    def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                self.descendants = psutil.Process(self.process.pid).children(recursive=True)
                return
        pytest.fail(f"the command ended before it said {text!r}: {self.output} {self.finish()[1]}")

    def finish(self) -> tuple[int, str]:
        rest, errors = self.process.communicate(timeout=240)
        self.output += rest
        return self.process.returncode, errors


@pytest.fixture
def commands() -> Iterator[list[Command]]:
    started: list[Command] = []
    yield started
    for command in started:
        if command.process.poll() is None:
            os.killpg(command.process.pid, signal.SIGKILL)
            command.process.wait()
        for stream in (command.process.stdout, command.process.stderr):
            if stream is not None:
                stream.close()


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("perceiver-star 0.")
    assert run("--help") == 0
    usage = capsys.readouterr().out
    assert all(name in usage for name in ("train", "evaluate", "watch", "doctor", "recipes"))
    assert run() == 2
    assert run("train", "--recipe", "gymnasium", "--help") == 0
    options = capsys.readouterr().out
    assert "--env-id" in options
    assert "--learner.learning-rate" in options
    assert "--hardware" not in options


def test_recipes_name_their_hardware(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines][:3] == ["quickstart", "microrts_8x8", "microrts_16x16"]
    assert all("2 CPU cores" in line for line in lines[:3])
    assert "1 GPU" in next(line for line in lines if line.startswith("microrts_16x16_1gpu"))


def test_doctor_ends_well_where_only_starcraft_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    assert "µRTS" in capsys.readouterr().out


def test_doctor_ends_badly_where_something_needed_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICRORTS_HOME", "/nowhere")
    assert run("doctor") == 1
    assert "gym-microrts==0.6.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command 'trian': did you mean train?"),
        (["train", "--recipe", "quikstart"], "unknown recipe 'quikstart': did you mean quickstart?"),
        (
            ["train", "--recipe", "tiny", "--environment.map-path", "maps/8x8/basesWorker8x8A.xml"],
            "did you mean maps/8x8",
        ),
        (["train", "--recipe", "tiny", "--environment.opponents", "WorkerRsh"], "did you mean WorkerRush"),
        (["train", "--recipe", "tiny", "--evaluation.opponents", "CoacIA"], "did you mean CoacAI"),
        (["train", "--recipe", "tiny", "--total-steps", "0"], "total_steps must be at least 1, got 0"),
        (["train", "--recipe", "tiny", "--actors", "-1"], "actors must be 0"),
        (["train", "--recipe", "tiny", "--resume", "auto"], "add --run-dir"),
        (["train", "--recipe", "tiny", "--recipe", "quikstart"], "unknown recipe 'quikstart'"),
        (["train", "--recipe", "tiny", "--actors.max-rss-mib", "nan"], "actors.max_rss_mib must be above 0, got nan"),
        (["train", "--recipe", "gymnasium", "--env-id", ""], "can't be made"),
        (["train", "--recipe", "gymnasium", "--env-id", "CartPol-v1"], "did you mean CartPole-v1"),
        (["train", "--recipe", "tiny", "--learner.learning-rat", "1"], "--learner.learning-rate"),
        (["train", "--recipe", "tiny", "--agent.torso", "transformr"], "'transformer'"),
        (["train", "--recipe", "quickstart", "--actors", "0"], "--max-minutes None --total-steps"),
        (["train", "--recipe", "tiny", "--learner.clip-epsilon", "0"], "clip_epsilon must be positive"),
        (["train", "--recipe", "tiny", "--learner.trace-decay", "2"], "trace_decay must lie in [0, 1]"),
        (["train", "--recipe", "tiny", "--learner.huber-delta", "-1"], "huber_delta must be positive"),
        (["train", "--recipe", "tiny", "--learner-threads", "0"], "learner_threads must be at least 1"),
        (["train", "--recipe", "tiny", "--agent-size", "smal"], "smal"),
        (["train", "--recipe", "tiny", "--evaluation.modes"], "evaluation.modes must name at least one"),
        (["train", "--recipe", "tiny", "--device", "meta"], "cannot compute on 'meta', expected cpu"),
        (
            ["train", "--recipe", "tiny", "--learner.teacher-kl-cost", "1", "--teacher", "/nowhere"],
            "there is no checkpoint at /nowhere",
        ),
        (["train", "--recipe", "tiny", "--learner.teacher-kl-cost", "1"], "there is no teacher"),
        (["evaluate", "--agent", "random", "--map", __file__], "is not a µRTS map"),
        (["evaluate", "--agent", "random", "--seed", "-1"], "seed must be 0 or more, got -1"),
        (["evaluate"], "who plays?"),
        (["evaluate", "--agent", "CoacIA"], "did you mean CoacAI"),
        (["evaluate", "--agent", "random", "--opponents", "LightRsh"], "did you mean LightRush"),
        (["evaluate", "--agent", "random", "--map", "maps/8x8/basesWorker8x8A.xml"], "did you mean maps/8x8"),
        (["evaluate", "--agent", "random", "--games", "0"], "nothing to play"),
        (["evaluate", "--agent", "random", "--workers", "-1"], "workers must be at least 1, got -1"),
        (["evaluate", "--agent", "random", "--resume"], "beside the --output: give it too"),
        (["evaluate", "--checkpoint", "/nowhere"], "there is no checkpoint at /nowhere"),
        (["evaluate", "--checkpoint", __file__], "is a file, and a checkpoint is a folder"),
        (["watch", "--agent", "random", "--opponent", "LightRsh"], "did you mean LightRush"),
        (["watch", "--agent", "WorkerRush"], "--agent random"),
        (["watch", "--agent", "random", "--seed", "-1"], "seed must be 0 or more, got -1"),
        (["watch"], "give either --checkpoint or --agent random"),
        (["watch", "--agent", "random", "--output", "game.mp4"], "ends in .gif, got game.mp4"),
        (["evaluate", "--agent", "random", "--opponents", "self_play"], "self_play is met in training only"),
        (["doctor", "--verbose"], "doctor takes no options"),
    ],
)
def test_bad_input_is_answered_with_what_would_do(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("tyro", ["train"], "tyro is not installed; install it with: pip install 'perceiver-star[microrts,train]'"),
        ("jpype", ["evaluate", "--agent", "random"], "pip install 'perceiver-star[microrts]'"),
    ],
)
def test_what_is_not_installed_is_named(module: str, arguments: list[str], message: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from training.cli import main; sys.exit(main({arguments}))"
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert finished.returncode == 2
    assert finished.stderr.strip().endswith(message)
    assert "Traceback" not in finished.stderr


def test_an_unwritable_run_directory_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run("train", *CARTPOLE, "--run-dir", str(tmp_path / "file" / "a")) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "file" / "a") in said
    assert "nothing was started" in said


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (None, 1, "/dev/full: could not write metrics (No space left on device)"),
        (FloatingPointError("the loss is nan"), 1, "the loss is nan"),
        (RecordingError("a shard is damaged\n"), 2, "a shard is damaged"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_a_run_that_ends_early_says_how_it_goes_on(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | None,
    code: int,
    told: str,
) -> None:
    def fail(*_: object) -> None:
        assert error is not None
        raise error

    if error is None:
        monkeypatch.setattr(RunDirectory, "metrics_file", Path("/dev/full"))
    else:
        monkeypatch.setattr(JsonLinesLogger, "log", fail)
    path = tmp_path / "my run"
    options = ("--actors", "0", "--total-steps", "100", "--allow-version-mismatch")
    assert run("train", *CARTPOLE, *options, "--run-dir", str(path)) == code
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"perceiver-star: {told}; to go on: perceiver-star train --run-dir '{path}' --resume auto "
        "--allow-version-mismatch"
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the real game, trained in this process and evaluated in others."""
    path = tmp_path_factory.mktemp("runs") / "tiny"
    options = (
        "--total-steps",
        "300",
        "--actors",
        "0",
        "--evaluation.untrained-baseline",
        "--evaluation.max-steps",
        "60",
    )
    assert run("train", "--recipe", "tiny", "--run-dir", str(path), *options) == 0
    return path


@pytest.mark.slow
def test_a_run_ends_with_win_rates_and_recorded_games(trained: Path) -> None:
    rows = json.loads((trained / "evaluation.json").read_text())
    assert [(row["agent"], row["side"], row["games"]) for row in rows] == [
        ("trained", 0, 2), ("trained", 1, 2), ("untrained", 0, 2), ("untrained", 1, 2)
    ]  # fmt: skip
    assert {"opponent", "map", "mode", "wins", "draws", "losses", "win_rate", "low", "high"} <= set(rows[0])
    last = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()][-2:]
    assert {"evaluation/win_rate/RandomBiasedAI", "evaluation/untrained_win_rate/RandomBiasedAI"} <= set(last[0])
    assert "evaluation/mean_win_rate" in last[1]["results"]
    with Image.open(trained / "games" / "RandomBiasedAI.gif") as image:
        assert image.format == "GIF"


@pytest.mark.slow
def test_a_complete_run_goes_straight_to_its_evaluation(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = sorted((trained / "checkpoints").iterdir())
    assert run("train", "--run-dir", str(trained), "--resume", "auto", "--evaluation.games", "2") == 0
    said = capsys.readouterr().out
    assert "going on from" in said
    assert "training is complete" in said
    assert "starting the games" not in said
    assert said.endswith(
        f"{trained / 'evaluation.json'} holds the results, {trained / 'games'} a game against each opponent\n"
    )
    rows = json.loads((trained / "evaluation.json").read_text())
    assert [row["games"] for row in rows] == [1, 1, 1, 1]
    assert sorted((trained / "checkpoints").iterdir()) == checkpoints
    assert run("train", "--run-dir", str(trained), "--resume", "auto", "--evaluation.opponents") == 0
    assert "holds the results" not in capsys.readouterr().out
    assert run("train", "--run-dir", str(trained), "--resume", "auto", "--recipe", "quickstart") == 2
    assert "holds a run of the recipe tiny, not quickstart" in capsys.readouterr().err


@pytest.mark.slow
def test_an_evaluation_that_fails_at_its_end_goes_on_there(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(trained, copied, symlinks=True)
    settings = ("--evaluation.games", "4", "--evaluation.opponents", "RandomBiasedAI")
    go_on = ("train", "--run-dir", str(copied), "--resume", "auto", *settings)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "a.gif")

    with monkeypatch.context() as patched:
        patched.setattr(final_evaluation, "_write_gifs", fail)
        assert run(*go_on) == 1
    assert "a.gif: No space left on device; to go on: perceiver-star train" in capsys.readouterr().err
    played = []

    def remember(context: object, jobs: Sequence[Any], **how: Any) -> Any:
        played.extend(jobs)
        return run_jobs(context, jobs, **how)

    monkeypatch.setattr(play, "run_jobs", remember)
    assert run(*go_on) == 0
    assert played == []
    assert [row["games"] for row in json.loads((copied / "evaluation.json").read_text())] == [2] * 4
    assert not (copied / "evaluation.json.unfinished").exists()
    assert run(*go_on) == 0
    assert len(played) == 4, "what is finished is not kept for another evaluation"


@pytest.mark.slow
def test_settings_that_a_checkpoint_does_not_fit_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(trained, copied, symlinks=True)
    go_on = ("train", "--run-dir", str(copied), "--resume", "auto", "--total-steps", "10000")
    assert run(*go_on, "--learner.normalise-values") == 2
    assert "does not fit this version or these settings" in capsys.readouterr().err
    assert run(*go_on, "--agent-size", "small") == 2
    assert "agent.channels: expected 64, the checkpoint has 16" in capsys.readouterr().err
    (copied / "config.json").unlink()
    assert run(*go_on) == 2
    assert f"{copied / 'config.json'} is missing" in capsys.readouterr().err


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_told_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", "--agent", "random", "--games", "1000000", "--output", str(tmp_path)) == 1
    said = capsys.readouterr()
    assert f"{tmp_path}: is a folder" in said.err
    assert "evaluating" not in said.out


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_and_watched(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    latest = str(trained / "checkpoints" / "latest")
    options = ("--opponents", "PassiveAI", "--games", "4", "--max-steps", "40", "--output", "new/evaluation.json")
    assert run("evaluate", "--checkpoint", latest, *options) == 0
    said = capsys.readouterr().out
    assert said.count("4 (2 different)") == 1, "greedy games on a side are one game"
    assert said.endswith("the other games repeat these move by move, and the interval takes them for new ones\n")
    rows = json.loads(Path("new/evaluation.json").read_text())
    assert [(row["side"], row["mode"], row["draws"]) for row in rows] == [
        (0, "sampled", 2), (1, "sampled", 2), (0, "greedy", 2), (1, "greedy", 2)
    ]  # fmt: skip
    watched = ("--opponent", "PassiveAI", "--max-steps", "40", "--output", "game.gif", "--greedy", "--side", "1")
    assert run("watch", "--checkpoint", latest, *watched) == 0
    assert "drawn after 40 game steps" in capsys.readouterr().out
    assert Path("game.gif").read_bytes().startswith(b"GIF89a")
    other_size = ("evaluate", "--checkpoint", latest, "--map", "maps/16x16/basesWorkers16x16A.xml")
    assert run(*other_size) == 2
    assert "trained on maps of 8x8 cells, this one has 16x16" in capsys.readouterr().err


@pytest.mark.slow
def test_an_agent_of_a_map_that_is_not_there_plays_on_others(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = load_checkpoint(trained)
    config = {**checkpoint.metadata["config"]}
    config["environment"] = {**config["environment"], "map_path": "own/gone.xml"}
    metadata = {key: value for key, value in checkpoint.metadata.items() if key not in OWN_METADATA}
    metadata |= {"config": config, "game": {**metadata["game"], "map": "own/gone.xml"}}
    save_checkpoint(tmp_path, 1, weights=checkpoint.weights, training_state={}, metadata=metadata, keep=None)
    options = ("--checkpoint", str(tmp_path), "--opponents", "PassiveAI", "--games", "2", "--max-steps", "40")
    assert run("evaluate", *options) == 2
    assert "unknown map 'own/gone.xml'" in capsys.readouterr().err
    assert run("evaluate", *options, "--map", "maps/8x8/basesWorkers8x8A.xml") == 0
    assert run("evaluate", *options, "--map", "maps/16x16/basesWorkers16x16A.xml") == 2
    assert "trained on maps of 8x8 cells, this one has 16x16" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "actors"), [(signal.SIGINT, "1"), (signal.SIGTERM, "0")])
def test_a_signal_stops_with_a_checkpoint_and_the_run_goes_on(
    number: signal.Signals, actors: str, tmp_path: Path, commands: list[Command]
) -> None:
    options = (*CARTPOLE, "--actors", actors, "--run-dir", str(tmp_path), "--total-steps", "1000000")
    commands.append(Command("train", *options))
    commands[0].read_until("steps/s")
    os.killpg(commands[0].process.pid, number)  # as a terminal does
    code, errors = commands[0].finish()
    told = f"to go on: perceiver-star train --run-dir {tmp_path} --resume auto\n"
    assert (code, errors) == (130, f"{STOPPING}perceiver-star: interrupted; {told}")
    assert psutil.wait_procs(commands[0].descendants, timeout=20)[1] == []
    stopped_at = load_checkpoint(tmp_path).step
    assert 0 < stopped_at < 1_000_000

    commands.append(
        Command("train", "--run-dir", str(tmp_path), "--resume", "auto", "--actors", "0",
                "--total-steps", str(stopped_at + 50), "--evaluation.games", "2")
    )  # fmt: skip
    code, errors = commands[1].finish()
    assert (code, errors) == (0, "")
    assert f"going on from {load_checkpoint(tmp_path).path.parent}" in commands[1].output
    assert load_checkpoint(tmp_path).step >= stopped_at + 50
    assert "mean return" in commands[1].output
    assert commands[1].output.endswith(f"{tmp_path / 'evaluation.json'} holds the results\n")


@pytest.mark.slow
def test_a_signal_in_the_final_evaluation_ends_all_processes(tmp_path: Path, commands: list[Command]) -> None:
    options = ("--actors", "0", "--total-steps", "20", "--evaluation.games", "100000")
    commands.append(Command("train", *CARTPOLE, *options, "--run-dir", str(tmp_path)))
    commands[0].read_until("evaluating")
    deadline = time.monotonic() + 60
    while not commands[0].descendants and time.monotonic() < deadline:
        time.sleep(0.1)
        commands[0].descendants = psutil.Process(commands[0].process.pid).children(recursive=True)
    os.killpg(commands[0].process.pid, signal.SIGTERM)
    code, errors = commands[0].finish()
    assert code == 130
    assert errors.startswith(STOPPING)
    assert commands[0].descendants
    assert psutil.wait_procs(commands[0].descendants, timeout=20)[1] == []
    assert load_checkpoint(tmp_path).step >= 20


@pytest.mark.slow
def test_a_run_on_the_real_game_survives_the_death_of_an_actor(tmp_path: Path, commands: list[Command]) -> None:
    options = ("--recipe", "tiny", "--actors", "2", "--total-steps", "100000000", "--run-dir", str(tmp_path))
    commands.append(Command("train", *options))
    commands[0].read_until("steps/s")
    actors = [process for process in commands[0].descendants if "RolloutActor" in " ".join(process.cmdline())]
    assert len(actors) == 2
    actors[0].kill()
    deadline = time.monotonic() + 120
    restarts: list[float] = []
    while not (len(restarts) > 3 and restarts[-4] == 1.0) and time.monotonic() < deadline:
        time.sleep(0.2)
        lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
        restarts = [json.loads(line)["env/restarts"] for line in lines if line.endswith("\n")]
    assert restarts[-4:] == [1.0] * 4
    os.kill(commands[0].process.pid, signal.SIGTERM)
    code, errors = commands[0].finish()
    assert code == 130
    assert "is replaced" in errors
    assert load_checkpoint(tmp_path).step > 0


@pytest.mark.slow
def test_nothing_that_plays_outlives_a_killed_run(tmp_path: Path, commands: list[Command]) -> None:
    options = ("--actors", "1", "--total-steps", "1000000", "--run-dir", str(tmp_path))
    commands.append(Command("train", *CARTPOLE, *options))
    commands[0].read_until("steps/s")
    actors = [process for process in commands[0].descendants if "RolloutActor" in " ".join(process.cmdline())]
    assert len(actors) == 1
    os.kill(commands[0].process.pid, signal.SIGKILL)
    assert psutil.wait_procs(actors, timeout=30)[1] == []
