from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from perceiver_io.tasks import ImageClassifier, ImageClassifierConfig

TINY = ImageClassifierConfig(
    image_shape=(6, 8),
    num_classes=5,
    num_latents=4,
    latent_channels=16,
    num_self_attention_layers_per_block=1,
    num_bands=3,
)


def tiny(**settings) -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier(replace(TINY, **settings))


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (ImageClassifierConfig.fourier(), 48.4),
        (ImageClassifierConfig.learned(), 62.3),
        (ImageClassifierConfig.convolutional(), 48.6),
        (ImageClassifierConfig.perceiver(), 44.9),
        (ImageClassifierConfig.perceiver(share_weights=False), 326.2),
    ],
)
def test_the_papers_sizes(config, millions):
    with torch.device("meta"):
        model = ImageClassifier(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(millions * 1e6, rel=0.004)


def test_the_query_is_decoded_and_the_average_projected():
    images = torch.randn(2, 3, 6, 8)
    queried, averaged = tiny(), tiny(readout="average")
    latents = queried.encoder(queried.inputs(images))
    expected = queried.readout.decoder(latents, queried.readout.query())[:, 0]
    torch.testing.assert_close(queried(images), expected)
    latents = averaged.encoder(averaged.inputs(images))
    linear = averaged.readout.to_logits
    torch.testing.assert_close(averaged(images), latents.mean(1) @ linear.weight.T + linear.bias)


@pytest.mark.parametrize("features", ["pixels", "conv1x1"])
def test_masked_pixels_are_neither_read_nor_learnt_from(features):
    model = tiny(features=features)
    images, mask = torch.randn(2, 3, 6, 8), torch.rand(2, 48) < 0.5
    results = []
    for junk in (0.0, 7.0, float("nan")):
        model.zero_grad()
        logits = model(images.masked_fill(~mask.view(2, 1, 6, 8), junk), mask)
        logits.square().sum().backward()
        results.append([logits.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


@pytest.mark.parametrize("positions", ["fourier", "learned", "none"])
def test_only_positions_tell_pixels_apart(positions):
    model = tiny(positions=positions)
    images = torch.randn(2, 3, 6, 8)
    shuffled = images.flatten(2)[:, :, torch.randperm(48)].view(2, 3, 6, 8)
    assert torch.allclose(model(images), model(shuffled), atol=1e-5) == (positions == "none")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "features": "conv1x1",
            "feature_channels": 8,
            "positions": "learned",
            "position_channels": 32,
            "project_positions": True,
        },
        {"features": "conv", "image_shape": (12, 16)},
        {"readout": "average", "num_blocks": 2, "num_cross_attentions": 2, "cross_attention_weights": "separate"},
    ],
)
def test_learns_and_loads_back(settings, tmp_path):
    """Images of one row lit, or one column."""
    model = tiny(**settings)
    if model.config.positions == "learned":
        torch.nn.init.normal_(model.inputs.positions.positions)  # at 0.02, they take far more steps to be of use
    height, width = model.config.image_shape
    images = torch.full((4, 3, height, width), -1.0)
    for index in range(2):
        images[index, :, 2 + index] = 1.0
        images[2 + index, :, :, 2 + index] = 1.0
    labels = torch.arange(4)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = F.cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert torch.equal(model(images).argmax(-1), labels)
    assert all(
        parameter.grad.abs().max() > 0 for name, parameter in model.named_parameters() if "key_value.bias" not in name
    )
    model.save_pretrained(tmp_path)
    again = ImageClassifier.from_pretrained(tmp_path)
    assert again.config == model.config
    assert torch.equal(again(images), model.eval()(images))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tiny()(torch.zeros(1, 3, 6, 6)), r"images: .* got \[1, 3, 6, 6\]"),
        (lambda: tiny()(torch.zeros(1, 3, 6, 8), torch.ones(1, 9).bool()), r"input_mask: expected shape \[1, 48\]"),
        (lambda: tiny(features="conv1x1")(torch.zeros(1, 3, 6, 8).double()), "images: expected torch.float32"),
        (lambda: tiny(readout="last"), "readout: .*'last'"),
        (lambda: tiny(image_shape=(0, 4)), r"image_shape: expected at least 1, got \(0, 4\)"),
        (lambda: tiny(features="dct"), "'dct'"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
