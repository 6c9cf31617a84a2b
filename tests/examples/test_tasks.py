from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("masked_language_model", "image_classifier", "optical_flow", "multimodal_autoencoder")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def printed_by(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    load(name).main()
    output = capsys.readouterr().out.strip()
    assert len(output.splitlines()) == 1
    return output


@pytest.mark.parametrize("name", NAMES)
def test_needs_torch_and_perceiver_io_only(name: str) -> None:
    nodes = list(ast.walk(ast.parse((EXAMPLES / f"{name}.py").read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {"__future__", "math", "torch", "perceiver_io"}


def test_hidden_bytes_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    output = printed_by("masked_language_model", capsys)
    assert output.endswith("-> the latents read the bytes")


def test_bars_are_told_apart_by_positions_only(capsys: pytest.CaptureFixture[str]) -> None:
    with_positions, without = map(int, re.findall(r"(\d+) %", printed_by("image_classifier", capsys)))
    assert with_positions > 90
    assert 35 < without < 65


def test_flow_is_far_better_than_none(capsys: pytest.CaptureFixture[str]) -> None:
    error, zero_error = map(float, re.findall(r"\d+\.\d+", printed_by("optical_flow", capsys)))
    assert error < 0.4 * zero_error


def test_textures_move_by_the_flow() -> None:
    torch.manual_seed(0)
    frames, flow = load("optical_flow").moving_textures(8, 10, 12)
    for (before, after), (x, y) in zip(frames, flow[:, :, 0, 0].int().tolist(), strict=True):
        torch.testing.assert_close(after[:, 4 + y, 5 + x], before[:, 4, 5])


def test_clips_come_back_through_the_latents(capsys: pytest.CaptureFixture[str]) -> None:
    audio, video, labels = map(int, re.findall(r"(\d+) %", printed_by("multimodal_autoencoder", capsys)))
    assert audio > 75
    assert video > 60
    assert labels > 95
