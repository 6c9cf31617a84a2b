"""The command `perceiver-star`: options in, progress and tables out. Only this module and `console` print."""

from __future__ import annotations

import difflib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from training.machine import installed_version

if TYPE_CHECKING:
    from training.imitation_run import ImitationRun
    from training.run import TrainingRun

PROGRAM = "perceiver-star"
EXTRAS_INSTALL_COMMAND = "pip install 'perceiver-star[microrts,train]'"
BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 2 bad input or something missing, 1 failed, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("-h", "--help", "help"):
        print(_usage())
        return 0 if arguments else BAD_INPUT
    if name in ("-V", "--version"):
        print(f"{PROGRAM} {installed_version(PROGRAM) or 'unknown'}")
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=3, cutoff=0.5) or list(COMMANDS)
        return _error(f"unknown command {name!r}: did you mean {' or '.join(close)}?", BAD_INPUT)
    try:
        return COMMANDS[name](rest)
    except KeyboardInterrupt:
        return _error("interrupted", INTERRUPTED)
    except ModuleNotFoundError as error:
        return _missing_module(error)
    except BrokenPipeError:  # as in `perceiver-star recipes | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        return _error(_message(error), code)


def _exit_code(error: Exception) -> int | None:
    """Return the exit code of an error that its message explains; None for one that only a traceback can."""
    from envs.errors import GameCrashedError, GameError, UnknownNameError
    from envs.recordings import RecordingError
    from training.checkpoint_errors import CheckpointError, CheckpointWriteError
    from training.config import ConfigError
    from training.run_directory import RunDirectoryError
    from training.sources import ActorError
    from training.workers import WorkerError

    if isinstance(error, (GameCrashedError, CheckpointWriteError, ActorError, WorkerError)):
        return FAILED
    if isinstance(
        error, (UnknownNameError, ConfigError, CheckpointError, RecordingError, RunDirectoryError, GameError)
    ):
        return BAD_INPUT
    return FAILED if isinstance(error, (OSError, FloatingPointError)) else None


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _missing_module(error: ModuleNotFoundError) -> int:
    ours = ("perceiver_io", "agent", "envs", "training")
    if error.name is None or error.name.partition(".")[0] in ours:
        raise error
    return _error(f"{error.name} is not installed; install it with: {EXTRAS_INSTALL_COMMAND}", BAD_INPUT)


def _error(message: str, code: int) -> int:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return code


def _usage() -> str:
    lines = [f"usage: {PROGRAM} COMMAND [OPTIONS]", ""]
    lines += [f"  {name:<10} {(command.__doc__ or '').partition('.')[0]}" for name, command in COMMANDS.items()]
    return "\n".join([*lines, "", f"`{PROGRAM} COMMAND --help` lists a command's options."])


def train(arguments: list[str]) -> int:
    """Train an agent by a recipe, measure it and record games."""
    from training.run import open_run
    from training.run_options import parse_train

    options = parse_train(arguments, f"{PROGRAM} train")
    goes_on, mismatch = options.resume == "auto", options.allow_version_mismatch
    run = open_run(options.config, options.run_path, resume=goes_on, allow_version_mismatch=mismatch)
    return _carry_out(run, "train", "starting the games", goes_on=goes_on, mismatch=mismatch)


def imitate(arguments: list[str]) -> int:
    """Learn from recorded games what their players do, and measure it."""
    from training.imitation_run import open_imitation
    from training.run_options import parse_imitate

    options = parse_imitate(arguments, f"{PROGRAM} imitate")
    goes_on, mismatch = options.resume == "auto", options.allow_version_mismatch
    run = open_imitation(
        options.config, options.imitation, options.run_path, resume=goes_on, allow_version_mismatch=mismatch
    )
    return _carry_out(run, "imitate", run.choice.summary(), goes_on=goes_on, mismatch=mismatch)


def _carry_out(run: TrainingRun | ImitationRun, command: str, beginning: str, *, goes_on: bool, mismatch: bool) -> int:
    """Train and measure, and say so; where a signal or an expected error ends that early, say how it goes on."""
    print(f"run directory {run.directory.path}, recipe {run.config.recipe}", flush=True)
    if run.checkpoint:
        print(f"going on from {run.checkpoint} with the settings stored there and those given", flush=True)
    elif goes_on:
        print("there is nothing to go on with: a new run begins", flush=True)
    to_go_on = f"to go on: {PROGRAM} {command} --run-dir {shlex.quote(str(run.directory.path))} --resume auto"
    if mismatch:
        to_go_on += " --allow-version-mismatch"
    try:
        finished = _train_and_measure(run, beginning)
    except KeyboardInterrupt:
        finished = False
    except Exception as error:
        code = _exit_code(error)
        if code is None or isinstance(error, BrokenPipeError):
            raise
        return _error(f"{_message(error).rstrip()}; {to_go_on}", code)
    return 0 if finished else _error(f"interrupted; {to_go_on}", INTERRUPTED)


def _train_and_measure(run: TrainingRun | ImitationRun, beginning: str) -> bool:
    """Return whether nothing interrupted it."""
    from training.console import counting, print_matches, print_returns, training_progress
    from training.final_evaluation import evaluate_run
    from training.interruption import stop_on_signals

    with stop_on_signals("stopping, with a checkpoint; once more ends at once\n") as stop:
        if not run.complete:
            print(beginning, flush=True)
            with training_progress(run) as report:
                run.train(report, stop)
        print(f"{run.ending if run.complete else 'stopped'}; checkpoint {run.checkpoint}", flush=True)
        evaluation = None
        if run.complete and not stop.is_set():
            with counting("evaluating", "games") as count:
                evaluation = evaluate_run(run, count, stop)
        if stop.is_set():
            return False
    if evaluation:
        print_matches(evaluation.results, evaluation.baseline)
        print_returns(evaluation.returns)
        if evaluation.results or evaluation.returns:
            games = f", {run.directory.games} a game against each opponent" if evaluation.games else ""
            print(f"{run.directory.evaluation_file} holds the results{games}")
    return True


def evaluate(arguments: list[str]) -> int:
    """Play matches of a checkpoint, chance or an AI against the game's AIs."""
    import tyro

    from envs.files import replace_durably
    from training.console import counting, print_matches, print_returns
    from training.files import prepare_output, to_json
    from training.interruption import stop_on_signals
    from training.kept_results import KeptResults
    from training.options import EvaluateOptions, prepare_evaluation
    from training.play import play_episode_batches, play_matches

    options = tyro.cli(EvaluateOptions, args=arguments, prog=f"{PROGRAM} evaluate")
    asked = prepare_evaluation(options)
    kept = None
    if options.output is not None:
        prepare_output(options.output)
        identities = {name: player.identity for name, player in asked.players.items()}
        existing: Literal["resume", "refuse"] = "resume" if options.resume else "refuse"
        kept = KeptResults(options.output, identities, asked.matches or asked.episodes, existing=existing)
    with stop_on_signals() as stop, counting("evaluating", "games") as count:
        how: dict[str, Any] = {"num_workers": options.workers, "report": count, "stop": stop, "kept": kept}
        matches = play_matches(asked.players, asked.matches, **how) if asked.matches else []
        episodes = play_episode_batches(asked.players, asked.episodes, **how) if asked.episodes else []
    if matches is None or episodes is None:
        if kept is None or not kept.results:
            raise KeyboardInterrupt
        return _error(f"interrupted; to go on, add --resume: {kept.path} keeps what was played", INTERRUPTED)
    print_matches(matches)
    print_returns(episodes)
    if options.output is not None:
        rows = [*(result.to_row() for result in matches), *(result.to_row() for result in episodes)]
        replace_durably(options.output, to_json(rows))
    if kept is not None:
        kept.remove()
    return 0


def record(arguments: list[str]) -> int:
    """Play the game's AIs against each other and write what they see and order, to imitate."""
    from training import record_command
    from training.console import counting
    from training.interruption import stop_on_signals

    options = record_command.parse(arguments, f"{PROGRAM} record")
    with stop_on_signals(record_command.STOPPING) as stop, counting("recording", "games") as count:
        manifest = record_command.record(options, count, stop)
    if manifest is None:
        return _error(f"interrupted; to go on, add --resume: {options.output} keeps what is complete", INTERRUPTED)
    print("\n".join(record_command.summary(manifest)))
    return 0


def watch(arguments: list[str]) -> int:
    """Play one game and write it to a GIF."""
    import tyro

    from training.files import prepare_output
    from training.game_gifs import write_game
    from training.options import WatchOptions, prepare_gif

    options = tyro.cli(WatchOptions, args=arguments, prog=f"{PROGRAM} watch")
    player, job = prepare_gif(options)
    prepare_output(job.path)
    game = write_game(player, job)
    outcome = {1: "won", 0: "drawn", -1: "lost"}[game.outcome]
    print(f"{outcome} after {game.game_steps} game steps; {game.path} has {game.frames} pictures")
    return 0


def export(arguments: list[str]) -> int:
    """Write a checkpoint's weights to a folder of their own."""
    import tyro

    from training.checkpoint_export import ExportOptions, export_checkpoint

    options = tyro.cli(ExportOptions, args=arguments, prog=f"{PROGRAM} export")
    size = export_checkpoint(options)
    print(f"{options.output} has {size / 2**20:.1f} MiB")
    return 0


def doctor(arguments: list[str]) -> int:
    """Look for everything that training and games need, with the line that mends what is missing."""
    from training.doctor import diagnose
    from training.doctor_report import report

    _refuse(arguments, "doctor")
    lines, complete = report(diagnose())
    print(*lines, sep="\n")
    return 0 if complete else FAILED


def recipes(arguments: list[str]) -> int:
    """List the recipes, with what hardware each is for."""
    from training.recipes import RECIPES

    _refuse(arguments, "recipes")
    for name, recipe in RECIPES.items():
        print(f"{name:<24} {recipe().hardware:<44} {(recipe.__doc__ or '').partition(chr(10))[0]}")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    command.__name__: command for command in (train, record, imitate, evaluate, watch, export, doctor, recipes)
}


def _refuse(arguments: list[str], command: str) -> None:
    if arguments in (["-h"], ["--help"]):
        print(f"usage: {PROGRAM} {command}\n\n{COMMANDS[command].__doc__}")
        raise SystemExit(0)
    if arguments:
        raise SystemExit(_error(f"{command} takes no options, got {' '.join(arguments)}", BAD_INPUT))
