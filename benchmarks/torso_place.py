"""Where torsos are measured, device and precision: the lists, the passes, and the most that can be had there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torso_peers import CHANNELS

Call = Callable[[], object]


@dataclass(frozen=True)
class Place:
    """A device, and the type of weights and entities on it."""

    device: str = "cpu"
    dtype: str = "float32"

    def module(self, module: nn.Module) -> nn.Module:
        """Return the module, moved there."""
        return module.to(device=self.device, dtype=getattr(torch, self.dtype))

    def lists(self, batch: int, entities: int, *, quarter: bool) -> tuple[Tensor, Tensor]:
        """Return entities and mask: full lists, or of lengths from 1 to half the slots, a quarter full in the mean."""
        generator = torch.Generator().manual_seed(0)
        lengths = torch.full((batch,), entities)
        if quarter:
            lengths = torch.linspace(1, entities // 2 - 1, batch).round().long()
            lengths = lengths[torch.randperm(batch, generator=generator)]
        mask = torch.arange(entities) < lengths[:, None]
        tokens = torch.randn(batch, entities, CHANNELS, generator=generator)
        return tokens.to(device=self.device, dtype=getattr(torch, self.dtype)), mask.to(self.device)

    def finish(self) -> None:
        """Wait until the device has done what it was asked for."""
        if self.device != "cpu":
            torch.accelerator.synchronize()

    def peak_flops(self) -> float:
        """Return the operations a second of one large matrix product, the best of several."""
        size = 2048 if self.device == "cpu" else 8192
        left = torch.randn(size, size).to(device=self.device, dtype=getattr(torch, self.dtype))
        best = float("inf")
        for _ in range(10):
            start = time.perf_counter()
            left @ left
            self.finish()
            best = min(best, time.perf_counter() - start)
        return 2 * size**3 / best

    def describe(self) -> dict[str, Any]:
        """Return device and type in words."""
        name = torch.cuda.get_device_name() if self.device.startswith("cuda") else self.device
        return {"device": name, "dtype": self.dtype}


def forward(torso: nn.Module, place: Place, **shape: Any) -> Call:
    """Return a call of the torso without gradients."""
    entities, mask = place.lists(**shape)

    def call() -> None:
        with torch.inference_mode():
            torso(entities, mask)
        place.finish()

    return call


def training_step(torso: nn.Module, place: Place, **shape: Any) -> Call:
    """Return a forward and backward pass."""
    entities, mask = place.lists(**shape)

    def call() -> None:
        torso.zero_grad(set_to_none=True)
        embeddings, pooled = torso(entities, mask)
        (embeddings.square().mean() + pooled.square().mean()).backward()
        place.finish()

    return call
