"""Human games that an agent is asked to follow: for each episode one statistic z, what is shown of it, its rewards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.conditioning import Statistic
from envs.starcraft2.coordinates import Grid
from envs.starcraft2.entity_columns import PLACEHOLDER
from envs.starcraft2.human_statistics import (
    HIDE_BUILD_ORDER_PROBABILITY,
    HIDE_CUMULATIVE_PROBABILITY,
    HumanStatistic,
    read_statistics,
    sample_shown,
    sample_statistic,
)
from envs.starcraft2.names import RACES
from envs.starcraft2.observation import EncodedObservation
from envs.starcraft2.progress import PlayerProgress, PseudoRewards
from envs.starcraft2.raw_units import COLUMN
from envs.starcraft2.rewards import ACTIVATION_PROBABILITY, sample_activation

_OWN = 1
_TAG, _UNIT_TYPE, _ALLIANCE = COLUMN["tag"], COLUMN["unit_type"], COLUMN["alliance"]
_HALLUCINATION, _DISPLAY_TYPE = COLUMN["hallucination"], COLUMN["display_type"]
_POSITION = [COLUMN["x"], COLUMN["y"]]


class EpisodeGuidance:
    """What one player is asked to follow in one episode.

    Args:
        statistic: z.
        shown: what the player is shown of it.
        active: which pseudo-rewards are given (see `rewards.PSEUDO_REWARD_NAMES`).

    Attributes:
        shown: as given.
    """

    def __init__(self, statistic: HumanStatistic, shown: Statistic, active: NDArray[np.bool_]) -> None:
        self.shown = shown
        self._progress = PlayerProgress()
        self._rewards = PseudoRewards(statistic, shown, active)

    def step(self, seen: EncodedObservation, effects: Iterable[Any], grid: Grid) -> NDArray[np.float32]:
        """Return the pseudo-rewards float32 [4] since the last call, zeros at the first one.

        Args:
            seen: the observation.
            effects: its `Effect` messages.
            grid: of its positions.
        """
        units = seen.raw_units
        exists = (units[:, _HALLUCINATION] == 0) & (units[:, _DISPLAY_TYPE] != PLACEHOLDER)
        own = units[(units[:, _ALLIANCE] == _OWN) & exists]
        self._progress.update(
            own[:, _TAG],
            own[:, _UNIT_TYPE],
            grid.to_world(own[:, _POSITION]),
            seen.upgrades,
            np.asarray([effect.effect_id for effect in effects if effect.alliance == _OWN], np.int64),
        )
        return self._rewards.step(self._progress, seen.game_loop)


@dataclass(frozen=True, kw_only=True)
class HumanGuidance:
    """A collection of z to draw from.

    Attributes:
        statistics: z of human games.
        hide_build_order: probability that an episode's build order is not shown.
        hide_cumulative: probability that the unit types, upgrades and effects it had are not shown.
        activation: probability that a pseudo-reward is given in an episode, each by its own chance.
    """

    statistics: tuple[HumanStatistic, ...] = field(repr=False)
    hide_build_order: float = HIDE_BUILD_ORDER_PROBABILITY
    hide_cumulative: float = HIDE_CUMULATIVE_PROBABILITY
    activation: float = ACTIVATION_PROBABILITY

    def __post_init__(self) -> None:
        """Check the probabilities."""
        for name in ("hide_build_order", "hide_cumulative", "activation"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be a probability from 0 to 1, got {value}")

    @classmethod
    def from_file(cls, path: Path, **settings: float) -> HumanGuidance:
        """Return a collection with the statistics of a file.

        Raises:
            ValueError: if the file is none of `human_statistics.write_statistics`.
        """
        return cls(statistics=read_statistics(path), **settings)

    def check_race(self, race: str) -> None:
        """Check that there is a z for whatever race a player of `race` may play.

        Raises:
            ValueError: if there is none.
        """
        needed = set(RACES) - {"random"} if race == "random" else {race}
        missing = sorted(needed - {statistic.race for statistic in self.statistics})
        if missing:
            raise ValueError(
                f"no human statistic of {' and '.join(missing)} among {len(self.statistics)}, which the race {race!r} "
                "needs; add replays of it, or play another race"
            )

    def begin(
        self, generator: np.random.Generator, *, race: str, opponent_race: str | None, map_name: str
    ) -> EpisodeGuidance:
        """Return what a player follows in an episode, drawn for its race, its opponent's race and the map."""
        statistic = sample_statistic(
            self.statistics, generator, race=race, opponent_race=opponent_race, map_name=map_name
        )
        shown = sample_shown(
            statistic, generator, hide_build_order=self.hide_build_order, hide_cumulative=self.hide_cumulative
        )
        return EpisodeGuidance(statistic, shown, sample_activation(generator, self.activation))
