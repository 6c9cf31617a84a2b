"""Learn how far textures moved, then stitch the flow of frames larger than those trained on.

python examples/optical_flow.py
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from perceiver_io.tasks import OpticalFlow, OpticalFlowConfig


def moving_textures(batch_size: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return frames [B, 2, 3, H, W] of textures that move by up to a pixel, and the flow [B, 2, H, W] in pixels."""
    coarse = torch.rand(batch_size, 3, height // 2 + 2, width // 2 + 2) * 2.0 - 1.0
    textures = F.interpolate(coarse, scale_factor=2.0, mode="bilinear")
    shifts = torch.randint(-1, 2, (batch_size, 2))
    windows = [(slice(1 - y, 1 - y + height), slice(1 - x, 1 - x + width)) for x, y in shifts.tolist()]
    after = torch.stack([texture[:, rows, columns] for texture, (rows, columns) in zip(textures, windows, strict=True)])
    frames = torch.stack([textures[:, :, 1 : 1 + height, 1 : 1 + width], after], dim=1)
    return frames, shifts[:, :, None, None].expand(-1, -1, height, width).float()


def end_point_error(flow: Tensor, target: Tensor) -> Tensor:
    """Return the mean distance of flows [B, 2, H, W] in pixels."""
    return (flow - target).norm(dim=1).mean()


def train(num_steps: int = 200) -> OpticalFlow:
    """Return a model trained on pairs of 12 x 12 pixels."""
    model = OpticalFlow(
        OpticalFlowConfig(
            image_shape=(12, 12),
            feature_channels=32,
            num_bands=4,
            num_latents=16,
            latent_channels=64,
            num_self_attention_layers_per_block=2,
            latent_init_scale=1.0,
            rescale_factor=1.0,
            flow_scale=1.0,
        )
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(num_steps):
        frames, target = moving_textures(16, 12, 12)
        loss = end_point_error(model(frames), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def main() -> None:
    """Train for a moment and compare with predicting that nothing moves."""
    torch.manual_seed(0)
    model = train()
    frames, target = moving_textures(8, 20, 30)
    error = end_point_error(model.predict(frames, min_overlap=4), target)
    print(f"end-point error {error:.2f} pixels on 20 x 30 frames; zero flow: {target.norm(dim=1).mean():.2f}")


if __name__ == "__main__":
    main()
