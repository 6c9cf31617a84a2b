import math

import pytest
import torch

from perceiver_io.inputs import (
    AudioInputs,
    ConvolutionalStem,
    FlowInputs,
    ImageInputs,
    LabelInputs,
    MultimodalInputs,
    TextInputs,
    VideoInputs,
    flow_patches,
    space_to_depth,
)


def fourier(position, resolution, num_bands):
    """Features of one point, dimension by dimension, written out."""
    bands = [[1 + (size / 2 - 1) * k / (num_bands - 1) for k in range(num_bands)] for size in resolution]
    angles = [math.pi * x * f for x, frequencies in zip(position, bands, strict=True) for f in frequencies]
    return torch.tensor([*position, *map(math.sin, angles), *map(math.cos, angles)])


def test_text_adds_a_vector_per_token_and_per_position():
    adapter = TextInputs(10, 6, 4)
    token_ids = torch.tensor([[3, 3, 9], [0, 1, 3]])
    tokens = adapter(token_ids)
    assert tokens.shape == (2, 3, adapter.num_channels)
    table, positions = adapter.embedding.weight, adapter.positions()
    torch.testing.assert_close(tokens[0, 1], table[3] + positions[1])
    torch.testing.assert_close(tokens[1, 2], table[3] + positions[2])
    assert table.abs().max() <= 0.04


@pytest.mark.parametrize("features", ["pixels", "conv1x1"])
@pytest.mark.parametrize("positions", ["fourier", "learned", "none"])
def test_every_pixel_is_a_token(features, positions):
    adapter = ImageInputs(
        (3, 4),
        image_channels=2,
        features=features,
        feature_channels=5,
        positions=positions,
        num_bands=2,
        position_channels=6,
        project_positions=True,
    )
    images = torch.randn(2, 2, 3, 4)
    tokens = adapter(images)
    assert tokens.shape == (2, adapter.num_tokens, adapter.num_channels) == (2, 12, adapter.num_channels)
    row, column = 1, 3
    pixel = images[1, :, row, column]
    expected = pixel
    if features == "conv1x1":
        expected = adapter.to_features.weight @ pixel + adapter.to_features.bias
    token = tokens[1, row * 4 + column]
    torch.testing.assert_close(token[: len(expected)], expected)
    if positions == "fourier":
        torch.testing.assert_close(token[len(expected) :], fourier((0.0, 1.0), (3, 4), 2), atol=1e-5, rtol=1e-5)
    elif positions == "learned":
        projection = adapter.position_projection
        vector = projection.weight @ adapter.positions()[row * 4 + column] + projection.bias
        torch.testing.assert_close(token[len(expected) :], vector)
    else:
        assert len(token) == len(expected)


@pytest.mark.parametrize("size", [7, 8, 16, 33, 224])
def test_stem_shape(size):
    stem = ConvolutionalStem(3, 4).eval()
    height, width = ConvolutionalStem.output_shape((size, size + 3))
    assert stem(torch.zeros(1, 3, size, size + 3)).shape == (1, 4, height, width)


def test_stem_gives_a_token_per_point_of_its_map():
    adapter = ImageInputs((16, 24), features="conv", feature_channels=5, num_bands=3, max_resolution=(4, 6)).eval()
    images = torch.randn(2, 3, 16, 24)
    tokens = adapter(images)
    assert tokens.shape == (2, 3 * 5, 5 + 2 * 7) == (2, adapter.num_tokens, adapter.num_channels)
    torch.testing.assert_close(tokens[:, :, :5], adapter.stem(images).flatten(2).transpose(1, 2))
    torch.testing.assert_close(tokens[0, 7, 5:], fourier((0.0, 0.0), (4, 6), 3))


def test_flow_patches_hold_the_neighbours_of_both_frames():
    frames = torch.randn(2, 2, 3, 4, 5)
    patches = flow_patches(frames)
    assert patches.shape == (2, 20, 54)
    for frame in range(2):
        for row, column in ((0, 0), (2, 3), (3, 4)):
            for dy in range(3):
                for dx in range(3):
                    y, x = row + dy - 1, column + dx - 1
                    inside = 0 <= y < 4 and 0 <= x < 5
                    expected = frames[1, frame, :, y, x] if inside else torch.zeros(3)
                    start = frame * 27 + (dy * 3 + dx) * 3
                    assert torch.equal(patches[1, row * 5 + column, start : start + 3], expected)


def test_flow_tokens():
    adapter = FlowInputs((4, 5), feature_channels=6, num_bands=2)
    frames = torch.randn(2, 2, 3, 4, 5)
    tokens = adapter(frames)
    assert tokens.shape == (2, adapter.num_tokens, adapter.num_channels) == (2, 20, 6 + 10)
    torch.testing.assert_close(tokens[:, :, :6], adapter.to_features(flow_patches(frames)))
    torch.testing.assert_close(tokens[0, 5 + 2, 6:], fourier((-1 / 3, 0.0), (4, 5), 2), atol=1e-5, rtol=1e-5)


def test_blocks_of_video():
    video = torch.randn(2, 2, 3, 4, 6)
    blocks = space_to_depth(video, 2)
    assert blocks.shape == (2, 2 * 2 * 3, 12)
    frame, row, column = 1, 1, 2
    block = blocks[1, (frame * 2 + row) * 3 + column].view(2, 2, 3)
    for dy in range(2):
        for dx in range(2):
            assert torch.equal(block[dy, dx], video[1, frame, :, row * 2 + dy, column * 2 + dx])
    adapter = VideoInputs((2, 4, 6), block_size=2, num_bands=3)
    tokens = adapter(video)
    assert tokens.shape == (2, adapter.num_tokens, adapter.num_channels) == (2, 12, 12 + 3 * 7)
    torch.testing.assert_close(tokens[:, :, :12], blocks)
    torch.testing.assert_close(tokens[0, -1, 12:], fourier((1.0, 1.0, 1.0), (2, 2, 3), 3), atol=1e-5, rtol=1e-5)


def test_audio_and_labels():
    adapter = AudioInputs(12, samples_per_patch=4, num_bands=3)
    audio = torch.randn(2, 12)
    tokens = adapter(audio)
    assert tokens.shape == (2, adapter.num_tokens, adapter.num_channels) == (2, 3, 4 + 7)
    assert torch.equal(tokens[1, 2, :4], audio[1, 8:])
    torch.testing.assert_close(tokens[0, 0, 4:], fourier((-1.0,), (12,), 3), atol=1e-5, rtol=1e-5)
    labels = LabelInputs(3)(torch.tensor([2, 0]))
    assert labels.tolist() == [[[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]]


def multimodal(**mask_probabilities):
    torch.manual_seed(0)
    adapters = {"audio": AudioInputs(8, samples_per_patch=2, num_bands=1), "label": LabelInputs(7)}
    return MultimodalInputs(adapters, min_padding=2, mask_probabilities=mask_probabilities, init_scale=1.0)


def test_modalities_are_padded_to_common_channels():
    adapter = multimodal()
    audio, labels = torch.randn(2, 8), torch.tensor([1, 6])
    tokens = adapter({"label": labels, "audio": audio})
    assert tokens.shape == (2, adapter.num_tokens, adapter.num_channels) == (2, 5, 9)
    torch.testing.assert_close(tokens[:, :4, :5], adapter.adapters["audio"](audio))
    torch.testing.assert_close(tokens[0, 3, 5:], adapter.paddings["audio"])
    torch.testing.assert_close(tokens[1, 4], torch.cat([torch.eye(7)[6], adapter.paddings["label"]]))


def test_modalities_that_are_not_given_are_hidden():
    adapter = multimodal()
    audio = torch.randn(2, 8)
    tokens = adapter({"audio": audio})
    torch.testing.assert_close(tokens[1, 4], adapter.mask_tokens["label"])
    torch.testing.assert_close(tokens[:, :4], adapter({"audio": audio, "label": torch.tensor([0, 1])})[:, :4])
    hidden = adapter({"audio": None, "label": torch.tensor([0, 1])})
    torch.testing.assert_close(hidden[0, :4], adapter.mask_tokens["audio"].expand(4, -1))


def test_whole_modalities_are_hidden_at_random_in_training_only():
    adapter = multimodal(audio=0.25, label=1.0)
    batch = {"audio": torch.randn(2000, 8), "label": torch.zeros(2000, dtype=torch.long)}
    hidden = (
        adapter(batch) == torch.cat([adapter.mask_tokens["audio"].expand(4, -1), adapter.mask_tokens["label"][None]])
    ).all(-1)
    assert hidden[:, 4].all()
    assert torch.equal(hidden[:, :4].any(1), hidden[:, :4].all(1))
    assert hidden[:, 0].float().mean().item() == pytest.approx(0.25, abs=0.04)
    adapter.eval()
    tokens = adapter(batch)
    torch.testing.assert_close(tokens[:, :4, :5], adapter.adapters["audio"](batch["audio"]))
    torch.testing.assert_close(tokens[7, 4], adapter.mask_tokens["label"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: TextInputs(10, 4, 2)(torch.zeros(1, 2)),
            "token_ids: expected dtype torch.int64 or torch.int32, got torch.float32",
        ),
        (lambda: TextInputs(10, 4, 2)(torch.zeros(2).long()), r"token_ids: expected 2 axes, got \[2\]"),
        (lambda: TextInputs(10, 4, 2)(torch.zeros(1, 5).long()), "at most 4 tokens, got 5"),
        (lambda: ImageInputs((4, 4))(torch.zeros(1, 3, 4, 5)), r"images: .* = \[\*, 3, 4, 4\], got \[1, 3, 4, 5\]"),
        (lambda: ImageInputs((4, 4), features="dct"), "features: .*'dct'"),
        (lambda: ImageInputs((4, 4), positions="sine"), "positions: .*'sine'"),
        (lambda: ImageInputs((4, 9), features="conv"), "5 or more"),
        (lambda: FlowInputs((4, 4))(torch.zeros(1, 3, 4, 4)), "frames: expected shape"),
        (lambda: VideoInputs((2, 6, 8)), "expected a divisor of height and width = 6 and 8, got 4"),
        (lambda: VideoInputs((2, 4, 8))(torch.zeros(1, 3, 3, 4, 8)), "video: expected shape"),
        (lambda: AudioInputs(9, samples_per_patch=2), "divisor of num_samples = 9, got 2"),
        (lambda: AudioInputs(8, samples_per_patch=2)(torch.zeros(1, 9)), "audio: expected shape"),
        (lambda: LabelInputs(3)(torch.zeros(2, 1).long()), "labels: expected 1 axes"),
        (lambda: multimodal(video=0.5), "'video': 0.5"),
        (lambda: multimodal(audio=1.5), "'audio': 1.5"),
        (lambda: multimodal()({}), "expected some of"),
        (lambda: multimodal()({"video": torch.zeros(1), "audio": torch.zeros(1, 8)}), "'video'"),
        (lambda: multimodal()({"audio": torch.zeros(1, 8), "label": torch.zeros(2).long()}), "same batch size"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
