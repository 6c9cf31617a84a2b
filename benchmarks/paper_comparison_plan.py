"""What the comparison trains: one agent with one thing changed, on several maps, from several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from agent import AgentConfig

PERCEIVER, TRANSFORMER = "perceiver_32", "transformer"
LOOKS = {
    "small": (
        "a smaller budget",
        "the first configuration",
        "the second",
        "the third",
        "15 seeds of this one on a Xeon",
        "20 there",
        "20 on the EPYC",
    ),
    "large": (
        "three seeds on a Xeon",
        "four there",
        "five there",
        "five on the EPYC",
        "13 there",
        "all 20 there",
    ),
}
"""When the pair's results on a map were looked at, each of which might have been taken for the last."""


@dataclass(frozen=True, kw_only=True)
class GameMap:
    """A map, and what its trainings get of the budget."""

    path: str
    games_share: float = 1.0
    """Of the recorded games."""
    passes_share: float = 1.0
    """Of the passes over them."""
    evaluation_share: float = 1.0
    """Of the games against each AI."""
    games_per_shard: int = 16
    """Of the recording: games that an interruption loses."""
    trained: bool = True
    """Without, only the lengths of its lists are of interest."""


MAPS = {
    "small": GameMap(path="maps/8x8/basesWorkers8x8A.xml"),
    # The widest maps of the game have few units (14 to 26 in the mean on its maps of 32 x 32 and 64 x 64 cells): what
    # is large here is the list, on a map where clones of some hundred games play sensibly.
    "large": GameMap(
        path="maps/12x12/SixBasesWorkers12x12.xml",
        games_share=0.3,
        passes_share=0.4,
        evaluation_share=0.15,
        games_per_shard=4,
    ),
    # The longest lists of all maps; its games have 8 times the small map's steps, with 20 times the orders.
    "longest": GameMap(path="maps/16x16/EightBasesWorkers16x16.xml", games_per_shard=4, trained=False),
    # Of 32 x 32 and 64 x 64 cells, the one with the longest lists.
    "wide": GameMap(path="maps/chambers32x32.xml", games_per_shard=4, trained=False),
}
TRAINED_MAPS = tuple(name for name, game_map in MAPS.items() if game_map.trained)

# AlphaStar's transformer has 3 layers, 2 heads, 256 channels and 1,024 hidden ones; this one is a quarter as wide. The
# paper keeps its layers and reads 512 units into 32 latents, whose width it does not tell; MLPs four times as wide, as
# the transformer's are, explain its FLOPs best. Half the width of the tokens stays well below a third of the operations
# on the longest lists here. With several heads in place of the paper's one, held-out orders are told better at no more
# operations.
_AGENT = AgentConfig(
    channels=64,
    num_latents=32,
    latent_channels=32,
    num_layers=3,
    num_heads=2,
    num_cross_attention_heads=4,
    widening_factor=4,
    neighbourhood_radius=3,
)

TORSOS = {
    PERCEIVER: _AGENT,
    TRANSFORMER: replace(_AGENT, torso="transformer"),
    "set_transformer": replace(_AGENT, torso="set_transformer"),
    "cosformer": replace(_AGENT, torso="cosformer"),
    "deep_sets": replace(_AGENT, torso="deep_sets"),
}
LATENTS = {f"perceiver_{number}": replace(_AGENT, num_latents=number) for number in (8, 16, 64)}
# A query of a slot must not learn by the scatter connection which unit it is, so that is off on both sides there.
ABLATIONS = {
    "no_query_residual": replace(_AGENT, decoder_query_residual=False),
    "no_scatter": replace(_AGENT, neighbourhood_radius=0),
    "slot_queries_no_scatter": replace(_AGENT, neighbourhood_radius=0, entity_queries="slot"),
    "transformer_no_scatter": replace(_AGENT, torso="transformer", neighbourhood_radius=0),
}
VARIANTS: dict[str, AgentConfig] = {**TORSOS, **LATENTS, **ABLATIONS}
_MOST_TELLING_FIRST = ((PERCEIVER, TRANSFORMER), tuple(TORSOS)[2:], tuple(LATENTS), tuple(ABLATIONS))


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every variant gets alike."""

    players: tuple[str, ...] = ("CoacAI", "mayari", "WorkerRush", "LightRush")
    """AIs that are recorded, all pairs, on both sides."""
    recorded_games: int = 100
    """Games of each pair."""
    random_orders: float = 0.05
    """Share of the recorded AIs' orders that are not carried out: without, a pair plays one game again and again."""
    recorded_games_for_lists: int = 4
    """The same where only the lists' lengths are of interest."""
    max_steps: int = 2000
    """Game steps after which a game is truncated, recorded or played."""
    passes: int = 10
    """Times that the recording is gone through."""
    streams: int = 32
    """Games read side by side; an optimiser step takes a piece of each."""
    unroll_length: int = 8
    """Steps of such a piece."""
    learning_rate: float = 1e-3
    """Of Adam at the start."""
    final_learning_rate: float = 0.0
    """The same at the end, linearly fallen: at nought, the last few games that are read decide least."""
    opponents: tuple[str, ...] = ("CoacAI", "mayari", "WorkerRush", "LightRush", "RandomBiasedAI")
    """AIs that are played against."""
    games: int = 200
    """Games against each, half of them on each side."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Budget:
        """Return the budget that `to_dict` gave."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})

    def games_on(self, name: str) -> int:
        """Return the recorded games of each pair on a map."""
        return max(1, round(self.recorded_games * MAPS[name].games_share))

    def evaluation_games_on(self, name: str) -> int:
        """Return the games against each AI on a map."""
        return max(2, round(self.games * MAPS[name].evaluation_share))

    def passes_on(self, name: str) -> int:
        """Return the passes over a map's recording."""
        return max(1, round(self.passes * MAPS[name].passes_share))


CHOSEN_BY_OPTION = ("games", "passes", "recorded_games")
"""What of the budget the command's options choose."""
TINY = Budget(
    recorded_games=2, recorded_games_for_lists=1, max_steps=300, passes=1, streams=2, unroll_length=8, games=2
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training and its evaluation."""

    map: str
    variant: str
    seed: int

    @property
    def path(self) -> str:
        """Its folder below `cells`."""
        return f"{self.map}/{self.variant}/seed_{self.seed}"


def plan_cells(maps: Sequence[str], variants: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """Return the cells in the order to run them: a run that ends early has the most telling ones, on the first map.

    Raises:
        ValueError: if a map or a variant does not exist.
    """
    for kind, names, known in (("map", maps, TRAINED_MAPS), ("variant", variants, VARIANTS)):
        for name in names:
            if name not in known:
                raise ValueError(f"expected a {kind} of {', '.join(known)}, got {name!r}")
    return [
        Cell(map=game_map, variant=variant, seed=seed)
        for game_map in maps
        for group in _MOST_TELLING_FIRST
        for seed in seeds
        for variant in group
        if variant in variants
    ]
