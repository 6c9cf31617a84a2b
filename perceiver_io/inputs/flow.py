"""Pairs of frames -> one token per pixel, for optical flow."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from perceiver_io.attention import init_linear_
from perceiver_io.checks import check_dtype, check_signal
from perceiver_io.inputs.adapter import InputAdapter, append_positions
from perceiver_io.position import FourierPositions

FRAME_CHANNELS = 3
PATCH_SIZE = 3


def flow_patches(frames: Tensor) -> Tensor:
    """Return ``[B, H W, 54]``: around each pixel a 3 x 3 patch of both frames, zeros beyond the border.

    Args:
        frames: ``[B, 2, 3, H, W]``. Channels of the result: frame, then row, column and colour in the patch.
    """
    batch_size, num_frames, channels, height, width = frames.shape
    patches = F.unfold(frames.flatten(0, 1), kernel_size=PATCH_SIZE, padding=PATCH_SIZE // 2)
    colour_last = patches.view(batch_size, num_frames, channels, PATCH_SIZE**2, height * width).transpose(2, 3)
    return colour_last.flatten(1, 3).transpose(1, 2)


class FlowInputs(InputAdapter):
    """Patches of both frames through a linear map, with Fourier positions (Jaegle et al. 2022, section 4.2).

    Args:
        image_shape: height and width.
        feature_channels: channels of the linear map.
        num_bands: frequencies per dimension of the positions.
    """

    def __init__(self, image_shape: Sequence[int], *, feature_channels: int = 64, num_bands: int = 64) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.to_features = nn.Linear(2 * FRAME_CHANNELS * PATCH_SIZE**2, feature_channels)
        init_linear_(self.to_features)
        self.positions = FourierPositions(self.image_shape, num_bands=num_bands)
        self.num_tokens = self.positions().shape[0]
        self.num_channels = feature_channels + self.positions.num_channels

    def forward(self, frames: Tensor) -> Tensor:
        """Return ``[B, H W, num_channels]`` of frames ``[B, 2, 3, H, W]``.

        Raises:
            ValueError: if the frames have another shape, or the dtype is not that of the model.
        """
        check_signal("frames", frames, (None, 2, FRAME_CHANNELS, *self.image_shape), axes="[B, frames, C, H, W]")
        if type(self.to_features) is nn.Linear:  # what it was replaced by may have weights of another kind
            check_dtype("frames", frames, like=self.to_features.weight)
        return append_positions(self.to_features(flow_patches(frames)), self.positions())
