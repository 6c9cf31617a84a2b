"""Image classification, three ways to know positions (Jaegle et al. 2022, section 4.5), and the first Perceiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from perceiver_io.attention import init_linear_
from perceiver_io.inputs import ImageFeatures, ImageInputs, ImagePositions
from perceiver_io.model import PerceiverDecoder, PerceiverEncoder
from perceiver_io.queries import LearnedQueries
from perceiver_io.tasks.task import Task, TaskConfig

Readout = Literal["query", "average"]


@dataclass(frozen=True, kw_only=True)
class ImageClassifierConfig(TaskConfig):
    """Sizes of an :class:`ImageClassifier`; see :class:`ImageInputs` for those of its inputs."""

    image_shape: tuple[int, int] = (224, 224)
    """Height and width of the images."""
    image_channels: int = 3
    """Channels of the images."""
    num_classes: int = 1000
    """Classes to tell apart."""
    features: ImageFeatures = "pixels"
    """Pixels as they are, "conv1x1", a linear map of each, or "conv", the convolutional stem."""
    feature_channels: int = 64
    """Channels that "conv1x1" and "conv" give."""
    positions: ImagePositions = "fourier"
    """Positions beside the features: "fourier", "learned" or "none"."""
    num_bands: int = 64
    """Frequencies per dimension of Fourier positions."""
    max_resolution: tuple[int, int] | None = None
    """Height and width that set their highest frequencies; None = those of the feature map."""
    position_channels: int = 256
    """Channels of learned positions."""
    project_positions: bool = False
    """Pass learned positions through a linear map."""
    readout: Readout = "query"
    """Decode one class query, or project the "average" of the latents, as the first Perceiver does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.readout not in ("query", "average"):
            raise ValueError(f'readout: expected "query" or "average", got {self.readout!r}')

    @classmethod
    def fourier(cls) -> ImageClassifierConfig:
        """Return the paper's ImageNet model with Fourier positions, published as vision-perceiver-fourier."""
        return cls(num_blocks=8, max_resolution=(224, 224))

    @classmethod
    def learned(cls) -> ImageClassifierConfig:
        """Return the paper's model that is told nothing of images, published as vision-perceiver-learned."""
        return cls(num_blocks=8, features="conv1x1", feature_channels=256, positions="learned", project_positions=True)

    @classmethod
    def convolutional(cls) -> ImageClassifierConfig:
        """Return the paper's ImageNet model with a convolutional stem, published as vision-perceiver-conv."""
        return cls(num_blocks=8, features="conv", max_resolution=(56, 56))

    @classmethod
    def perceiver(cls, *, share_weights: bool = True) -> ImageClassifierConfig:
        """Return the first Perceiver's ImageNet model, which reads the image before each of 8 blocks.

        Jaegle et al. 2021, arXiv 2103.03206, section 4.1.

        Args:
            share_weights: the same weights in every block, and in every reading after the first: 44.9 M parameters.
                Without, 326 M.
        """
        return cls(
            num_blocks=8,
            share_block_weights=share_weights,
            num_cross_attentions=8,
            cross_attention_weights="shared_after_first" if share_weights else "separate",
            readout="average",
        )


class ImageClassifier(Task):
    """Images -> class logits.

    Example:
        >>> config = ImageClassifierConfig(image_shape=(8, 8), num_classes=10, num_latents=16, latent_channels=64)
        >>> ImageClassifier(config)(torch.randn(2, 3, 8, 8)).shape
        torch.Size([2, 10])
    """

    name: ClassVar[str] = "image_classifier"
    config_class: ClassVar[type[TaskConfig]] = ImageClassifierConfig
    config: ImageClassifierConfig

    def __init__(self, config: ImageClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.inputs = ImageInputs(
            config.image_shape,
            image_channels=config.image_channels,
            features=config.features,
            feature_channels=config.feature_channels,
            positions=config.positions,
            num_bands=config.num_bands,
            max_resolution=config.max_resolution,
            position_channels=config.position_channels,
            project_positions=config.project_positions,
        )
        perceiver_io = config.perceiver_io(
            input_channels=self.inputs.num_channels,
            query_channels=config.latent_channels,
            output_channels=config.num_classes,
            decoder_query_residual=True,
        )
        self.encoder = PerceiverEncoder(perceiver_io)
        self.readout: ClassQueryReadout | AverageReadout
        if config.readout == "query":
            self.readout = ClassQueryReadout(PerceiverDecoder(perceiver_io))
        else:
            self.readout = AverageReadout(config.latent_channels, config.num_classes)

    def forward(self, images: Tensor, input_mask: Tensor | None = None) -> Tensor:
        """Return logits ``[B, num_classes]``.

        Args:
            images: ``[B, image_channels, H, W]``, normalised.
            input_mask: ``[B, M]`` bool, True = real: pixels, or, of "conv", points of the feature map, row by row. A
                point that is not masked holds what the pixels around it do.

        Raises:
            ValueError: if a shape or dtype is not the expected one.
        """
        logits: Tensor = self.readout(self.encoder(self.inputs(images, input_mask), input_mask))
        return logits


class ClassQueryReadout(nn.Module):
    """Decode one trained query into class logits (Jaegle et al. 2022, section 3.2)."""

    def __init__(self, decoder: PerceiverDecoder) -> None:
        super().__init__()
        self.query = LearnedQueries(1, decoder.config.query_channels)
        self.decoder = decoder

    def forward(self, latents: Tensor) -> Tensor:
        """Return ``[B, num_classes]`` of latents ``[B, N, D]``."""
        outputs: Tensor = self.decoder(latents, self.query())
        return outputs.squeeze(1)


class AverageReadout(nn.Module):
    """Average over the latents and project (Jaegle et al. 2021, section 3.1)."""

    def __init__(self, latent_channels: int, num_classes: int) -> None:
        super().__init__()
        self.to_logits = nn.Linear(latent_channels, num_classes)
        init_linear_(self.to_logits)

    def forward(self, latents: Tensor) -> Tensor:
        """Return ``[B, num_classes]`` of latents ``[B, N, D]``."""
        logits: Tensor = self.to_logits(latents.mean(dim=1))
        return logits
