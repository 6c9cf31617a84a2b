"""The arithmetic behind the torso benchmark's figures."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from perceiver_io import huggingface

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def torso(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("torso")


@pytest.fixture
def grid(torso: ModuleType) -> ModuleType:
    return importlib.import_module("torso_grid")


@pytest.fixture
def place(torso: ModuleType) -> Any:
    return importlib.import_module("torso_place").Place()


@pytest.fixture
def torso_memory(torso: ModuleType) -> ModuleType:
    return importlib.import_module("torso_memory")


def test_quarter_full_lists_are_a_quarter_full(place: Any) -> None:
    entities, mask = place.lists(32, 512, quarter=True)
    assert entities.shape == (32, 512, 256)
    assert mask.float().mean().item() == pytest.approx(0.25, abs=1e-3)
    assert mask.any(dim=1).all()
    assert place.lists(2, 64, quarter=False)[1].all()


def test_growth_exponent_is_the_slope_from_512_on(grid: ModuleType) -> None:
    quadratic = {size: {"ours": 3.0 * size**2 if size >= 512 else 1.0} for size in grid.SIZES}
    assert grid.growth_exponent(quadratic, "ours", first=512) == pytest.approx(2.0)


def test_the_fastest_peer_counts_and_absent_ones_do_not(torso: ModuleType) -> None:
    times = {torso.OURS: [1.0, 2.0, 1.0], "a": [2.0, 4.0, 2.0], "b": [3.0, 3.0, 3.0]}
    assert torso.against(times, ["a", "b", "absent"]) == 2.0
    assert torso.against(times, ["absent"]) is None


def test_as_many_layers_as_fit_are_found(monkeypatch: pytest.MonkeyPatch, torso_memory: ModuleType) -> None:
    def peak(name: str, entities: int, *, place: Any, training: bool = False, layers: int | None = None) -> float:
        assert training
        assert layers is not None
        return 400.0 if name == torso_memory.TRANSFORMER else 100.0 + 21.0 * layers

    monkeypatch.setattr(torso_memory, "peak_mebibytes", peak)
    found = torso_memory.layers_that_fit(2048, transformer_layers=4, place=None)
    assert found["layers"] == 14
    assert found["mebibytes"] == 394.0
    assert found["transformer_mebibytes"] == 400.0


@pytest.mark.parametrize("quarter", [False, True])
def test_ours_gives_the_numbers_and_gradients_of_transformers_model(
    torso: ModuleType, place: Any, quarter: bool
) -> None:
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    peer, own = torso.TORSOS["transformers"]().eval(), torso.TORSOS[torso.OURS]().eval()
    model = own.module.perceiver_io
    parameters = dict(peer.module.named_parameters(prefix="perceiver"))
    for name, slot in huggingface.perceiver_io_slots(model.encoder, model.decoder, "perceiver.decoder").items():
        slot.copy_(parameters.pop(name).detach())
    assert parameters == {}
    entities, mask = place.lists(4, 512, quarter=quarter)

    def run(used: torch.nn.Module) -> list[torch.Tensor]:
        given = entities.clone().requires_grad_()
        embeddings, pooled = used(given, mask)
        (embeddings.sin().sum() + pooled.square().sum()).backward()
        with torch.inference_mode():
            without_gradients = used(entities, mask)
        return [embeddings, pooled, *without_gradients, given.grad]

    for got, expected in zip(run(own), run(peer), strict=True):
        assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()
    latents = model.encoder.latents.grad
    expected = dict(peer.module.named_parameters())["embeddings.latents"].grad
    assert (latents - expected).abs().max() <= 1e-4 * expected.abs().max()
