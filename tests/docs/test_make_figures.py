"""The script of the pictures draws all that the torso's pages show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, links

SCRIPT = ROOT / "docs" / "figures" / "make_figures.py"
PAGES = ("perceiver_io/README.md", "docs/perceiver_io.md")
ALL = {Path(place).name for page in PAGES for place in links(page) if "images/" in place}
SHOWN = {name for name in ALL if not name.endswith("_curves.png")}  # benchmarks draw those
MAX_BYTES = 60_000


def draw(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=170)


def test_all_pictures_are_drawn_and_shown(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    finished = draw("--quick", "--output", str(tmp_path))
    assert finished.returncode == 0, finished.stderr
    assert {path.name for path in tmp_path.iterdir()} == SHOWN
    for path in tmp_path.iterdir():
        with image.open(path) as picture, image.open(ROOT / "docs" / "images" / path.name) as committed:
            assert picture.size == committed.size
            assert len(picture.getcolors()) > 4


def test_an_unknown_picture_is_refused() -> None:
    finished = draw("nothing")
    assert finished.returncode == 2
    assert "no such picture: nothing; there are encode_process_decode" in finished.stderr


def test_pictures_are_small() -> None:
    assert {name: (ROOT / "docs" / "images" / name).stat().st_size < MAX_BYTES for name in ALL} == dict.fromkeys(
        ALL, True
    )
