"""Every command and every snippet of the README runs, in order, in one folder; long ones are made short by options."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, code_blocks, links, read_page

README = read_page("README.md")
PAGES = ["README.md", "perceiver_io/README.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
TIMEOUT_SECONDS = 170

# Minutes of training and more; the recipe `tiny` takes their place.
RECIPES = ("microrts_8x8", "microrts_16x16", "microrts_16x16_1gpu", "microrts_16x16_strong")
FEW_GAMES = ["--games", "1", "--max-steps", "50", "--workers", "1"]
FEW_STEPS = ["--total-steps", "200", "--evaluation.games", "1"]
NO_ACTORS = ["--actors", "0", "--actors.games-per-actor", "4"]
NO_MATCHES = ["--evaluation.opponents"]
APPENDED = {
    "train --recipe gymnasium": [*FEW_STEPS, *NO_ACTORS],
    "train --recipe microrts_16x16": [*FEW_STEPS, *NO_MATCHES],
    "train --recipe microrts_8x8": [*FEW_STEPS, *NO_ACTORS, *NO_MATCHES],
    "train --run-dir runs/a --resume auto": [*FEW_STEPS, *NO_ACTORS, *NO_MATCHES, "--total-steps", "1000"],
    "record": ["--games", "2", "--max-steps", "60", "--workers", "1", "--map", "maps/8x8/basesWorkers8x8A.xml"],
    "imitate": ["--passes", "1", *NO_MATCHES],
    "evaluate": FEW_GAMES,
    "watch": ["--max-steps", "50"],
}
ALONE = ("perceiver-star recipes", "perceiver-star doctor")


def commands() -> list[str]:
    """Return the lines of all blocks of commands, without comments."""
    lines = [line for text in code_blocks("README.md", "console", "bash") for line in text.splitlines()]
    return [command for command in (shlex.join(shlex.split(line, comments=True)) for line in lines) if command]


def snippets() -> list[str]:
    return code_blocks("README.md", "python")


def commands_of(program: str) -> list[str]:
    """Return the commands of a program; settings of environment variables may stand before its name."""
    return [command for command in commands() if re.match(rf"(\S+=\S+ )*{re.escape(program)}( |$)", command)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readme")
    for name in ("examples", "checkpoints"):
        (path / name).symlink_to(ROOT / name)
    return path


def run(arguments: list[str], folder: Path, **variables: str) -> str:
    """Run a command in a folder and return what it prints; it and all it started are ended if it takes too long."""
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, f"{shlex.join(arguments)}\n{output}"
    return output


def shortened(command: str) -> tuple[list[str], dict[str, str]]:
    """Return a perceiver-star command that takes seconds, and its environment variables."""
    words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words[: words.index("perceiver-star")])
    words = words[len(variables) :]
    options = " ".join(words[1:])
    appended = next((added for start, added in APPENDED.items() if options.startswith(start)), None)
    assert appended is not None, f"say in APPENDED how long {command!r} may take"
    return [*("tiny" if word in RECIPES else word for word in words), *appended], variables


def test_every_command_is_run_by_a_test() -> None:
    tested = [commands_of(program) for program in ("make", "pip install", "perceiver-star", "tensorboard")]
    assert sorted(commands()) == sorted(command for group in tested for command in group)
    assert all(tested)
    assert len(snippets()) >= 2


@pytest.mark.parametrize("command", commands_of("make"))
def test_make_knows_its_targets(command: str) -> None:
    words = [word for word in shlex.split(command) if "=" not in word]
    assert "perceiver-star train" in run(["make", "-n", *words[1:]], ROOT) or words[1:] == ["test"]


def test_every_figure_was_measured() -> None:
    rows = README.partition("<!-- figures: begin -->")[2].partition("<!-- figures: end -->")[0].splitlines()[3:]
    assert len(rows) >= 9
    for row in rows:
        _, what, figure, command, _ = row.split("|")
        assert re.search(r"\d", figure), what
        assert command.strip(" `") in commands() or command.strip(" `").split()[0] in ("python", "perceiver-star"), what


def test_pip_installs_what_there_is() -> None:
    from envs.microrts.installation import GAME_INSTALL_COMMAND

    torso, microrts, game, starcraft2 = commands_of("pip install")
    assert torso == "pip install ."
    for extras in (microrts, starcraft2):
        named = re.fullmatch(r"pip install '\.\[(.+)\]'", extras)
        assert named
        assert set(named.group(1).split(",")) <= set(
            importlib.metadata.metadata("perceiver-star").get_all("Provides-Extra") or []
        )
    assert game == GAME_INSTALL_COMMAND


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for line in commands_of("perceiver-star") if line not in ALONE])
@pytest.mark.timeout(TIMEOUT_SECONDS + 10)
def test_command(command: str, folder: Path) -> None:
    arguments, variables = shortened(command)
    output = run(arguments, folder, **variables)
    assert "Traceback" not in output
    for option, value in itertools.pairwise(arguments):
        if option in ("--output", "--run-dir"):
            assert (folder / value).exists()


def test_doctor_and_recipes_list_what_the_readme_needs(folder: Path) -> None:
    assert set(ALONE) <= set(commands())
    recipes, findings = (run(shlex.split(command), folder) for command in ALONE)
    assert "µRTS" in findings
    named = set(re.findall(r"--recipe (\w+)", README))
    assert {*RECIPES, "gymnasium"} <= named <= {line.split()[0] for line in recipes.splitlines()}


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_SECONDS + 10)
def test_tensorboard_reads_the_run(folder: Path) -> None:
    # With --inspect it tells what it would show, and ends.
    (command,) = commands_of("tensorboard")
    assert "charts/SPS" in run([*shlex.split(command), "--inspect"], folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(snippets())))
@pytest.mark.timeout(TIMEOUT_SECONDS + 10)
def test_snippet(number: int, folder: Path) -> None:
    run([sys.executable, "-W", "error", "-c", snippets()[number]], folder)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page: str) -> None:
    folder = (ROOT / page).parent
    assert [place for place in links(page) if not (folder / place).exists()] == []


def test_pictures_are_small() -> None:
    assert (ROOT / "docs/images/game.gif").stat().st_size < 2_000_000
    assert (ROOT / "docs/images/learning_curve.png").stat().st_size < 300_000


def test_benchmarks_of_the_figures_are_there() -> None:
    scripts = re.findall(r"python (benchmarks/\w+\.py)", README)
    assert len(scripts) >= 3
    assert [script for script in scripts if not (ROOT / script).is_file()] == []
