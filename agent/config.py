"""The sizes of an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from perceiver_io import EntityTorsoKind

Size = Literal["dummy", "small", "full"]


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Sizes and choices of an agent's network."""

    torso: EntityTorsoKind = "perceiver"
    """Perceiver IO, or a set model over the tokens: AlphaStar's transformer, a Set Transformer, cosFormer (without
    re-weighting by position) or DeepSets."""
    channels: int = 64
    """Width of tokens, output queries and, unless they have a width of their own, latents."""
    num_latents: int = 16
    """Latents of the Perceiver IO torso; inducing points of each layer of the Set Transformer."""
    latent_channels: int | None = None
    """Perceiver IO: width of the latents; None = as wide as tokens and queries."""
    decoder_query_residual: bool = True
    """Perceiver IO: add each output query to what it reads from the latents."""
    entity_queries: Literal["token", "slot"] = "token"
    """What an entity's output query is made of: its own token, or a learned vector of its slot in the list. With slots,
    tokens carry a learned vector of their slot too, or no query could find its entity."""
    num_layers: int = 2
    """Layers, over the latents or over the tokens. AlphaStar's transformer has 3, as size `full`."""
    num_heads: int = 4
    """Attention heads of the self-attention layers."""
    num_cross_attention_heads: int = 4
    """Attention heads of the encoder's and the decoder's cross-attention."""
    widening_factor: int = 1
    """Hidden width of the latent MLPs, in units of the latents' own; the other torsos keep AlphaStar's 4."""
    neighbourhood_radius: int = 0
    """Each unit's query also reads the entities within this many cells of it (0 = off)."""
    neighbourhood_channels: int = 16
    """Channels of the scattered entity embeddings that the neighbourhood reads."""
    core: Literal["none", "lstm"] = "none"
    """Memory between steps."""
    core_channels: int = 384
    """Width of the LSTM core."""
    core_layers: int = 3
    """Layers of the LSTM core."""
    head_channels: int = 64
    """Function calls: hidden width of the function's and its arguments' heads."""
    function_blocks: int = 2
    """Function calls: residual blocks before the function's logits."""
    selection: Literal["pointer", "parallel"] = "pointer"
    """Function calls: units are selected one after another by AlphaStar's pointer LSTM, or all in one step."""
    pointer_channels: int = 32
    """Function calls: width of the keys by which entities are selected and targeted, and of the pointer LSTM."""
    map_channels: int = 32
    """Function calls: channels of the map that planes and entities are read into, and of the target point's head."""
    map_blocks: int = 1
    """Function calls: residual blocks over that map."""
    point_blocks: int = 1
    """Function calls: residual blocks over the map in the target point's head."""

    def __post_init__(self) -> None:
        """Check the sizes."""
        if self.torso not in get_args(EntityTorsoKind):
            raise ValueError(f"torso: expected one of {', '.join(get_args(EntityTorsoKind))}, got {self.torso!r}")
        for name in (
            "channels",
            "num_latents",
            "num_layers",
            "num_heads",
            "num_cross_attention_heads",
            "widening_factor",
            "neighbourhood_channels",
            "core_channels",
            "core_layers",
            "head_channels",
            "function_blocks",
            "pointer_channels",
            "map_channels",
            "map_blocks",
            "point_blocks",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.selection not in ("pointer", "parallel"):
            raise ValueError(f"selection: expected pointer or parallel, got {self.selection!r}")
        if self.entity_queries not in ("token", "slot"):
            raise ValueError(f"entity_queries: expected token or slot, got {self.entity_queries!r}")
        if self.latent_channels is not None and self.latent_channels < 1:
            raise ValueError(f"latent_channels must be at least 1, or None for channels, got {self.latent_channels}")
        for channels in ("channels", "latent_channels"):
            for name in ("num_heads", "num_cross_attention_heads"):
                if (getattr(self, channels) or self.channels) % getattr(self, name):
                    raise ValueError(
                        f"{channels} ({getattr(self, channels)}) must be divisible by {name} ({getattr(self, name)})"
                    )
        if self.neighbourhood_radius < 0:
            raise ValueError(f"neighbourhood_radius must be 0 (off) or more, got {self.neighbourhood_radius}")

    @classmethod
    def of_size(cls, size: Size) -> AgentConfig:
        """Return a named size: `dummy` for tests, `small` for CPU training, `full` with AlphaStar's widths."""
        match size:
            case "dummy":
                return cls(
                    channels=16, num_latents=4, num_layers=1, num_heads=2, num_cross_attention_heads=2,
                    core="lstm", core_channels=16, core_layers=1, neighbourhood_radius=1, neighbourhood_channels=4,
                    head_channels=16, function_blocks=1, pointer_channels=8, map_channels=8,
                )  # fmt: skip
            case "small":
                return cls(num_latents=8, num_heads=2, num_cross_attention_heads=1, neighbourhood_radius=3)
            case "full":
                return cls(
                    channels=256, num_latents=32, num_layers=3, num_heads=2, num_cross_attention_heads=2,
                    widening_factor=4, neighbourhood_radius=3, neighbourhood_channels=32,
                    core="lstm", core_channels=384, core_layers=3,
                    head_channels=256, function_blocks=16, map_channels=128, map_blocks=4, point_blocks=4,
                )  # fmt: skip
        raise ValueError(f"unknown agent size {size!r}: expected dummy, small or full")
