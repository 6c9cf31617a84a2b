"""Videos -> one token per block of pixels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from perceiver_io.checks import check_signal
from perceiver_io.inputs.adapter import InputAdapter, append_positions
from perceiver_io.position import FourierPositions


def space_to_depth(video: Tensor, block_size: int) -> Tensor:
    """Return ``[B, T H/s W/s, s s C]``: the pixels of every s x s block of each frame as the channels of one token.

    Args:
        video: ``[B, T, C, H, W]``. Channels of the result: row, column and colour in the block.
        block_size: s, a divisor of height and width.
    """
    batch_size, num_frames, channels, height, width = video.shape
    rows, columns = height // block_size, width // block_size
    blocks = video.reshape(batch_size, num_frames, channels, rows, block_size, columns, block_size)
    return blocks.permute(0, 1, 3, 5, 4, 6, 2).flatten(4).flatten(1, 3)


class VideoInputs(InputAdapter):
    """Blocks of pixels with Fourier positions in time, height and width (Jaegle et al. 2022, section 4.3).

    Args:
        video_shape: frames, height and width.
        video_channels: channels of the frames.
        block_size: height and width of a block.
        num_bands: frequencies per dimension of the positions.

    Raises:
        ValueError: if height or width do not divide by the block size.
    """

    def __init__(
        self, video_shape: Sequence[int], *, video_channels: int = 3, block_size: int = 4, num_bands: int = 32
    ) -> None:
        super().__init__()
        num_frames, height, width = video_shape
        if block_size < 1 or height % block_size or width % block_size:
            raise ValueError(
                f"block_size: expected a divisor of height and width = {height} and {width}, got {block_size}"
            )
        self.video_shape = tuple(video_shape)
        self.video_channels = video_channels
        self.block_size = block_size
        self.positions = FourierPositions((num_frames, height // block_size, width // block_size), num_bands=num_bands)
        self.num_tokens = self.positions().shape[0]
        self.num_channels = video_channels * block_size**2 + self.positions.num_channels

    def forward(self, video: Tensor) -> Tensor:
        """Return ``[B, M, num_channels]`` of a video ``[B, T, video_channels, H, W]``.

        Raises:
            ValueError: if the video has another shape, or the dtype is not floating point.
        """
        num_frames, height, width = self.video_shape
        check_signal("video", video, (None, num_frames, self.video_channels, height, width), axes="[B, T, C, H, W]")
        return append_positions(space_to_depth(video, self.block_size), self.positions())
