"""The entity torso: a drop-in for a transformer over a padded entity list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from perceiver_io.attention import Activation
from perceiver_io.checks import check_dtype, check_mask, check_tokens
from perceiver_io.config import PerceiverIOConfig, check_sizes
from perceiver_io.model import PerceiverIO
from perceiver_io.rows import RowLayout, mean_of


class EntityTorsoOutput(NamedTuple):
    """What an :class:`EntityTorso` returns."""

    entity_embeddings: Tensor
    """``[B, E, O]``, zeros in masked slots."""
    pooled: Tensor
    """``[B, O]``: mean over real entities, zeros where there is none."""
    latents: Tensor
    """``[B, N, D]``: the encoder's latents, to decode further queries from."""


@dataclass(frozen=True, kw_only=True)
class EntityTorsoConfig:
    """Sizes of an :class:`EntityTorso`.

    Where the paper gives a value for its StarCraft II experiment (Jaegle et al. 2022, tables 5 and 6), it is the
    default: 256 channels in, 128 out, 32 latents, 3 layers. The rest follows its ImageNet settings, which that
    experiment is said to share, but for latent_channels, which is not published and chosen here.
    """

    entity_channels: int = 256
    """Channels of the entities."""
    output_channels: int | None = 128
    """Channels of the entity embeddings; None = no final linear layer, as many as the entities have."""
    num_latents: int = 32
    """Latent vectors the list is read into."""
    latent_channels: int = 256
    """Channels of each latent."""
    num_layers: int = 3
    """Self-attention layers among the latents, each with weights of its own."""
    num_cross_attention_heads: int = 1
    """Heads with which the latents read the entities."""
    num_self_attention_heads: int = 8
    """Heads of the self-attention among latents."""
    num_decoder_heads: int = 1
    """Heads with which the entities read the latents."""
    cross_attention_widening_factor: int = 1
    """Hidden over outer channels in the MLP after the encoder's cross-attention."""
    self_attention_widening_factor: int = 1
    """Hidden over outer channels in the MLPs of the self-attention layers."""
    decoder_widening_factor: int = 1
    """Hidden over outer channels in the decoder's MLP, which runs on every entity."""
    decoder_query_residual: bool = True
    """Add each entity to what it reads from the latents."""
    activation: Activation = "gelu_tanh"
    """GELU in its tanh form or "gelu", the exact one."""
    skip_padding: bool = True
    """Leave masked entities out of all dense work. False keeps static shapes, as compiled and exported
    models do by themselves."""

    def __post_init__(self) -> None:
        check_sizes(self)
        for name, heads in (
            ("entity_channels", "num_cross_attention_heads"),
            ("latent_channels", "num_self_attention_heads"),
            ("latent_channels", "num_decoder_heads"),
        ):
            if getattr(self, name) % getattr(self, heads):
                raise ValueError(
                    f"{name}: expected a multiple of {heads} = {getattr(self, heads)}, got {getattr(self, name)}"
                )
        self.perceiver_io()

    def perceiver_io(self) -> PerceiverIOConfig:
        """Return the configuration of the Perceiver IO inside.

        Raises:
            ValueError: if a size is not positive, or channels do not divide by the heads.
        """
        return PerceiverIOConfig(
            input_channels=self.entity_channels,
            query_channels=self.entity_channels,
            output_channels=self.output_channels,
            num_latents=self.num_latents,
            latent_channels=self.latent_channels,
            num_self_attention_layers_per_block=self.num_layers,
            num_cross_attention_heads=self.num_cross_attention_heads,
            num_self_attention_heads=self.num_self_attention_heads,
            num_decoder_heads=self.num_decoder_heads,
            cross_attention_widening_factor=self.cross_attention_widening_factor,
            self_attention_widening_factor=self.self_attention_widening_factor,
            decoder_widening_factor=self.decoder_widening_factor,
            decoder_query_residual=self.decoder_query_residual,
            activation=self.activation,
            skip_padding=self.skip_padding,
        )


class EntitySettings(Protocol):
    """What every torso's configuration holds."""

    @property
    def entity_channels(self) -> int:
        """Channels of the entities."""
        ...

    @property
    def skip_padding(self) -> bool:
        """Leave masked entities out of all dense work."""
        ...


class EntityModel(nn.Module):
    """A model over padded lists of entities: what it takes and returns, whatever is inside."""

    config: EntitySettings

    def forward(self, entities: Tensor, entity_mask: Tensor | None = None) -> EntityTorsoOutput:
        """Return embeddings per entity, their mean and the latents.

        Args:
            entities: ``[B, E, entity_channels]``.
            entity_mask: ``[B, E]`` bool, True = real; what masked slots hold has no effect. Without it, all are real.

        Raises:
            ValueError: if a shape or dtype is not the expected one.
        """
        check_tokens("entities", entities, channels=self.config.entity_channels)
        batch_size, length = entities.shape[:2]
        check_mask("entity_mask", entity_mask, shape=(batch_size, length), of="entities")
        layout = RowLayout.from_mask(batch_size, length, entity_mask, skip_padding=self.config.skip_padding)
        rows, latents = self.embed_rows(layout.pack(entities), layout)
        embeddings = layout.unpack(rows)
        num_entities = max(length, 1) if entity_mask is None else entity_mask.sum(dim=1, keepdim=True).clamp(min=1)
        return EntityTorsoOutput(embeddings, mean_of(embeddings, num_entities), latents)

    def embed_rows(self, rows: Tensor, layout: RowLayout) -> tuple[Tensor, Tensor]:
        """Return embedding rows ``[R, O]`` of entity rows ``[R, entity_channels]``, and the latents."""
        raise NotImplementedError


class EntityTorso(EntityModel):
    """Perceiver IO whose output queries are the entities themselves (Jaegle et al. 2022, section 4.4).

    Takes what a transformer over a padded list takes and returns one embedding per entity, at a cost linear in the
    number of real entities.

    Example:
        >>> torso = EntityTorso(EntityTorsoConfig(entity_channels=64))
        >>> output = torso(torch.randn(2, 512, 64), torch.arange(512).expand(2, -1) < 100)
        >>> output.entity_embeddings.shape, output.pooled.shape
        (torch.Size([2, 512, 128]), torch.Size([2, 128]))
    """

    config: EntityTorsoConfig

    def __init__(self, config: EntityTorsoConfig) -> None:
        super().__init__()
        self.config = config
        self.perceiver_io = PerceiverIO(config.perceiver_io())

    def embed_rows(self, rows: Tensor, layout: RowLayout) -> tuple[Tensor, Tensor]:
        """Return what the entities read from the latents, rows ``[R, O]``, and the latents ``[B, N, D]``."""
        check_dtype("entities", rows, like=self.perceiver_io.encoder.latents)
        latents = self.perceiver_io.encoder.encode_rows(rows, layout)
        return self.perceiver_io.decoder.decode_rows(latents, rows, layout), latents
