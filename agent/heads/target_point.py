"""The target point: output queries for the places of a coarse grid, and convolutions that refine it."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from agent.config import AgentConfig
from agent.distributions import MaskedCategorical
from agent.heads.arguments import Readers, SingleChoiceHead
from agent.queries import LearnedQueries
from agent.residual import ConvolutionBlock

MOST_PLACES = 16
_SHRINK = (1, 2, 8)
"""By what the channels shrink with each doubling of the map: AlphaStar's 128, 64 and 16 before the logits."""


class TargetPointHead(SingleChoiceHead):
    """Logits of all points of a map.

    A grid of at most 16 x 16 learned queries, each raised by the torso's answer to the argument's own query, is decoded
    from the torso. Residual blocks, modulated by that answer, work on the grid together with the feature map of planes
    and entities; transposed convolutions double it until it has the size of the map.
    """

    def __init__(self, point_shape: tuple[int, int], config: AgentConfig, *, has_feature_map: bool) -> None:
        super().__init__()
        width, self.point_shape = config.map_channels, point_shape
        doublings = max(0, math.ceil(math.log2(max(point_shape) / MOST_PLACES)))
        self.grid_shape = (-(-point_shape[0] // 2**doublings), -(-point_shape[1] // 2**doublings))
        self.places = LearnedQueries(self.grid_shape[0] * self.grid_shape[1], config.channels)
        self.norm = nn.LayerNorm(config.channels)
        self.from_places = nn.Linear(config.channels, width)
        self.from_map = nn.Conv2d(width, width, 1, bias=False) if has_feature_map else None
        self.blocks = nn.ModuleList(ConvolutionBlock(width, config.channels) for _ in range(config.point_blocks))
        self.refine = _refinement(width, doublings)
        last = self.refine[-1]
        assert isinstance(last, nn.Conv2d | nn.ConvTranspose2d)
        nn.init.normal_(last.weight, std=0.01)

    def distribution(self, output: Float[Tensor, "Y C"], readers: Readers) -> MaskedCategorical:
        """Return the distribution of the point, row by row."""
        queries = self.places(len(readers), output).queries
        places = self.from_places(self.norm(readers.ask(queries)))
        maps = places.transpose(1, 2).unflatten(2, self.grid_shape)
        feature_map = readers.feature_map
        if self.from_map is not None and feature_map is not None:
            maps = maps + self.from_map(F.adaptive_avg_pool2d(feature_map, self.grid_shape))
        for block in self.blocks:
            maps = block(maps, output)
        height, width = self.point_shape
        logits = self.refine(maps)[:, 0, :height, :width]
        return MaskedCategorical(logits.flatten(1), None, name="target_point")


def _refinement(width: int, doublings: int) -> nn.Sequential:
    """Return the layers that turn a map of `width` channels into logits of 2 ** doublings times its size.

    The last one has no bias, which would raise all logits alike and leave the distribution as it is.
    """
    if not doublings:
        return nn.Sequential(nn.ReLU(), nn.Conv2d(width, 1, 1, bias=False))
    widths = [max(1, width // _SHRINK[min(step, len(_SHRINK) - 1)]) for step in range(doublings - 1)]
    layers: list[nn.Module] = []
    for step, (before, after) in enumerate(zip([width, *widths], [*widths, 1], strict=True), start=1):
        layers += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=step < doublings)]
    return nn.Sequential(*layers)
