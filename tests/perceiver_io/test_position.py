import math

import pytest
import torch

from perceiver_io import FourierPositions, LearnedPositions


def test_fourier_hand_worked():
    """3 points, 2 bands: frequencies 1 and 3/2 (half the resolution); x = -1, 0, 1."""
    features = FourierPositions((3,), num_bands=2)()
    expected = [
        [-1.0, 0.0, 1.0, -1.0, 0.0],  # sin(-pi), sin(-3 pi / 2), cos(-pi), cos(-3 pi / 2)
        [0.0, 0.0, 0.0, 1.0, 1.0],
        [1.0, 0.0, -1.0, -1.0, 0.0],
    ]
    torch.testing.assert_close(features, torch.tensor(expected), atol=1e-6, rtol=0.0)


def test_fourier_two_dimensions_order():
    """Rows go with the first dimension; channels are both x, then all sines, then all cosines."""
    positions = FourierPositions((2, 3), num_bands=2, max_resolution=(4, 8))
    features = positions()
    assert features.shape == (6, positions.num_channels) == (6, 2 * (2 * 2 + 1))
    torch.testing.assert_close(features[:, 0], torch.tensor([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]))
    torch.testing.assert_close(features[:, 1], torch.tensor([-1.0, 0.0, 1.0, -1.0, 0.0, 1.0]))
    positions = FourierPositions((2, 3), num_bands=2, max_resolution=(4, 8))
    got = positions.encode(torch.tensor([0.25, 0.5]))
    angles = [math.pi * x for x in (0.25 * 1, 0.25 * 2, 0.5 * 1, 0.5 * 4)]
    expected = [0.25, 0.5, *(math.sin(a) for a in angles), *(math.cos(a) for a in angles)]
    torch.testing.assert_close(got, torch.tensor(expected))


def test_fourier_without_positions_and_without_weights():
    positions = FourierPositions((5, 5), num_bands=4, concat_positions=False)
    assert positions().shape == (25, 16)
    assert positions.state_dict() == {}
    batch = positions.encode(torch.zeros(2, 7, 2))
    assert batch.shape == (2, 7, 16)


def test_learned_positions():
    torch.manual_seed(0)
    positions = LearnedPositions(500, 40, init_scale=0.02)
    assert positions().shape == (500, 40)
    assert positions().abs().max().item() <= 0.04
    # A normal cut at twice its standard deviation keeps 0.88 of it.
    assert positions().std().item() == pytest.approx(0.02 * 0.8796, rel=0.02)
    assert positions().requires_grad


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FourierPositions(()), "positive"),
        (lambda: FourierPositions((4, 0)), r"\(4, 0\)"),
        (lambda: FourierPositions((4,), num_bands=0), "num_bands: expected at least 1, got 0"),
        (lambda: FourierPositions(16), "index_shape: expected positive sizes, .* got 16"),
        (lambda: FourierPositions((4,), max_resolution=(4, 4)), "expected 1 sizes"),
        (lambda: FourierPositions((4, 4)).encode(torch.zeros(3, 1)), r"\[\.\.\., 2\].*\[3, 1\]"),
        (lambda: LearnedPositions(0, 4), "positive"),
    ],
)
def test_bad_sizes(make, message):
    with pytest.raises(ValueError, match=message):
        make()
