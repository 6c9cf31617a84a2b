"""Raw audio -> one token per patch of samples."""

from __future__ import annotations

from torch import Tensor

from perceiver_io.checks import check_signal
from perceiver_io.inputs.adapter import InputAdapter, append_positions
from perceiver_io.position import FourierPositions


class AudioInputs(InputAdapter):
    """Patches of consecutive samples with Fourier positions in time (Jaegle et al. 2022, section 4.3).

    Args:
        num_samples: samples of a clip.
        samples_per_patch: samples in a token, a divisor of ``num_samples``.
        num_bands: frequencies of the positions, up to half of ``num_samples``.

    Raises:
        ValueError: if the samples do not divide into patches.
    """

    def __init__(self, num_samples: int, *, samples_per_patch: int = 16, num_bands: int = 192) -> None:
        super().__init__()
        if samples_per_patch < 1 or num_samples % samples_per_patch:
            raise ValueError(
                f"samples_per_patch: expected a divisor of num_samples = {num_samples}, got {samples_per_patch}"
            )
        self.num_samples = num_samples
        self.num_tokens = num_samples // samples_per_patch
        self.positions = FourierPositions((self.num_tokens,), num_bands=num_bands, max_resolution=(num_samples,))
        self.num_channels = samples_per_patch + self.positions.num_channels

    def forward(self, audio: Tensor) -> Tensor:
        """Return ``[B, M, num_channels]`` of samples ``[B, num_samples]``.

        Raises:
            ValueError: if the audio has another shape, or the dtype is not floating point.
        """
        check_signal("audio", audio, (None, self.num_samples), axes="[B, samples]")
        return append_positions(audio.unflatten(1, (self.num_tokens, -1)), self.positions())
