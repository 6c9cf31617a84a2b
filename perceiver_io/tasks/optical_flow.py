"""Optical flow: where each pixel of one frame went in the next (Jaegle et al. 2022, section 4.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from perceiver_io.checks import check_signal
from perceiver_io.inputs import FlowInputs
from perceiver_io.model import PerceiverIO
from perceiver_io.queries import input_queries
from perceiver_io.tasks.task import Task, TaskConfig


@dataclass(frozen=True, kw_only=True)
class OpticalFlowConfig(TaskConfig):
    """Sizes of an :class:`OpticalFlow`."""

    image_shape: tuple[int, int] = (368, 496)
    """Height and width of the frames it is trained on; larger ones are cut into crops of this size."""
    feature_channels: int = 64
    """Channels that the patch around each pixel is mapped to."""
    num_bands: int = 64
    """Frequencies per dimension of the Fourier positions."""
    rescale_factor: float = 100.0
    """Divisor of the decoder's outputs, which keeps the first flows small."""
    flow_scale: float = 20.0
    """Pixels that a flow of 1 stands for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rescale_factor", "flow_scale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name}: expected a positive number, got {value}")

    @classmethod
    def published(cls) -> OpticalFlowConfig:
        """Return the paper's model: 41.1 M parameters, published as optical-flow-perceiver."""
        return cls(
            num_latents=2048,
            latent_channels=512,
            num_self_attention_layers_per_block=24,
            num_self_attention_heads=16,
        )

    @classmethod
    def light(cls) -> OpticalFlowConfig:
        """Return the paper's lighter model, with half the latents and 16 layers: 27.9 M parameters."""
        return cls(
            num_latents=1024,
            latent_channels=512,
            num_self_attention_layers_per_block=16,
            num_self_attention_heads=16,
        )


class OpticalFlow(Task):
    """Two frames -> the flow from the first to the second; the output queries are the input features themselves.

    Example:
        >>> config = OpticalFlowConfig(image_shape=(16, 24), num_latents=16, latent_channels=64)
        >>> OpticalFlow(config).predict(torch.rand(1, 2, 3, 30, 50) * 2 - 1, min_overlap=4).shape
        torch.Size([1, 2, 30, 50])
    """

    name: ClassVar[str] = "optical_flow"
    config_class: ClassVar[type[TaskConfig]] = OpticalFlowConfig
    config: OpticalFlowConfig

    def __init__(self, config: OpticalFlowConfig) -> None:
        super().__init__()
        self.config = config
        self.inputs = FlowInputs(
            config.image_shape, feature_channels=config.feature_channels, num_bands=config.num_bands
        )
        channels = self.inputs.num_channels
        self.perceiver_io = PerceiverIO(
            config.perceiver_io(
                input_channels=channels, query_channels=channels, output_channels=2, zero_init_output=True
            )
        )

    def forward(self, frames: Tensor, input_mask: Tensor | None = None) -> Tensor:
        """Return the flow ``[B, 2, H, W]`` of frames of the trained size, x then y, in units of ``flow_scale`` pixels.

        Args:
            frames: ``[B, 2, 3, H, W]``, colours from -1 to 1.
            input_mask: ``[B, H W]`` bool, True = real: the tokens that the latents read, row by row. Every pixel gets
                a flow, asked for by its own token; tokens hold their neighbours' colours too, so these must be finite.

        Raises:
            ValueError: if a shape or dtype is not the expected one.
        """
        tokens = self.inputs(frames)
        outputs: Tensor = self.perceiver_io(tokens, input_queries(tokens), input_mask)
        flow = (outputs / self.config.rescale_factor).transpose(1, 2)
        return flow.reshape(frames.shape[0], 2, *self.config.image_shape)

    @torch.no_grad()
    def predict(self, frames: Tensor, *, min_overlap: int = 20, crops_per_pass: int = 1) -> Tensor:
        """Return the flow ``[B, 2, H, W]`` of frames of any size, x then y, in pixels.

        Frames are cut into overlapping crops of the trained size. Where crops overlap, their flows are averaged with
        weights that fall towards the border of each, as near it what moves in or out is not seen. Smaller frames are
        filled up with their last row and column. Memory is that of ``crops_per_pass`` crops, however many there are.

        Args:
            frames: ``[B, 2, 3, H, W]``, colours from -1 to 1.
            min_overlap: pixels that neighbouring crops share at least, below the trained height and width.
            crops_per_pass: crops computed at once.

        Raises:
            ValueError: if a shape or number is not the expected one.
        """
        check_signal("frames", frames, (None, 2, 3, None, None), axes="[B, frames, C, H, W]")
        crop_height, crop_width = self.config.image_shape
        if not 0 <= min_overlap < min(crop_height, crop_width) or crops_per_pass < 1:
            raise ValueError(
                f"min_overlap and crops_per_pass: expected from 0 to below {min(crop_height, crop_width)} and at "
                f"least 1, got {min_overlap} and {crops_per_pass}"
            )
        padded = _pad(frames, self.config.image_shape)
        batch_size, *_, height, width = padded.shape
        rows = [slice(y, y + crop_height) for y in _crop_starts(height, crop_height, min_overlap)]
        columns = [slice(x, x + crop_width) for x in _crop_starts(width, crop_width, min_overlap)]
        windows = [(b, ..., y, x) for b, y, x in product(range(batch_size), rows, columns)]
        weights = _border_weights(self.config.image_shape).to(frames)
        total, weight_total = (frames.new_zeros(batch_size, channels, height, width) for channels in (2, 1))
        for first in range(0, len(windows), crops_per_pass):
            chosen = windows[first : first + crops_per_pass]
            flows = self(torch.stack([padded[window] for window in chosen]))
            for window, flow in zip(chosen, flows, strict=True):
                total[window] += flow * weights
                weight_total[window] += weights
        stitched = self.config.flow_scale * total / weight_total
        return stitched[..., : frames.shape[-2], : frames.shape[-1]]


def _pad(frames: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return frames of at least that height and width, filled up with their last row and column."""
    missing_rows = max(shape[0] - frames.shape[-2], 0)
    missing_columns = max(shape[1] - frames.shape[-1], 0)
    padded = F.pad(frames.flatten(0, 1), (0, missing_columns, 0, missing_rows), mode="replicate")
    return padded.view(*frames.shape[:3], *padded.shape[-2:])


def _crop_starts(length: int, crop_length: int, min_overlap: int) -> list[int]:
    """Return where crops begin along an axis: as few as cover it, the last one flush with its end."""
    step = crop_length - min_overlap
    num_crops = max(math.ceil((length - min_overlap) / step), 1)
    return [min(index * step, length - crop_length) for index in range(num_crops)]


def _border_weights(shape: tuple[int, int]) -> Tensor:
    """Return ``[H, W]``: the distance of each pixel to the nearest border, counted from 1."""
    rows, columns = (torch.minimum(torch.arange(size) + 1, size - torch.arange(size)) for size in shape)
    return torch.minimum(rows[:, None], columns[None, :])
