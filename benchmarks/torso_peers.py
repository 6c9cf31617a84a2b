"""The torsos that are compared: ours and those that others would use, `(entities, entity_mask) -> embeddings, mean`.

Sizes are those of AlphaStar's entity encoder: 256 channels, 3 layers, 2 heads, hidden layers 4 times as wide. A
Perceiver has 32 latents of 256 channels and, where its package can, adds the query to what it reads.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perceiver_io import EntityTorso, EntityTorsoConfig, EntityTorsoKind, entity_torso

CHANNELS, NUM_LATENTS, NUM_LAYERS, NUM_HEADS, WIDENING = 256, 32, 3, 2, 4
OURS = "perceiver_star"
TRANSFORMER, NESTED = "transformer_encoder", "transformer_encoder_nested"
PERCEIVERS = ("transformers", "perceiver-io", "perceiver-pytorch", "flash-perceiver")


class Torso(nn.Module):
    """A module `(entities [B, E, C], entity_mask [B, E]) -> [B, E, C]`, with its padding and pooling."""

    def __init__(self, encode: Callable[[Tensor, Tensor], Tensor], module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._encode = encode

    def forward(self, entities: Tensor, entity_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings [B, E, C], zeros in masked slots, and their mean over the real entities [B, C]."""
        embeddings = self._encode(entities, entity_mask)
        missing = entities.shape[1] - embeddings.shape[1]  # nested tensors end at the longest list
        if missing:
            embeddings = F.pad(embeddings, (0, 0, 0, missing))
        embeddings = embeddings * entity_mask[..., None]
        return embeddings, embeddings.sum(1) / entity_mask.sum(1, keepdim=True)


class OfPerceiverIO(nn.Module):
    """A torso of perceiver_io."""

    def __init__(self, torso: nn.Module) -> None:
        super().__init__()
        self.module = torso

    def forward(self, entities: Tensor, entity_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings and their mean."""
        output = self.module(entities, entity_mask)
        return output.entity_embeddings, output.pooled


def ours(num_layers: int = NUM_LAYERS) -> OfPerceiverIO:
    """Return our torso."""
    config = EntityTorsoConfig(
        entity_channels=CHANNELS,
        output_channels=None,
        num_latents=NUM_LATENTS,
        latent_channels=CHANNELS,
        num_layers=num_layers,
        num_cross_attention_heads=NUM_HEADS,
        num_self_attention_heads=NUM_HEADS,
        num_decoder_heads=NUM_HEADS,
        cross_attention_widening_factor=WIDENING,
        self_attention_widening_factor=WIDENING,
        decoder_widening_factor=WIDENING,
        activation="gelu",  # the peers' exact form
    )
    return OfPerceiverIO(EntityTorso(config))


def baseline(kind: EntityTorsoKind) -> OfPerceiverIO:
    """Return another set model of perceiver_io, of the same width and depth."""
    return OfPerceiverIO(
        entity_torso(kind, entity_channels=CHANNELS, output_channels=None, num_layers=NUM_LAYERS, activation="gelu")
    )


def transformer(num_layers: int = NUM_LAYERS, *, nested: bool = False) -> Torso:
    """Return `nn.TransformerEncoder`: norm first, or post-norm with its fast path over nested tensors."""
    layer = nn.TransformerEncoderLayer(
        CHANNELS,
        NUM_HEADS,
        WIDENING * CHANNELS,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=not nested,
    )
    encoder = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=nested)
    return Torso(lambda entities, entity_mask: encoder(entities, src_key_padding_mask=~entity_mask), encoder)


def transformers() -> Torso:
    """Return Hugging Face's Perceiver."""
    _without_flash_attention_kernels()
    from transformers import PerceiverConfig, PerceiverModel
    from transformers.models.perceiver.modeling_perceiver import PerceiverBasicDecoder

    class EntityDecoder(PerceiverBasicDecoder):  # type: ignore[misc]
        def decoder_query(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return inputs

    config = PerceiverConfig(
        num_latents=NUM_LATENTS,
        d_latents=CHANNELS,
        d_model=CHANNELS,
        num_blocks=1,
        num_self_attends_per_block=NUM_LAYERS,
        num_self_attention_heads=NUM_HEADS,
        num_cross_attention_heads=NUM_HEADS,
        self_attention_widening_factor=WIDENING,
        cross_attention_widening_factor=WIDENING,
        attention_probs_dropout_prob=0.0,
    )
    decoder = EntityDecoder(
        config,
        output_num_channels=CHANNELS,
        position_encoding_type="none",
        num_channels=CHANNELS,
        num_heads=NUM_HEADS,
        widening_factor=WIDENING,
        use_query_residual=True,
        final_project=False,
    )
    model = PerceiverModel(config, decoder=decoder)
    return Torso(lambda entities, entity_mask: model(entities, attention_mask=entity_mask).logits, model)


def krasserm() -> Torso:
    """Return the Perceiver IO of the package perceiver-io."""
    from perceiver.model import core

    class Inputs(core.InputAdapter):  # type: ignore[misc]
        def forward(self, entities: Tensor) -> Tensor:
            return entities

    class Outputs(core.OutputAdapter):  # type: ignore[misc]
        def forward(self, outputs: Tensor) -> Tensor:
            return outputs

    class Queries(nn.Module, core.QueryProvider):  # type: ignore[misc]
        num_query_channels = CHANNELS

        def forward(self, entities: Tensor) -> Tensor:
            return entities

    sizes: dict[str, Any] = {"num_cross_attention_heads": NUM_HEADS, "cross_attention_widening_factor": WIDENING}
    encoder = core.PerceiverEncoder(
        Inputs(CHANNELS),
        NUM_LATENTS,
        CHANNELS,
        num_self_attention_heads=NUM_HEADS,
        num_self_attention_layers_per_block=NUM_LAYERS,
        self_attention_widening_factor=WIDENING,
        **sizes,
    )
    decoder = core.PerceiverDecoder(Outputs(), Queries(), CHANNELS, **sizes)
    model = core.PerceiverIO(encoder, decoder)

    def encode(entities: Tensor, entity_mask: Tensor) -> Tensor:
        latents, adapted = model.encoder(entities, pad_mask=~entity_mask, return_adapted_input=True)
        outputs: Tensor = model.decoder(latents, adapted)
        return outputs

    return Torso(encode, model)


def lucidrains() -> Torso:
    """Return the Perceiver IO of perceiver-pytorch: gated hidden layers, and no query residual."""
    from perceiver_pytorch import PerceiverIO

    model = PerceiverIO(
        depth=NUM_LAYERS,
        dim=CHANNELS,
        queries_dim=CHANNELS,
        num_latents=NUM_LATENTS,
        latent_dim=CHANNELS,
        cross_heads=NUM_HEADS,
        latent_heads=NUM_HEADS,
        cross_dim_head=CHANNELS // NUM_HEADS,
        latent_dim_head=CHANNELS // NUM_HEADS,
        decoder_ff=True,
    )
    return Torso(lambda entities, entity_mask: model(entities, mask=entity_mask, queries=entities), model)


def flash() -> Torso:
    """Return flash-perceiver's Perceiver IO without its CUDA kernels, which is all that runs on a CPU.

    Its decoder does not add the query to what it reads.
    """
    _without_flash_attention_kernels()
    if importlib.util.find_spec("torchvision") is None:
        _stand_in("torchvision.ops", StochasticDepth=_StochasticDepth)
        _stand_in("torchvision", ops=sys.modules["torchvision.ops"])
    from flash_perceiver import PerceiverIO

    model = PerceiverIO(
        input_dim=CHANNELS,
        query_dim=CHANNELS,
        depth=NUM_LAYERS,
        num_latents=NUM_LATENTS,
        latent_dim=CHANNELS,
        cross_heads=NUM_HEADS,
        cross_head_dim=CHANNELS // NUM_HEADS,
        latent_heads=NUM_HEADS,
        latent_head_dim=CHANNELS // NUM_HEADS,
        query_heads=NUM_HEADS,
        query_head_dim=CHANNELS // NUM_HEADS,
        gated_mlp=False,
        use_flash_attn=False,
    )
    return Torso(lambda entities, entity_mask: model(entities, mask=entity_mask, queries=entities), model)


def _without_flash_attention_kernels() -> None:
    """Let flash-attn's Python files be imported without its kernels; transformers imports them where it finds them."""
    if not torch.cuda.is_available():
        _stand_in("flash_attn_2_cuda")


def _stand_in(name: str, **content: Any) -> None:
    """Let a module be imported that is named and not used."""
    module = types.ModuleType(name)
    module.__dict__.update(content)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules.setdefault(name, module)


class _StochasticDepth(nn.Module):
    """Stands in for torchvision's, at a probability of zero."""

    def __init__(self, probability: float, mode: str) -> None:
        super().__init__()

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


TORSOS: dict[str, Callable[[], nn.Module]] = {
    OURS: ours,
    TRANSFORMER: transformer,
    NESTED: lambda: transformer(nested=True),
    "set_transformer": lambda: baseline("set_transformer"),
    "cosformer": lambda: baseline("cosformer"),
    "deep_sets": lambda: baseline("deep_sets"),
    "transformers": transformers,
    "perceiver-io": krasserm,
    "perceiver-pytorch": lucidrains,
    "flash-perceiver": flash,
}


def build_all(*, training: bool = False) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Return the torsos that can be built here, and why the others cannot."""
    built: dict[str, nn.Module] = {}
    missing: dict[str, str] = {}
    for name, build in TORSOS.items():
        torch.manual_seed(0)
        try:
            built[name] = build().train(training)
        except ImportError as error:
            missing[name] = f"not installed ({error})"
    return built, missing
