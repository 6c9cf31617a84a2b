"""Images -> one token per pixel, or per point of a convolutional feature map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from perceiver_io.attention import init_linear_
from perceiver_io.checks import check_dtype, check_mask, check_signal
from perceiver_io.inputs.adapter import InputAdapter, append_positions
from perceiver_io.position import FourierPositions, LearnedPositions

ImageFeatures = Literal["pixels", "conv1x1", "conv"]
ImagePositions = Literal["fourier", "learned", "none"]


class ConvolutionalStem(nn.Module):
    """Convolution (7 x 7, stride 2), batch norm, ReLU, max pooling (3 x 3, stride 2).

    That is about a quarter of the resolution. Padding is as in ``transformers``: 224 x 224 pixels give 55 x 55 points,
    where DeepMind's own code pads the pooling too, and gives 56 x 56.
    """

    def __init__(self, image_channels: int, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(image_channels, channels, kernel_size=7, stride=2, padding=3, bias=False)
        self.batch_norm = nn.BatchNorm2d(channels)

    @staticmethod
    def output_shape(image_shape: Sequence[int]) -> tuple[int, int]:
        """Return the height and width of the feature map of an image of that height and width."""
        height, width = (((size - 1) // 2 + 1 - 3) // 2 + 1 for size in image_shape)
        return height, width

    def forward(self, images: Tensor) -> Tensor:
        """Return ``[B, channels, h, w]`` of images ``[B, image_channels, H, W]``."""
        features = F.relu(self.batch_norm(self.convolution(images)))
        return F.max_pool2d(features, kernel_size=3, stride=2)


class ImageInputs(InputAdapter):
    """The features of an image, each with its position beside it (Jaegle et al. 2022, section 4.5 and appendix A).

    Args:
        image_shape: height and width.
        image_channels: channels of the images.
        features: "pixels" as they are, "conv1x1", a linear map of each pixel, or "conv", the convolutional stem.
        feature_channels: channels that "conv1x1" and "conv" give.
        positions: "fourier", "learned" or "none".
        num_bands: frequencies per dimension of Fourier positions.
        max_resolution: height and width that set their highest frequencies; those of the feature map by default.
        position_channels: channels of learned positions.
        project_positions: pass learned positions through a linear map.

    Raises:
        ValueError: if an option is unknown, or the image too small for the stem.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        image_channels: int = 3,
        features: ImageFeatures = "pixels",
        feature_channels: int = 64,
        positions: ImagePositions = "fourier",
        num_bands: int = 64,
        max_resolution: Sequence[int] | None = None,
        position_channels: int = 256,
        project_positions: bool = False,
    ) -> None:
        super().__init__()
        _check_choice("features", features, get_args(ImageFeatures))
        _check_choice("positions", positions, get_args(ImagePositions))
        self.image_shape = tuple(image_shape)
        self.image_channels = image_channels
        self.stem: ConvolutionalStem | None = None
        self.to_features: nn.Linear | None = None
        if features == "conv":
            self.stem = ConvolutionalStem(image_channels, feature_channels)
        elif features == "conv1x1":
            self.to_features = nn.Linear(image_channels, feature_channels)
            init_linear_(self.to_features)
        self.index_shape = ConvolutionalStem.output_shape(image_shape) if features == "conv" else self.image_shape
        if min(self.index_shape) < 1:
            raise ValueError(f"image_shape: expected positive sizes, 5 or more for the stem, got {self.image_shape}")
        self.num_tokens = self.index_shape[0] * self.index_shape[1]
        self.num_channels = image_channels if features == "pixels" else feature_channels
        self.positions: FourierPositions | LearnedPositions | None = None
        self.position_projection: nn.Linear | None = None
        if positions == "fourier":
            self.positions = FourierPositions(self.index_shape, num_bands=num_bands, max_resolution=max_resolution)
        elif positions == "learned":
            self.positions = LearnedPositions(self.num_tokens, position_channels)
            if project_positions:
                self.position_projection = nn.Linear(position_channels, position_channels)
                init_linear_(self.position_projection)
        if self.positions is not None:
            self.num_channels += self.positions.num_channels

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return ``[B, M, num_channels]`` of images ``[B, image_channels, H, W]``, rows of the image one by one.

        Args:
            images: ``[B, image_channels, H, W]``.
            mask: ``[B, M]`` bool, True = real. The tokens of masked pixels hold zeros for them.

        Raises:
            ValueError: if the images or the mask have another shape, or a dtype is not the expected one.
        """
        check_signal("images", images, (None, self.image_channels, *self.image_shape), axes="[B, C, H, W]")
        learnt = self.to_features if self.stem is None else self.stem.convolution
        # What they were replaced by may have weights of another kind.
        if learnt is not None and type(learnt) in (nn.Linear, nn.Conv2d):
            check_dtype("images", images, like=learnt.weight)
        if mask is not None:
            images = self._without_masked(images, mask)
        features = images if self.stem is None else self.stem(images)
        tokens = features.flatten(2).transpose(1, 2)
        if self.to_features is not None:
            tokens = self.to_features(tokens)
        if self.positions is None:
            return tokens
        positions = self.positions()
        return append_positions(
            tokens, positions if self.position_projection is None else self.position_projection(positions)
        )

    def _without_masked(self, images: Tensor, mask: Tensor) -> Tensor:
        check_mask("input_mask", mask, shape=(images.shape[0], self.num_tokens), of="the images' tokens")
        # A linear map would learn from masked pixels; each point of the stem holds many pixels, which are not masked.
        return images if self.stem is not None else images.masked_fill(~mask.view(-1, 1, *self.image_shape), 0.0)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {choices}, got {value!r}")
