"""Every Python snippet of the torso's pages runs as it stands."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from tests.documents import code_blocks

PAGES = {"perceiver_io/README.md": 12, "docs/perceiver_io.md": 3}
SNIPPETS = [
    pytest.param(text, id=f"{page}-{number}")
    for page in PAGES
    for number, text in enumerate(code_blocks(page, "python"))
]


def test_each_page_has_its_snippets() -> None:
    assert {page: len(code_blocks(page, "python")) for page in PAGES} == PAGES


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method")  # torch's compiler uses it itself
@pytest.mark.parametrize("text", SNIPPETS)
def test_snippet(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "save_pretrained" in text:
        pytest.importorskip("safetensors")
    assert "assert" in text
    monkeypatch.chdir(tmp_path)
    (tmp_path / "snippet.py").write_text(text, encoding="utf-8")
    torch.manual_seed(0)
    runpy.run_path("snippet.py")
