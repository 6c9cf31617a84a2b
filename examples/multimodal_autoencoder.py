"""Squeeze short clips of sound, video and label through a few latents, and get all three back.

python examples/multimodal_autoencoder.py
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from perceiver_io.queries import random_indices
from perceiver_io.tasks import MultimodalAutoencoder, MultimodalAutoencoderConfig

NUM_FRAMES, SIZE, SAMPLES_PER_FRAME, NUM_CLASSES = 4, 8, 32, 4


def random_clips(batch_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return audio [B, 128], video [B, 4, 3, 8, 8] and labels [B]: a tone of the label's pitch, and a moving bar.

    The bar is half as wide as the frame, starts anywhere, and moves right by a column a frame; its colour goes with the
    label.
    """
    labels = torch.randint(NUM_CLASSES, (batch_size,))
    time = torch.arange(NUM_FRAMES * SAMPLES_PER_FRAME) / (NUM_FRAMES * SAMPLES_PER_FRAME)
    audio = torch.sin(2.0 * math.pi * (2.0 + 2.0 * labels[:, None]) * time)
    columns = (torch.randint(SIZE, (batch_size, 1)) + torch.arange(NUM_FRAMES)) % SIZE
    colours = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])[labels]
    lit = (torch.arange(SIZE) - columns[..., None]) % SIZE < SIZE // 2
    bars = lit.float()[:, :, None, None, :].expand(-1, -1, -1, SIZE, -1)
    return audio, bars * colours[:, None, :, None, None], labels


def train(num_steps: int = 300) -> MultimodalAutoencoder:
    """Return a model trained on a few decoded outputs per step."""
    model = MultimodalAutoencoder(
        MultimodalAutoencoderConfig(
            num_frames=NUM_FRAMES,
            image_shape=(SIZE, SIZE),
            block_size=2,
            samples_per_frame=SAMPLES_PER_FRAME,
            samples_per_patch=8,
            num_classes=NUM_CLASSES,
            audio_num_bands=8,
            video_num_bands=4,
            label_query_channels=16,
            output_channels=32,
            num_latents=16,
            latent_channels=64,
            num_self_attention_layers_per_block=2,
            latent_init_scale=1.0,
        )
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-3)
    for _ in range(num_steps):
        audio, video, labels = random_clips(16)
        audio_indices, video_indices = random_indices(16, 8), random_indices(256, 128)
        output = model(audio, video, audio_indices=audio_indices, video_indices=video_indices)
        loss = (
            F.mse_loss(output.audio, model.audio_targets(audio, audio_indices))
            + 4.0 * F.mse_loss(output.video, model.video_targets(video, video_indices))
            + 0.1 * F.cross_entropy(output.label_logits, labels)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def main() -> None:
    """Train for a moment and reconstruct new clips, whose label the model doesn't see."""
    torch.manual_seed(0)
    model = train()
    audio, video, labels = random_clips(100)
    clips = model.reconstruct(audio, video)
    explained = [1.0 - F.mse_loss(got, real) / real.var() for got, real in ((clips.audio, audio), (clips.video, video))]
    accuracy = (clips.label_logits.argmax(-1) == labels).float().mean()
    print(
        f"variance explained: audio {100 * explained[0]:.0f} %, video {100 * explained[1]:.0f} %; "
        f"labels {100 * accuracy:.0f} % right"
    )


if __name__ == "__main__":
    main()
