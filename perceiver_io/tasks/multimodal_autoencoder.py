"""Video, audio and label through one bottleneck and back (Jaegle et al. 2022, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from perceiver_io.attention import init_linear_
from perceiver_io.checks import check_indices
from perceiver_io.inputs import AudioInputs, LabelInputs, MultimodalInputs, VideoInputs
from perceiver_io.model import PerceiverIO
from perceiver_io.queries import FourierQueries, LearnedQueries, MultimodalQueries, decode_in_chunks
from perceiver_io.tasks.task import Task, TaskConfig

COLOURS = 3


class MultimodalOutput(NamedTuple):
    """What a :class:`MultimodalAutoencoder` decodes: chosen patches of audio, chosen pixels, and the label."""

    audio: Tensor
    """``[B, Q, samples_per_patch]``."""
    video: Tensor
    """``[B, Q, 3]``."""
    label_logits: Tensor
    """``[B, num_classes]``."""


class MultimodalReconstruction(NamedTuple):
    """Whole clips as a :class:`MultimodalAutoencoder` reconstructs them."""

    audio: Tensor
    """``[B, num_samples]``."""
    video: Tensor
    """``[B, T, 3, H, W]``."""
    label_logits: Tensor
    """``[B, num_classes]``."""


@dataclass(frozen=True, kw_only=True)
class MultimodalAutoencoderConfig(TaskConfig):
    """Sizes of a :class:`MultimodalAutoencoder`; the defaults of inputs and outputs are the paper's for Kinetics."""

    num_frames: int = 16
    """Frames of a clip, T."""
    image_shape: tuple[int, int] = (224, 224)
    """Height and width of the frames."""
    block_size: int = 4
    """Height and width of the blocks of pixels that are one input token."""
    samples_per_frame: int = 1920
    """Audio samples that go with a frame."""
    samples_per_patch: int = 16
    """Audio samples of one token."""
    num_classes: int = 700
    """Classes of the label."""
    audio_num_bands: int = 192
    """Frequencies of the positions in audio."""
    video_num_bands: int = 32
    """Frequencies per dimension of the positions in video."""
    label_query_channels: int = 1024
    """Channels of the trained query of the label."""
    output_channels: int = 512
    """Channels of what is decoded, before the linear map of each modality."""
    audio_mask_probability: float = 0.0
    """How often the audio of a training example is hidden."""
    video_mask_probability: float = 0.0
    """How often its video is hidden."""
    label_mask_probability: float = 1.0
    """How often its label is hidden: always, in evaluation too, where the model is to be a classifier."""

    @property
    def num_samples(self) -> int:
        """Audio samples of a clip."""
        return self.num_frames * self.samples_per_frame

    @classmethod
    def published(cls, *, num_latents: int = 784) -> MultimodalAutoencoderConfig:
        """Return the paper's model: 19.9 M parameters, published as multimodal-perceiver.

        Args:
            num_latents: 784 latents compress a clip 88 times, 392 and 196 (the paper's others) 176 and 352 times.
        """
        return cls(num_latents=num_latents, latent_channels=512, num_self_attention_layers_per_block=8)


class MultimodalAutoencoder(Task):
    """Audio, video and label -> latents -> any part of each, by queries that know only modality and position.

    What is not given is hidden from the latents, and decoded all the same: without the label, this is a classifier.

    Example:
        >>> config = MultimodalAutoencoderConfig(num_frames=2, image_shape=(8, 8), num_latents=16, latent_channels=64)
        >>> model = MultimodalAutoencoder(config)
        >>> output = model(torch.randn(1, 3840), torch.randn(1, 2, 3, 8, 8), video_indices=torch.arange(5))
        >>> output.audio.shape, output.video.shape, output.label_logits.shape
        (torch.Size([1, 240, 16]), torch.Size([1, 5, 3]), torch.Size([1, 700]))
    """

    name: ClassVar[str] = "multimodal_autoencoder"
    config_class: ClassVar[type[TaskConfig]] = MultimodalAutoencoderConfig
    config: MultimodalAutoencoderConfig

    def __init__(self, config: MultimodalAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.inputs = _inputs(config)
        self.queries = _queries(config)
        self.perceiver_io = PerceiverIO(
            config.perceiver_io(
                input_channels=self.inputs.num_channels,
                query_channels=self.queries.num_channels,
                output_channels=config.output_channels,
            )
        )
        self.to_audio = nn.Linear(config.output_channels, config.samples_per_patch)
        self.to_video = nn.Linear(config.output_channels, COLOURS)
        self.to_label = nn.Linear(config.output_channels, config.num_classes)
        for linear in (self.to_audio, self.to_video, self.to_label):
            init_linear_(linear)

    def encode(
        self,
        audio: Tensor | None = None,
        video: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        input_mask: Tensor | None = None,
    ) -> Tensor:
        """Return latents ``[B, N, D]``; see :meth:`forward`."""
        tokens = self.inputs({"audio": audio, "video": video, "label": labels})
        return self.perceiver_io.encode(tokens, input_mask)

    def forward(
        self,
        audio: Tensor | None = None,
        video: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        audio_indices: Tensor | None = None,
        video_indices: Tensor | None = None,
        input_mask: Tensor | None = None,
    ) -> MultimodalOutput:
        """Return the label and chosen parts of audio and video: in training a few, as all of a video is too much.

        Args:
            audio: ``[B, num_samples]``, or None to hide it.
            video: ``[B, T, 3, H, W]``, or None to hide it.
            labels: ``[B]`` from 0 to ``num_classes - 1``, or None to hide them.
            audio_indices: ``[Q]``, the patches of samples to decode; None = all.
            video_indices: ``[Q]``, the pixels to decode, column fastest, then row, then frame; None = all.
            input_mask: ``[B, M]`` bool, True = real: the tokens of audio, video and label that the latents read.

        Raises:
            ValueError: if a shape or dtype is not the expected one, or every modality is None.
        """
        latents = self.encode(audio, video, labels, input_mask=input_mask)
        return MultimodalOutput(
            self._decode(latents, "audio", self.to_audio, audio_indices),
            self._decode(latents, "video", self.to_video, video_indices),
            self._decode(latents, "label", self.to_label, None).squeeze(1),
        )

    @torch.no_grad()
    def reconstruct(
        self,
        audio: Tensor | None = None,
        video: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        input_mask: Tensor | None = None,
        chunk_size: int = 16_384,
    ) -> MultimodalReconstruction:
        """Return whole clips, ``chunk_size`` outputs decoded at once; see :meth:`forward` for the other arguments."""
        latents = self.encode(audio, video, labels, input_mask=input_mask)
        patches, pixels = (
            decode_in_chunks(
                partial(self._decode, latents, name, linear),
                self.queries.output_counts[name],
                chunk_size,
                device=latents.device,
            )
            for name, linear in (("audio", self.to_audio), ("video", self.to_video))
        )
        frames = pixels.view(latents.shape[0], self.config.num_frames, *self.config.image_shape, COLOURS)
        label_logits = self._decode(latents, "label", self.to_label, None).squeeze(1)
        return MultimodalReconstruction(patches.flatten(1), frames.permute(0, 1, 4, 2, 3), label_logits)

    def audio_targets(self, audio: Tensor, indices: Tensor) -> Tensor:
        """Return ``[B, Q, samples_per_patch]``: what to decode at those patches of ``[B, num_samples]``."""
        return audio.view(audio.shape[0], -1, self.config.samples_per_patch)[:, indices]

    def video_targets(self, video: Tensor, indices: Tensor) -> Tensor:
        """Return ``[B, Q, 3]``: what to decode at those pixels of ``[B, T, 3, H, W]``."""
        return video.permute(0, 1, 3, 4, 2).flatten(1, 3)[:, indices]

    def _decode(self, latents: Tensor, name: str, linear: nn.Linear, indices: Tensor | None) -> Tensor:
        """Return ``[B, Q, O]``: the outputs of one modality."""
        if indices is not None:
            check_indices(f"{name}_indices", indices, rank=1)
        outputs: Tensor = linear(self.perceiver_io.decode(latents, self.queries(name, indices)))
        return outputs


def _inputs(config: MultimodalAutoencoderConfig) -> MultimodalInputs:
    adapters = {
        "audio": AudioInputs(
            config.num_samples, samples_per_patch=config.samples_per_patch, num_bands=config.audio_num_bands
        ),
        "video": VideoInputs(
            (config.num_frames, *config.image_shape), block_size=config.block_size, num_bands=config.video_num_bands
        ),
        "label": LabelInputs(config.num_classes),
    }
    mask_probabilities = {
        "audio": config.audio_mask_probability,
        "video": config.video_mask_probability,
        "label": config.label_mask_probability,
    }
    return MultimodalInputs(adapters, mask_probabilities=mask_probabilities)


def _queries(config: MultimodalAutoencoderConfig) -> MultimodalQueries:
    height, width = config.image_shape
    return MultimodalQueries(
        {
            "audio": FourierQueries(
                (config.num_samples // config.samples_per_patch,),
                num_bands=config.audio_num_bands,
                max_resolution=(config.num_samples,),
            ),
            "video": FourierQueries(
                (config.num_frames, height, width),
                num_bands=config.video_num_bands,
                max_resolution=(config.num_frames, height // config.block_size, width // config.block_size),
            ),
            "label": LearnedQueries(1, config.label_query_channels),
        }
    )
