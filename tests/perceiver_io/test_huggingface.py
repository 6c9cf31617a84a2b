import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from perceiver_io import huggingface
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
from tests.perceiver_io.published import (
    FLOW_SIZES,
    LANGUAGE_SIZES,
    MULTIMODAL_SIZES,
    PUBLISHED,
    TINY,
    assert_equal_to_scale,
    assert_same_gradients,
    library_model,
)

LANGUAGE = {
    **TINY,
    "d_model": 24,
    "vocab_size": 11,
    "max_position_embeddings": 9,
    "qk_channels": 8,
    "v_channels": 16,
    "num_cross_attention_heads": 2,
}


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
def test_masked_language_model(tmp_path, masked, activation):
    library = library_model("PerceiverForMaskedLM", **LANGUAGE, hidden_act=activation)
    library.save_pretrained(tmp_path)
    ours = MaskedLanguageModel.from_pretrained(tmp_path)
    token_ids = torch.randint(0, 11, (3, 7))
    token_mask = torch.arange(7) < torch.tensor([[7], [4], [1]]) if masked else torch.ones(3, 7, dtype=torch.bool)
    labels = torch.randint(0, 11, (3, 7))
    expected = library(input_ids=token_ids, attention_mask=token_mask.long() if masked else None).logits[:, :7]
    logits = ours(token_ids, token_mask if masked else None)
    assert_equal_to_scale(logits[token_mask], expected[token_mask], 1e-5)
    F.cross_entropy(expected[token_mask], labels[token_mask]).backward()
    F.cross_entropy(logits[token_mask], labels[token_mask]).backward()
    assert_same_gradients(ours, library)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("variant", ["Learned", "Fourier", "ConvProcessing"])
def test_image_classifier(tmp_path, variant, masked):
    library = library_model(f"PerceiverForImageClassification{variant}", **TINY, image_size=8, num_labels=5)
    library.save_pretrained(tmp_path)
    size = 32 if variant == "ConvProcessing" else 8
    ours = ImageClassifier.from_pretrained(tmp_path, image_shape=(size, size))
    images, labels = torch.randn(3, 3, size, size), torch.tensor([4, 0, 2])
    input_mask = torch.rand(3, ours.inputs.num_tokens) < 0.5 if masked else None
    expected = library(pixel_values=images, attention_mask=input_mask).logits
    logits = ours(images, input_mask)
    assert_equal_to_scale(logits, expected, 1e-5)
    F.cross_entropy(expected, labels).backward()
    F.cross_entropy(logits, labels).backward()
    assert_same_gradients(ours, library)


def test_published_image_sizes(tmp_path):
    """Without image_shape, the published models take 224 x 224; two classes are the library's unwritten default."""
    library = library_model("PerceiverForImageClassificationFourier", **TINY)
    library.save_pretrained(tmp_path)
    ours = ImageClassifier.from_pretrained(tmp_path)
    assert ours.config.image_shape == (224, 224)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert_equal_to_scale(ours(images), library(pixel_values=images).logits, 1e-5)


def patches_of(frames):
    """Return what the library takes: [B, frames, row column colour, H, W], the pixels around each pixel."""
    padded = F.pad(frames, (1, 1, 1, 1))
    height, width = frames.shape[-2:]
    shifted = [padded[..., row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return torch.cat(shifted, dim=2)


@pytest.mark.parametrize("masked", [True, False])
def test_optical_flow(tmp_path, masked):
    library = library_model("PerceiverForOpticalFlow", **TINY, train_size=[6, 9])
    library.save_pretrained(tmp_path)
    ours = OpticalFlow.from_pretrained(tmp_path)
    frames = torch.rand(2, 2, 3, 6, 9) * 2 - 1
    target = torch.randn(2, 2, 6, 9)
    input_mask = torch.rand(2, 54) < 0.5 if masked else None
    expected = library(inputs=patches_of(frames), attention_mask=input_mask).logits.permute(0, 3, 1, 2)
    flow = ours(frames, input_mask)
    assert_equal_to_scale(flow, expected, 1e-5)
    (expected - target).norm(dim=1).mean().backward()
    (flow - target).norm(dim=1).mean().backward()
    assert_same_gradients(ours, library)


MULTIMODAL = {
    **TINY,
    "num_frames": 2,
    "image_size": 3,
    "output_shape": [1, 2, 12, 12],
    "audio_samples_per_frame": 12,
    "samples_per_patch": 8,
    "num_labels": 5,
    "output_num_channels": 20,
    "_label_trainable_num_channels": 30,
}


@pytest.mark.parametrize("masked", [True, False])
def test_multimodal_autoencoder(tmp_path, masked):
    library = library_model("PerceiverForMultimodalAutoencoding", **MULTIMODAL)
    library.save_pretrained(tmp_path)
    ours = MultimodalAutoencoder.from_pretrained(tmp_path)
    audio, video, labels = torch.randn(2, 24), torch.randn(2, 2, 3, 12, 12), torch.tensor([3, 0])
    audio_indices, video_indices = torch.tensor([0, 2]), torch.tensor([287, 0, 100, 13])
    input_mask = torch.rand(2, ours.inputs.num_tokens) < 0.7 if masked else None
    expected = library(
        inputs={"audio": audio.unsqueeze(-1), "image": video, "label": F.one_hot(labels, 5).float()},
        attention_mask=input_mask,
        subsampled_output_points={"audio": audio_indices, "image": video_indices, "label": None},
    ).logits
    output = ours(audio, video, labels, audio_indices=audio_indices, video_indices=video_indices, input_mask=input_mask)
    assert_equal_to_scale(output.audio.flatten(1), expected["audio"], 1e-5)
    assert_equal_to_scale(output.video, expected["image"], 1e-5)
    assert_equal_to_scale(output.label_logits, expected["label"], 1e-5)
    audio_loss = F.mse_loss(expected["audio"].view(2, 2, 8), ours.audio_targets(audio, audio_indices))
    video_loss = F.mse_loss(expected["image"], ours.video_targets(video, video_indices))
    (audio_loss + video_loss + F.cross_entropy(expected["label"], labels)).backward()
    audio_loss = F.mse_loss(output.audio, ours.audio_targets(audio, audio_indices))
    video_loss = F.mse_loss(output.video, ours.video_targets(video, video_indices))
    (audio_loss + video_loss + F.cross_entropy(output.label_logits, labels)).backward()
    assert_same_gradients(ours, library)


def test_what_a_hidden_modality_leaves_unused_is_read_all_the_same(tmp_path):
    """The library never hides audio and video and always hides the label: outputs don't show these tensors."""
    library = library_model("PerceiverForMultimodalAutoencoding", **MULTIMODAL)
    library.save_pretrained(tmp_path)
    ours = MultimodalAutoencoder.from_pretrained(tmp_path)
    theirs = library.perceiver.input_preprocessor
    assert torch.equal(ours.inputs.mask_tokens["audio"], theirs.mask["audio"][0])
    assert torch.equal(ours.inputs.mask_tokens["video"], theirs.mask["image"][0])
    assert torch.equal(ours.inputs.paddings["label"], theirs.padding["label"][0])


def test_multimodal_sizes_must_agree(tmp_path):
    library_model("PerceiverForMultimodalAutoencoding", **{**MULTIMODAL, "image_size": 4}).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="4 times image_size = 4"):
        MultimodalAutoencoder.from_pretrained(tmp_path)


def test_settings_without_a_published_layout(tmp_path):
    saved(tmp_path)
    with pytest.raises(ValueError, match="have no published layout"):
        MaskedLanguageModel.from_pretrained(tmp_path, num_cross_attentions=2, cross_attention_weights="separate")


def test_there_is_no_published_layout_of_the_average():
    model = ImageClassifier(
        ImageClassifierConfig(image_shape=(4, 4), num_latents=2, latent_channels=8, readout="average")
    )
    with pytest.raises(ValueError, match="no published layout"):
        huggingface.slots_of(model)


@pytest.mark.parametrize(
    ("architecture", "changes", "task", "expected"),
    [
        ("MaskedLM", LANGUAGE_SIZES, MaskedLanguageModel, MaskedLanguageModelConfig.language_perceiver()),
        ("ImageClassificationLearned", {"image_size": 224}, ImageClassifier, ImageClassifierConfig.learned()),
        ("ImageClassificationFourier", {}, ImageClassifier, ImageClassifierConfig.fourier()),
        ("ImageClassificationConvProcessing", {}, ImageClassifier, ImageClassifierConfig.convolutional()),
        ("OpticalFlow", FLOW_SIZES, OpticalFlow, OpticalFlowConfig.published()),
        (
            "MultimodalAutoencoding",
            MULTIMODAL_SIZES,
            MultimodalAutoencoder,
            MultimodalAutoencoderConfig.published(),
        ),
    ],
)
def test_published_configurations_are_the_named_ones(architecture, changes, task, expected):
    """Only the GELU differs: exact in the conversions, in its tanh form in the paper's code."""
    published = {**PUBLISHED, **changes, "architectures": [f"PerceiverFor{architecture}"]}
    assert huggingface.read_config(task, published, "here") == replace(expected, activation="gelu")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_language_perceiver_at_full_size(tmp_path):
    settings = {"qk_channels": 256, "v_channels": 1280}
    library = library_model("PerceiverForMaskedLM", **settings)
    library.save_pretrained(tmp_path)
    ours = MaskedLanguageModel.from_pretrained(tmp_path)
    assert sum(parameter.numel() for parameter in ours.parameters()) == pytest.approx(201e6, rel=0.005)
    token_ids = torch.randint(0, 262, (1, 2048))
    token_mask = torch.arange(2048)[None] < 1500
    with torch.no_grad():
        expected = library(input_ids=token_ids, attention_mask=token_mask.long()).logits
        logits = ours(token_ids, token_mask)
    assert_equal_to_scale(logits[token_mask], expected[token_mask], 1e-5)


def saved(tmp_path):
    library = library_model("PerceiverForMaskedLM", **LANGUAGE)
    library.save_pretrained(tmp_path)
    return library


def test_pickled_weights_of_the_hub(tmp_path):
    library = saved(tmp_path / "safetensors")
    saved(tmp_path / "pickle")
    (tmp_path / "pickle/model.safetensors").unlink()
    torch.save(library.state_dict(), tmp_path / "pickle/pytorch_model.bin")
    first, second = (MaskedLanguageModel.from_pretrained(tmp_path / name) for name in ("safetensors", "pickle"))
    for got, expected in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(got, expected)


def test_every_tensor_that_does_not_fit_is_named(tmp_path):
    library = saved(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    state = library.state_dict()
    del state["perceiver.encoder.self_attends.1.attention.self.key.bias"]
    del state["embedding_decoder.bias"]
    state["perceiver.embeddings.latents"] = torch.zeros(6, 17)
    state["perceiver.pooler.weight"] = torch.zeros(2, 2)
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="don't fit") as error:
        MaskedLanguageModel.from_pretrained(tmp_path)
    assert str(error.value).splitlines()[1:] == [
        "  missing: embedding_decoder.bias [11]",
        "  missing: perceiver.encoder.self_attends.1.attention.self.key.bias [8]",
        "  unknown: perceiver.pooler.weight [2, 2]",
        "  misshaped: perceiver.embeddings.latents: expected [6, 16], got [6, 17]",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["PerceiverForOpticalFlow"]}, "PerceiverForMaskedLM.*'PerceiverForOpticalFlow'"),
        ({"architectures": None}, "architecture None"),
        ({"model_type": "bert"}, "model type 'bert'"),
        ({"hidden_act": "relu"}, "hidden_act: .*'relu'"),
        ({"use_query_residual": False}, "use_query_residual: expected True, got False"),
        ({"cross_attention_shape_for_attention": "q"}, "expected 'kv', got 'q'"),
        ({"d_latents": None}, "'d_latents', which is missing"),
    ],
)
def test_unknown_configurations(tmp_path, changes, message):
    saved(tmp_path)
    path = tmp_path / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    with pytest.raises(ValueError, match=message):
        MaskedLanguageModel.from_pretrained(tmp_path)
