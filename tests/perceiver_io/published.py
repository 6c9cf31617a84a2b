"""The published configurations, and models of the transformers library with random weights."""

import copy

import pytest
import torch
from torch import nn

from perceiver_io import huggingface
from perceiver_io.tasks import Task

TINY = {
    "num_latents": 6,
    "d_latents": 16,
    "num_blocks": 2,
    "num_self_attends_per_block": 2,
    "num_self_attention_heads": 4,
    "num_cross_attention_heads": 1,
    "cross_attention_widening_factor": 2,
    "self_attention_widening_factor": 3,
    "attention_probs_dropout_prob": 0.0,
}

PUBLISHED = {
    "model_type": "perceiver",
    "num_latents": 512,
    "d_latents": 1024,
    "num_blocks": 8,
    "num_self_attends_per_block": 6,
    "num_self_attention_heads": 8,
    "num_cross_attention_heads": 1,
    "qk_channels": None,
    "v_channels": None,
    "cross_attention_shape_for_attention": "kv",
    "self_attention_widening_factor": 1,
    "cross_attention_widening_factor": 1,
    "hidden_act": "gelu",
    "use_query_residual": True,
    "layer_norm_eps": 1e-12,
    "d_model": 768,
    "vocab_size": 262,
    "max_position_embeddings": 2048,
    "image_size": 56,
    "train_size": [368, 496],
    "num_frames": 16,
    "audio_samples_per_frame": 1920,
    "samples_per_patch": 16,
    "output_shape": [1, 16, 224, 224],
    "id2label": {str(label): "" for label in range(1000)},
}
LANGUAGE_SIZES = {
    "num_latents": 256,
    "d_latents": 1280,
    "num_blocks": 1,
    "num_self_attends_per_block": 26,
    "num_cross_attention_heads": 8,
    "qk_channels": 256,
    "v_channels": 1280,
}
FLOW_SIZES = {
    "num_latents": 2048,
    "d_latents": 512,
    "num_blocks": 1,
    "num_self_attends_per_block": 24,
    "num_self_attention_heads": 16,
}
MULTIMODAL_SIZES = {
    "num_latents": 784,
    "d_latents": 512,
    "num_blocks": 1,
    "num_self_attends_per_block": 8,
    "id2label": {str(label): "" for label in range(700)},
}


def library_model(name: str, **settings) -> nn.Module:
    """Return the library's model of that class, every tensor random: none can be swapped for another unseen."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = getattr(transformers, name)(transformers.PerceiverConfig(**settings)).eval()
    for tensor_name, tensor in model.state_dict().items():
        if "running_var" in tensor_name:
            tensor.uniform_(0.5, 2.0)
        elif tensor.is_floating_point() and (tensor.dim() < 2 or "norm" in tensor_name):
            tensor.add_(torch.randn_like(tensor), alpha=0.3)
        elif tensor.is_floating_point():
            tensor.add_(torch.randn_like(tensor), alpha=0.05)
    return model


def assert_equal_to_scale(got: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    """Check the largest difference against the largest expected value."""
    assert got.shape == expected.shape
    difference = (got - expected).abs().max() / expected.abs().max()
    assert difference.item() <= tolerance


def assert_same_gradients(ours: Task, library: nn.Module, tolerance: float = 1e-4) -> None:
    """Check every gradient of the library's model against ours; None counts as zero on both sides."""
    gradients = copy.deepcopy(ours)
    for gradient, parameter in zip(gradients.parameters(), ours.parameters(), strict=True):
        gradient.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    slots = huggingface.slots_of(gradients)
    expected = {name: parameter.grad for name, parameter in library.named_parameters()}
    scale = max(gradient.abs().max().item() for gradient in expected.values() if gradient is not None)
    assert expected.keys() <= slots.keys()
    for name, gradient in expected.items():
        difference = slots[name] if gradient is None else slots[name] - gradient
        largest = 0.0 if gradient is None else gradient.abs().max().item()
        assert difference.abs().max().item() <= tolerance * max(largest, 1e-3 * scale), name
