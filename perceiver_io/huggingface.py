"""The layout of the published DeepMind checkpoints on the Hugging Face hub, read into our modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from perceiver_io.attention import Activation
from perceiver_io.blocks import CrossAttentionBlock, SelfAttentionBlock
from perceiver_io.model import PerceiverDecoder, PerceiverEncoder
from perceiver_io.position import LearnedPositions
from perceiver_io.queries import LearnedQueries
from perceiver_io.tasks.image_classifier import AverageReadout, ImageClassifier, ImageClassifierConfig
from perceiver_io.tasks.masked_language_model import MaskedLanguageModel, MaskedLanguageModelConfig
from perceiver_io.tasks.multimodal_autoencoder import MultimodalAutoencoder, MultimodalAutoencoderConfig
from perceiver_io.tasks.optical_flow import OpticalFlow, OpticalFlowConfig
from perceiver_io.tasks.task import Task, TaskConfig

# Slots are views of our parameters in the published shapes, by published name: filling them fills the model.
Slots = dict[str, Tensor]

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}


def read_config(task: type[Task], published: Mapping[str, Any], directory: str | Path) -> TaskConfig:
    """Return our configuration of a published checkpoint.

    Args:
        task: the task that the checkpoint is expected to hold.
        published: what its config.json holds.
        directory: where it lies, for errors.

    Raises:
        ValueError: if it holds another task, or a setting that is unknown or missing.
    """
    architectures = published.get("architectures") or [None]
    layout = _LAYOUTS.get(architectures[0])
    if published.get("model_type") != "perceiver" or layout is None or layout.task is not task:
        expected = [name for name, known in _LAYOUTS.items() if known.task is task]
        raise ValueError(
            f"{directory}: expected our own format or a published Perceiver with an architecture of {expected}, got "
            f"model type {published.get('model_type')!r} with architecture {architectures[0]!r}"
        )
    return layout.config(_Settings(published))


def slots_of(model: Task) -> Slots:
    """Return views of the parameters and buffers of a model in the published shapes, by their published names.

    Raises:
        ValueError: if the model has parameters that no published checkpoint holds.
    """
    slots = _SLOTS[type(model)](model)
    held, needed = (sum(tensor.numel() for tensor in tensors.values()) for tensors in (slots, model.state_dict()))
    if held != needed:
        raise ValueError(
            f"{model.name}: {needed - held} of its parameters have no published layout; repeated cross-attentions and "
            "blocks with weights of their own are saved in our own format only"
        )
    return slots


class _Layout(NamedTuple):
    """What a published architecture is to us."""

    task: type[Task]
    config: Callable[[Mapping[str, Any]], TaskConfig]


class _Settings(dict[str, Any]):
    """The published configuration; what it lacks is an error that names it."""

    def __missing__(self, name: str) -> Any:
        raise ValueError(f"config.json: expected the setting {name!r}, which is missing")


def _settings(published: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that all architectures share; the layer norms' epsilon is PyTorch's whatever they say."""
    for name, expected in (("use_query_residual", True), ("cross_attention_shape_for_attention", "kv")):
        if published.get(name, expected) != expected:
            raise ValueError(f"config.json: {name}: expected {expected!r}, got {published[name]!r}")
    activation = published.get("hidden_act", "gelu")
    if activation not in _ACTIVATIONS:
        raise ValueError(f"config.json: hidden_act: expected one of {sorted(_ACTIVATIONS)}, got {activation!r}")
    qk_channels, v_channels = published.get("qk_channels"), published.get("v_channels")
    return {
        "num_latents": published["num_latents"],
        "latent_channels": published["d_latents"],
        "num_blocks": published["num_blocks"],
        "num_self_attention_layers_per_block": published["num_self_attends_per_block"],
        "num_cross_attention_heads": published["num_cross_attention_heads"],
        "num_self_attention_heads": published["num_self_attention_heads"],
        "cross_attention_qk_channels": qk_channels,
        "cross_attention_v_channels": v_channels,
        "self_attention_qk_channels": qk_channels,
        "self_attention_v_channels": v_channels,
        "cross_attention_widening_factor": published["cross_attention_widening_factor"],
        "self_attention_widening_factor": published["self_attention_widening_factor"],
        "activation": _ACTIVATIONS[activation],
    }


def _masked_language_model_config(published: Mapping[str, Any]) -> MaskedLanguageModelConfig:
    return MaskedLanguageModelConfig(
        **_settings(published),
        vocabulary_size=published["vocab_size"],
        max_length=published["max_position_embeddings"],
        token_channels=published["d_model"],
        num_decoder_heads=8,
        decoder_qk_channels=256,
        decoder_v_channels=published["d_model"],
    )


def _masked_language_model_slots(model: MaskedLanguageModel) -> Slots:
    return {
        **perceiver_io_slots(model.perceiver_io.encoder, model.perceiver_io.decoder, "perceiver.decoder"),
        "perceiver.input_preprocessor.embeddings.weight": model.inputs.embedding.weight.detach(),
        "perceiver.input_preprocessor.position_embeddings.weight": model.inputs.positions.positions.detach(),
        "perceiver.decoder.output_position_encodings.position_embeddings": model.queries.vectors.positions.detach(),
        "embedding_decoder.bias": model.logit_bias.detach(),
    }


def _num_classes(published: Mapping[str, Any]) -> int:
    """Return the number of labels, which the library leaves out where it is two."""
    return len(published["id2label"]) if "id2label" in published else int(published.get("num_labels", 2))


def _image_fourier_config(published: Mapping[str, Any]) -> ImageClassifierConfig:
    """Return the settings for 224 x 224 images; the published image size is not that of these two models."""
    return ImageClassifierConfig(**_settings(published), num_classes=_num_classes(published), max_resolution=(224, 224))


def _image_convolutional_config(published: Mapping[str, Any]) -> ImageClassifierConfig:
    return replace(_image_fourier_config(published), features="conv", max_resolution=(56, 56))


def _image_learned_config(published: Mapping[str, Any]) -> ImageClassifierConfig:
    size = published["image_size"]
    height, width = (size, size) if isinstance(size, int) else size
    return ImageClassifierConfig(
        **_settings(published),
        num_classes=_num_classes(published),
        image_shape=(height, width),
        features="conv1x1",
        feature_channels=256,
        positions="learned",
        position_channels=256,
        project_positions=True,
    )


def _image_classifier_slots(model: ImageClassifier) -> Slots:
    readout, inputs, prefix = model.readout, model.inputs, "perceiver.input_preprocessor"
    if isinstance(readout, AverageReadout):
        raise ValueError("readout: expected 'query', as there is no published layout of the average")
    slots = perceiver_io_slots(model.encoder, readout.decoder, "perceiver.decoder.decoder")
    query = readout.query.vectors.positions.detach()
    slots["perceiver.decoder.decoder.output_position_encodings.position_embeddings"] = query
    if inputs.stem is not None:
        slots |= _module(f"{prefix}.convnet.conv", inputs.stem.convolution)
        slots |= _module(f"{prefix}.convnet.batchnorm", inputs.stem.batch_norm)
    if inputs.to_features is not None:
        slots[f"{prefix}.convnet_1x1.weight"] = inputs.to_features.weight.detach()[:, :, None, None]
        slots[f"{prefix}.convnet_1x1.bias"] = inputs.to_features.bias.detach()
    if isinstance(inputs.positions, LearnedPositions):
        slots[f"{prefix}.position_embeddings.position_embeddings"] = inputs.positions.positions.detach()
    if inputs.position_projection is not None:
        slots |= _module(f"{prefix}.positions_projection", inputs.position_projection)
    return slots


def _optical_flow_config(published: Mapping[str, Any]) -> OpticalFlowConfig:
    height, width = published["train_size"]
    return OpticalFlowConfig(**_settings(published), image_shape=(height, width))


def _optical_flow_slots(model: OpticalFlow) -> Slots:
    return {
        **perceiver_io_slots(model.perceiver_io.encoder, model.perceiver_io.decoder, "perceiver.decoder.decoder"),
        **_module("perceiver.input_preprocessor.conv_after_patches", model.inputs.to_features),
    }


def _multimodal_config(published: Mapping[str, Any]) -> MultimodalAutoencoderConfig:
    _, num_frames, height, width = published["output_shape"]
    size = published["image_size"]
    if num_frames != published["num_frames"] or (height, width) != (4 * size, 4 * size):
        raise ValueError(
            f"config.json: output_shape: expected num_frames = {published['num_frames']} and 4 times image_size = "
            f"{size}, got {published['output_shape']}"
        )
    return MultimodalAutoencoderConfig(
        **_settings(published),
        num_frames=num_frames,
        image_shape=(height, width),
        samples_per_frame=published["audio_samples_per_frame"],
        samples_per_patch=published["samples_per_patch"],
        num_classes=_num_classes(published),
        label_query_channels=published.get("_label_trainable_num_channels", 1024),
        output_channels=published.get("output_num_channels", 512),
    )


def _multimodal_slots(model: MultimodalAutoencoder) -> Slots:
    slots = perceiver_io_slots(model.perceiver_io.encoder, model.perceiver_io.decoder, "perceiver.decoder.decoder")
    for ours, theirs in (("audio", "audio"), ("video", "image"), ("label", "label")):
        slots[f"perceiver.input_preprocessor.padding.{theirs}"] = model.inputs.paddings[ours].detach()[None]
        slots[f"perceiver.input_preprocessor.mask.{theirs}"] = model.inputs.mask_tokens[ours].detach()[None]
        slots[f"perceiver.decoder.padding.{theirs}"] = model.queries.paddings[ours].detach()[None]
    label_query = cast(LearnedQueries, model.queries.queries["label"]).vectors.positions.detach()
    slots["perceiver.decoder.modalities.label.decoder.output_position_encodings.position_embeddings"] = label_query
    for modality, linear in (("audio", model.to_audio), ("image", model.to_video), ("label", model.to_label)):
        slots |= _module(f"perceiver.output_postprocessor.modalities.{modality}.classifier", linear)
    return slots


def perceiver_io_slots(encoder: PerceiverEncoder, decoder: PerceiverDecoder, decoder_prefix: str) -> Slots:
    """Return the slots of latents, encoder and decoder, which has another prefix in the masked language model."""
    slots = {"perceiver.embeddings.latents": encoder.latents.detach()}
    slots |= _cross_attention("perceiver.encoder.cross_attention", encoder.cross_attention)
    for index, layer in enumerate(encoder.self_attention_layers):
        slots |= _self_attention(f"perceiver.encoder.self_attends.{index}", cast(SelfAttentionBlock, layer))
    slots |= _cross_attention(f"{decoder_prefix}.decoding_cross_attention", decoder.cross_attention)
    if decoder.output is not None:
        slots |= _module(f"{decoder_prefix}.final_layer", decoder.output)
    return slots


def _cross_attention(prefix: str, block: CrossAttentionBlock) -> Slots:
    attention = block.attention
    sizes = {"key": attention.qk_channels, "value": attention.v_channels}
    return {
        **_module(f"{prefix}.attention.self.layernorm1", block.query_norm),
        **_module(f"{prefix}.attention.self.layernorm2", block.input_norm),
        **_module(f"{prefix}.attention.self.query", attention.to_query),
        **_fused(f"{prefix}.attention.self", attention.to_key_value, sizes),
        **_after_attention(prefix, block),
    }


def _self_attention(prefix: str, block: SelfAttentionBlock) -> Slots:
    attention = block.attention
    sizes = {"query": attention.qk_channels, "key": attention.qk_channels, "value": attention.v_channels}
    return {
        **_module(f"{prefix}.attention.self.layernorm1", block.norm),
        **_fused(f"{prefix}.attention.self", attention.to_query_key_value, sizes),
        **_after_attention(prefix, block),
    }


def _after_attention(prefix: str, block: CrossAttentionBlock | SelfAttentionBlock) -> Slots:
    return {
        **_module(f"{prefix}.attention.output.dense", block.attention.to_output),
        **_module(f"{prefix}.layernorm", block.mlp_norm),
        **_module(f"{prefix}.mlp.dense1", block.mlp.to_hidden),
        **_module(f"{prefix}.mlp.dense2", block.mlp.to_output),
    }


def _module(prefix: str, module: nn.Module) -> Slots:
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def _fused(prefix: str, linear: nn.Linear, sizes: Mapping[str, int]) -> Slots:
    """Return the slots of separate linear maps, which we hold as the rows of one."""
    parts = list(sizes.values())
    weights, biases = linear.weight.detach().split(parts), linear.bias.detach().split(parts)
    slots = {f"{prefix}.{name}.weight": weight for name, weight in zip(sizes, weights, strict=True)}
    return slots | {f"{prefix}.{name}.bias": bias for name, bias in zip(sizes, biases, strict=True)}


_LAYOUTS: dict[str | None, _Layout] = {
    "PerceiverForImageClassificationLearned": _Layout(ImageClassifier, _image_learned_config),
    "PerceiverForImageClassificationFourier": _Layout(ImageClassifier, _image_fourier_config),
    "PerceiverForImageClassificationConvProcessing": _Layout(ImageClassifier, _image_convolutional_config),
    "PerceiverForMaskedLM": _Layout(MaskedLanguageModel, _masked_language_model_config),
    "PerceiverForMultimodalAutoencoding": _Layout(MultimodalAutoencoder, _multimodal_config),
    "PerceiverForOpticalFlow": _Layout(OpticalFlow, _optical_flow_config),
}
_SLOTS: dict[type[Task], Callable[[Any], Slots]] = {
    ImageClassifier: _image_classifier_slots,
    MaskedLanguageModel: _masked_language_model_slots,
    MultimodalAutoencoder: _multimodal_slots,
    OpticalFlow: _optical_flow_slots,
}
