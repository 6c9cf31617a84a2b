"""Set models behind the call of :class:`EntityTorso`, and one function that builds any of them by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

from torch import Tensor, nn

from perceiver_io.attention import Activation, init_linear_
from perceiver_io.blocks import SelfAttentionBlock
from perceiver_io.checks import check_dtype
from perceiver_io.config import check_numerics, check_sizes
from perceiver_io.entities import EntityModel, EntityTorso, EntityTorsoConfig
from perceiver_io.rows import RowLayout
from perceiver_io.set_blocks import CosformerBlock, DeepSetsBlock, InducedSetAttentionBlock

EntityTorsoKind = Literal["perceiver", "transformer", "set_transformer", "cosformer", "deep_sets"]


@dataclass(frozen=True, kw_only=True)
class EntityBaselineConfig:
    """Sizes that the baselines share; the model is as wide as the entities.

    The defaults are those of AlphaStar's entity transformer: 3 layers, 256 channels, 1,024 hidden channels, and 2 heads
    where there is attention (Vinyals et al. 2019). 128 channels come out, as from :class:`EntityTorsoConfig`.

    Raises:
        ValueError: if a size is not positive, or channels do not divide by the heads.
    """

    entity_channels: int = 256
    """Channels of the entities, and of every layer."""
    output_channels: int | None = 128
    """Channels of the entity embeddings; None = no final linear layer, as many as the entities have."""
    num_layers: int = 3
    """Layers, each with weights of its own."""
    widening_factor: int = 4
    """Hidden over outer channels in the MLPs."""
    activation: Activation = "gelu_tanh"
    """GELU in its tanh form or "gelu", the exact one."""
    layer_norm_epsilon: float = 1e-5
    """Added to the variance in every layer norm."""
    skip_padding: bool = True
    """Leave masked entities out of all dense work. False keeps static shapes, as compiled and exported
    models do by themselves."""

    def __post_init__(self) -> None:
        check_sizes(self)
        check_numerics(self)
        num_heads = getattr(self, "num_heads", 1)
        if self.entity_channels % num_heads:
            raise ValueError(
                f"entity_channels: expected a multiple of num_heads = {num_heads}, got {self.entity_channels}"
            )


class EntityBaseline(EntityModel):
    """Layers over entity rows, a layer norm and a linear map: what the baselines have in common."""

    config: EntityBaselineConfig

    def __init__(self, config: EntityBaselineConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(config.entity_channels, eps=config.layer_norm_epsilon)
        self.output: nn.Linear | None = None
        if config.output_channels is not None:
            self.output = nn.Linear(config.entity_channels, config.output_channels)
            init_linear_(self.output)

    def embed_rows(self, rows: Tensor, layout: RowLayout) -> tuple[Tensor, Tensor]:
        """Return embedding rows ``[R, O]`` and the latents that the class describes."""
        if type(self.output) is nn.Linear:  # norms may be of higher precision
            check_dtype("entities", rows, like=self.output.weight)
        rows, latents = self.encode_rows(rows, layout)
        return rows if self.output is None else self.output(rows), latents

    def encode_rows(self, rows: Tensor, layout: RowLayout) -> tuple[Tensor, Tensor]:
        """Return rows ``[R, entity_channels]`` after all layers and the norm, and the latents."""
        for layer in self.layers:
            rows = layer(rows, layout)
        rows = self.norm(rows)
        return rows, layout.unpack(rows)


@dataclass(frozen=True, kw_only=True)
class TransformerTorsoConfig(EntityBaselineConfig):
    """Sizes of a :class:`TransformerTorso`; the defaults are :meth:`alphastar`."""

    num_heads: int = 2
    """Attention heads."""

    @classmethod
    def alphastar(cls) -> TransformerTorsoConfig:
        """Return the entity transformer of AlphaStar: 3 layers, 2 heads, 256 channels, 1,024 hidden ones."""
        return cls(entity_channels=256, num_layers=3, num_heads=2, widening_factor=4)


class TransformerTorso(EntityBaseline):
    """Pre-norm transformer over the entities; its cost grows with the square of their number.

    Its latents are the entities' outputs ``[B, E, entity_channels]`` before the final linear map, zeros in masked
    slots: whoever decodes queries from them needs entity_mask again.
    """

    def __init__(self, config: TransformerTorsoConfig) -> None:
        layers = (
            SelfAttentionBlock(
                channels=config.entity_channels,
                qk_channels=config.entity_channels,
                v_channels=config.entity_channels,
                num_heads=config.num_heads,
                widening_factor=config.widening_factor,
                activation=config.activation,
                layer_norm_epsilon=config.layer_norm_epsilon,
            )
            for _ in range(config.num_layers)
        )
        super().__init__(config, layers)


@dataclass(frozen=True, kw_only=True)
class SetTransformerTorsoConfig(EntityBaselineConfig):
    """Sizes of a :class:`SetTransformerTorso`."""

    num_heads: int = 2
    """Attention heads."""
    num_inducing_points: int = 32
    """Trained vectors of each layer through which entities exchange what they know."""


class SetTransformerTorso(EntityBaseline):
    """Set Transformer with inducing points: cost linear in the number of entities (Lee et al. 2019).

    Its latents are what the last layer's inducing points read, ``[B, num_inducing_points, entity_channels]``: every one
    is real, also where a list is empty. ``pooled`` is the mean, not the paper's pooling by attention.
    """

    def __init__(self, config: SetTransformerTorsoConfig) -> None:
        layers = (
            InducedSetAttentionBlock(
                channels=config.entity_channels,
                num_heads=config.num_heads,
                num_inducing_points=config.num_inducing_points,
                widening_factor=config.widening_factor,
                activation=config.activation,
                layer_norm_epsilon=config.layer_norm_epsilon,
            )
            for _ in range(config.num_layers)
        )
        super().__init__(config, layers)

    def encode_rows(self, rows: Tensor, layout: RowLayout) -> tuple[Tensor, Tensor]:
        """Return rows ``[R, entity_channels]`` after all layers and the norm, and what the last points read."""
        for layer in self.layers:
            rows, latents = layer(rows, layout)
        return self.norm(rows), latents


@dataclass(frozen=True, kw_only=True)
class CosformerTorsoConfig(EntityBaselineConfig):
    """Sizes of a :class:`CosformerTorso`."""

    num_heads: int = 2
    """Attention heads."""
    cos_reweighting: bool = True
    """Weigh pairs by their distance in the list, as the paper does. False treats the list as a set, without order."""


class CosformerTorso(EntityBaseline):
    """Transformer with cosFormer's linear attention: cost linear in the number of entities (Qin et al. 2022).

    An entity's position is its rank among the real entities of its list, divided by their number. With re-weighting,
    permuting the entities therefore changes their embeddings; set ``cos_reweighting=False`` where their order means
    nothing. Its latents are those of :class:`TransformerTorso`.
    """

    def __init__(self, config: CosformerTorsoConfig) -> None:
        layers = (
            CosformerBlock(
                channels=config.entity_channels,
                num_heads=config.num_heads,
                cos_reweighting=config.cos_reweighting,
                widening_factor=config.widening_factor,
                activation=config.activation,
                layer_norm_epsilon=config.layer_norm_epsilon,
            )
            for _ in range(config.num_layers)
        )
        super().__init__(config, layers)


@dataclass(frozen=True, kw_only=True)
class DeepSetsTorsoConfig(EntityBaselineConfig):
    """Sizes of a :class:`DeepSetsTorso`."""


class DeepSetsTorso(EntityBaseline):
    """DeepSets with means: each layer sees an entity and the mean over its list (Zaheer et al. 2017).

    Its latents are the mean over the entities' outputs before the final linear map, one vector ``[B, 1,
    entity_channels]``, zeros where a list is empty.
    """

    def __init__(self, config: DeepSetsTorsoConfig) -> None:
        layers = (
            DeepSetsBlock(
                channels=config.entity_channels,
                widening_factor=config.widening_factor,
                activation=config.activation,
                layer_norm_epsilon=config.layer_norm_epsilon,
            )
            for _ in range(config.num_layers)
        )
        super().__init__(config, layers)

    def encode_rows(self, rows: Tensor, layout: RowLayout) -> tuple[Tensor, Tensor]:
        """Return rows ``[R, entity_channels]`` after all layers and the norm, and their mean ``[B, 1, ...]``."""
        for layer in self.layers:
            rows = layer(rows, layout)
        rows = self.norm(rows)
        return rows, layout.mean(rows).unsqueeze(1)


_TORSOS: dict[str, tuple[type[Any], Callable[[Any], EntityTorso | EntityBaseline]]] = {
    "perceiver": (EntityTorsoConfig, EntityTorso),
    "transformer": (TransformerTorsoConfig, TransformerTorso),
    "set_transformer": (SetTransformerTorsoConfig, SetTransformerTorso),
    "cosformer": (CosformerTorsoConfig, CosformerTorso),
    "deep_sets": (DeepSetsTorsoConfig, DeepSetsTorso),
}


def entity_torso(kind: EntityTorsoKind, **settings: Any) -> EntityTorso | EntityBaseline:
    """Return a torso ``(entities, entity_mask) -> EntityTorsoOutput`` of that kind.

    Args:
        kind: which model.
        settings: fields of its configuration. ``entity_channels``, ``output_channels``, ``num_layers``, ``activation``
            and ``skip_padding`` are fields of every one.

    Raises:
        ValueError: if there is no such kind, or it has no such setting.

    Example:
        >>> torso = entity_torso("set_transformer", entity_channels=64, num_inducing_points=16)
        >>> torso(torch.randn(2, 512, 64), torch.arange(512).expand(2, -1) < 100).entity_embeddings.shape
        torch.Size([2, 512, 128])
    """
    if kind not in _TORSOS:
        raise ValueError(f"kind: expected one of {', '.join(_TORSOS)}, got {kind!r}")
    config_class, make = _TORSOS[kind]
    names = [field.name for field in fields(config_class)]
    for name in settings:
        if name not in names:
            raise ValueError(f"{name}: expected a setting of {kind}, one of {', '.join(names)}")
    return make(config_class(**settings))
