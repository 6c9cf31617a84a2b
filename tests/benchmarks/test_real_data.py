"""The benchmarks on real data: what they read and make, their arithmetic, and a short run of each command."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip("sklearn")
pytest.importorskip("skimage")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OWN_MODULES = ("common", "flops", "supervised", "byte_corpus", "digits", "flow", "masked_bytes", "multimodal")


def load(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """Import a benchmark's module as its own command does, with its folder first on the path."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for module in OWN_MODULES:
        monkeypatch.delitem(sys.modules, module, raising=False)
    return __import__(name)


def tiny_run(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> dict[str, Any]:
    """Return what the command writes, after checking what all of them write."""
    benchmark = load(monkeypatch, name)
    output = folder / f"{name}.json"
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--output", str(output), "--tiny"])
    benchmark.main()
    results: dict[str, Any] = json.loads(output.read_text())
    assert results["machine"]["cores"]
    assert results["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert results["schedule"]["steps"] > 0
    assert output.with_suffix(".png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    for curves in results["curves"].values():
        for curve in curves:
            assert curve[-1]["step"] == results["schedule"]["steps"]
            assert all(math.isfinite(value) for point in curve for value in point.values())
    return results


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_training_fits_a_line_and_draws_its_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised = load(monkeypatch, "supervised")
    torch.manual_seed(0)
    inputs = torch.randn(64, 2)
    targets = inputs @ torch.tensor([[2.0], [-1.0]]) + 0.5
    modes = []

    def loss(model: nn.Module) -> torch.Tensor:
        return (model(inputs) - targets).square().mean()

    def evaluate(model: nn.Module) -> dict[str, float]:
        modes.append((model.training, torch.is_grad_enabled()))
        return {"error": loss(model).item()}

    schedule = supervised.Schedule(steps=203, batch_size=64, learning_rate=0.1, weight_decay=0.0, evaluations=4)
    run = supervised.train(nn.Linear(2, 1), loss, evaluate, schedule)
    assert [point["step"] for point in run.curve] == [50, 100, 150, 203]
    assert run.last["error"] < 1e-3 < run.curve[0]["loss"]
    assert modes == [(False, False)] * 4


def test_prose_keeps_sentences_and_drops_code_and_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = load(monkeypatch, "byte_corpus")
    sentence = (
        "A paragraph of plain English words,\n    wrapped over lines and long enough, is what a reader wants to read."
    )
    code = ">>> f(x)[0] + {1: 2}[1] - (3 * 4) == g(y)[5:6] # " + "() [] {} " * 10
    assert list(corpus.prose(f"{sentence}\n\n{code}\n\nToo short.")) == [" ".join(sentence.split())]
    assert list(corpus.docstrings('"""Module."""\ndef f():\n    """Function."""\n    "no docstring"\n')) == [
        "Module.",
        "Function.",
    ]


def test_no_paragraph_is_both_trained_on_and_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(monkeypatch, "byte_corpus")
    corpus = module.read_corpus(())
    again = module.read_corpus(())
    training, held_out = (set(bytes(part.tolist()).split(b"\n")) for part in (corpus.training, corpus.held_out))
    assert not training & held_out
    assert 10_000 < len(corpus.held_out) < len(corpus.training) / 2
    assert corpus.description["held_out"]["bytes"] == len(corpus.held_out)
    assert corpus.description == again.description


def test_both_language_models_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = load(monkeypatch, "masked_bytes")
    token_ids = torch.full((1, benchmark.LENGTH), benchmark.TOKENIZER.mask_id)
    counted = {name: benchmark.count_flops(build(), token_ids) for name, build in benchmark.MODELS.items()}
    assert counted[benchmark.PERCEIVER] == pytest.approx(counted[benchmark.TRANSFORMER], rel=0.02)
    length, channels, layers, vocabulary = 64, 64, 2, 262
    of_layer = 2 * length * 12 * channels**2 + 2 * 2 * length**2 * channels
    assert counted[benchmark.TRANSFORMER] == layers * of_layer + 2 * length * channels * vocabulary


def test_masked_bytes_are_hidden_from_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = load(monkeypatch, "masked_bytes")
    text = torch.arange(2000).remainder(256).to(torch.uint8)
    token_ids, hidden = benchmark.draw(text, 16, generator())
    assert ((token_ids[:, 1:] - token_ids[:, :-1]) % 256 == 1).all()
    assert hidden.float().mean().item() == pytest.approx(benchmark.MASKED_SHARE, abs=0.02)
    read: list[torch.Tensor] = []

    def model(ids: torch.Tensor) -> torch.Tensor:
        read.append(ids)
        return nn.functional.one_hot(ids, benchmark.TOKENIZER.vocabulary_size).float()

    logits = benchmark.masked_logits(model, token_ids, hidden)
    assert (logits.argmax(dim=-1) == benchmark.TOKENIZER.mask_id).all()
    assert torch.equal(read[0][~hidden], token_ids[~hidden])


def test_digits_are_told_apart_with_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load(monkeypatch, "digits")
    training, test = digits.read_digits()
    assert (len(training.labels), len(test.labels)) == (1348, 449)
    assert (training.images.min().item(), training.images.max().item()) == (-1.0, 1.0)
    schedule = dataclasses.replace(digits.SCHEDULE, steps=100, evaluations=1)
    assert digits.run("fourier", 1, schedule, training, test).last["test_accuracy"] > 0.5


def test_first_frame_shows_what_the_second_shows_where_the_flow_points(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = load(monkeypatch, "flow")
    second = torch.rand(1, 3, 8, 10, generator=generator())
    flows = torch.zeros(1, 2, 8, 10)
    flows[:, 0], flows[:, 1] = 2.0, -1.0
    first = flow.warp(second, flows)
    torch.testing.assert_close(first[..., 1:, :-2], second[..., :-1, 2:])
    flows[:, 0], flows[:, 1] = 0.5, 0.0
    halves = (second[..., :-1] + second[..., 1:]) / 2
    torch.testing.assert_close(flow.warp(second, flows)[..., :-1], halves)
    assert flow.end_point_error(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)) == 5.0


def test_flows_are_smooth_bounded_and_of_the_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = load(monkeypatch, "flow")
    flows = flow.smooth_flows(2000, (24, 24), generator())
    assert 0.9 * flow.LARGEST_FLOW < flows.abs().max() <= flow.LARGEST_FLOW
    largest_step = 2 * flow.OWN_SHARE * flow.LARGEST_FLOW * (flow.CONTROL_POINTS - 1) / 23
    assert 0.5 * largest_step < flows.diff(dim=-1).abs().max() <= largest_step + 1e-6
    assert not set(flow.TRAINING) & set(flow.HELD_OUT)
    photographs = flow.read_photographs(flow.HELD_OUT)
    assert all(photograph.shape[0] == 3 and photograph.abs().max() <= 1.0 for photograph in photographs)
    frames, flows = flow.draw(photographs, 2, (24, 32), generator())
    assert (frames.shape, flows.shape) == ((2, 2, 3, 24, 32), (2, 2, 24, 32))
    # Warping the second frame by the returned flow gives the first, but where it reads beyond the crop.
    inside = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(flow.warp(frames[:, 1], flows)[inside], frames[:, 0][inside], atol=1e-3, rtol=0.0)
    assert frames.mean(dim=(1, 2, 3, 4)).tolist() == pytest.approx([0.0, 0.0], abs=1e-4)
    assert frames.std(dim=(1, 2, 3, 4)).tolist() == pytest.approx([1.0, 1.0], abs=1e-3)


def test_tone_follows_the_height_of_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    multimodal = load(monkeypatch, "multimodal")
    clips = multimodal.draw(400, generator())
    lit = clips.video.sum(dim=2)
    heights = (lit.sum(dim=3) * torch.arange(multimodal.SIZE)).sum(dim=2) / lit.sum(dim=(2, 3))
    crossings = (clips.audio[:, 1:] * clips.audio[:, :-1] < 0).sum(dim=1).float()
    assert torch.corrcoef(torch.stack([-heights.mean(dim=1), crossings]))[0, 1] > 0.95
    assert (clips.video.min().item(), clips.audio.abs().max().item()) == (0.0, pytest.approx(1.0, abs=1e-3))
    assert torch.bincount(clips.labels).tolist() == pytest.approx([100] * 4, abs=30)


def test_every_kind_has_a_shape_of_its_own_inside_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    multimodal = load(monkeypatch, "multimodal")
    shapes = multimodal.brightness(torch.full((4, 1, 2), 7.5), torch.arange(4)).squeeze(1)
    differences = (shapes[:, None] - shapes[None, :]).abs().sum(dim=(2, 3))
    assert (differences + 100 * torch.eye(4) > 6).all()
    corners = torch.tensor([[3.5, 3.5], [11.5, 11.5]])
    at_walls = multimodal.brightness(corners.expand(4, 2, 2), torch.arange(4)).sum(dim=(2, 3))
    torch.testing.assert_close(at_walls, shapes.sum(dim=(1, 2))[:, None].expand(4, 2))
    assert multimodal.psnr(torch.zeros(10), torch.full((10,), 0.1), 1.0) == pytest.approx(20.0, abs=1e-4)


def test_masked_bytes_writes_its_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = tiny_run(monkeypatch, "masked_bytes", tmp_path)
    assert results["flops_ratio"] == pytest.approx(1.0, abs=0.02)
    assert set(results["held_out_accuracy"]) == set(results["held_out_cross_entropy"]) == set(results["parameters"])
    assert results["corpus"]["training"]["bytes"] > 100_000
    assert 0.1 < results["without_context"]["accuracy"] < 0.3
    assert 2.5 < results["without_context"]["cross_entropy"] < 3.5
    assert all(curve[-1]["loss"] < curve[0]["loss"] for curves in results["curves"].values() for curve in curves)


def test_digits_writes_its_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = tiny_run(monkeypatch, "digits", tmp_path)
    assert set(results["test_accuracy"]) == {"fourier", "learned", "none"}
    assert results["images"] == {"training": 1348, "test": 449}
    assert 0.05 < results["chance_accuracy"] < 0.15
    assert results["versions"]["scikit-learn"]


def test_flow_writes_its_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = tiny_run(monkeypatch, "flow", tmp_path)
    assert results["ratio_to_zero"] == pytest.approx(results["end_point_error"] / results["zero_end_point_error"])
    assert 0.1 < results["zero_end_point_error"] < 2.0
    assert results["large_frames"]["shape"] == [40, 56]
    assert 0.0 < results["large_frames"]["ratio"] < 3.0


def test_multimodal_writes_its_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = tiny_run(monkeypatch, "multimodal", tmp_path)
    curve = results["curves"]["Perceiver IO"][0]
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert results["audio_psnr"] < results["mean_audio_psnr"] < 12.0
    assert results["chance_accuracy"] == 0.25
    assert results["compression"] == pytest.approx((512 + 8 * 3 * 16 * 16) / 1024)
