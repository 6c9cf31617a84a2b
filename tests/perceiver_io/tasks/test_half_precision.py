"""Whole models in bfloat16: every task runs, and its numbers are those of float32 up to that type's rounding."""

import copy

import pytest
import torch

from perceiver_io.position import FourierFeatures
from perceiver_io.tasks import (
    ImageClassifier,
    ImageClassifierConfig,
    MaskedLanguageModel,
    MaskedLanguageModelConfig,
    MultimodalAutoencoder,
    MultimodalAutoencoderConfig,
    OpticalFlow,
    OpticalFlowConfig,
)

SMALL = {"num_latents": 8, "latent_channels": 32, "num_self_attention_layers_per_block": 1, "latent_init_scale": 1.0}


def masked_language_model():
    config = MaskedLanguageModelConfig(
        max_length=12, token_channels=16, num_self_attention_heads=2, num_cross_attention_heads=2, num_decoder_heads=2,
        cross_attention_qk_channels=16, cross_attention_v_channels=32, decoder_qk_channels=16, decoder_v_channels=16,
        **SMALL,
    )  # fmt: skip
    return MaskedLanguageModel(config), (torch.randint(6, 262, (2, 12)),)


def inputs_of(kind):
    frames = torch.rand(2, 2, 3, 16, 24) * 2 - 1
    if kind == "masked_language_model":
        return masked_language_model()
    if kind == "image_classifier":
        model = ImageClassifier(ImageClassifierConfig(image_shape=(16, 16), positions="fourier", num_bands=8, **SMALL))
        return model, (torch.randn(2, 3, 16, 16),)
    if kind == "optical_flow":
        model = OpticalFlow(OpticalFlowConfig(image_shape=(16, 24), feature_channels=16, num_bands=8, **SMALL))
        torch.nn.init.normal_(model.perceiver_io.decoder.output.weight)
        return model, (frames,)
    config = MultimodalAutoencoderConfig(
        num_frames=2, image_shape=(8, 8), block_size=4, samples_per_frame=32, samples_per_patch=8, num_classes=5,
        audio_num_bands=8, video_num_bands=4, label_query_channels=16, output_channels=32, **SMALL,
    )  # fmt: skip
    return MultimodalAutoencoder(config), (torch.randn(2, 64), torch.rand(2, 2, 3, 8, 8), torch.tensor([1, 4]))


def tensors_of(output):
    return [output] if isinstance(output, torch.Tensor) else list(output)


@pytest.mark.parametrize(
    "kind", ["masked_language_model", "image_classifier", "optical_flow", "multimodal_autoencoder"]
)
def test_a_model_in_bfloat16_is_close_to_float32(kind):
    torch.manual_seed(0)
    model, inputs = inputs_of(kind)
    half = copy.deepcopy(model).bfloat16().eval()
    rounded = [tensor.bfloat16() if tensor.is_floating_point() else tensor for tensor in inputs]
    with torch.no_grad():
        expected, got = tensors_of(model.eval()(*inputs)), tensors_of(half(*rounded))
    for exact, approximate in zip(expected, got, strict=True):
        assert approximate.dtype == torch.bfloat16
        scale = exact.std() + exact.abs().mean()
        assert (approximate.float() - exact).abs().mean() < 0.05 * scale


def test_frequencies_are_not_rounded():
    """Rounded to 8 bits, the highest of 64 frequencies of 1000 points would be wrong by whole radians."""
    features = FourierFeatures((1000,), num_bands=64)
    positions = torch.linspace(-1, 1, 101)[:, None]
    torch.testing.assert_close(copy.deepcopy(features).bfloat16().encode(positions), features.encode(positions))
