"""Whom the agent meets: AIs and frozen past selves, how it fares against each, and who is needed most.

Pure bookkeeping, without games, networks or processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Priority = Literal["hard", "variance"]

_PRIOR_GAMES = 2.0
"""Games that count from the start, half of them won: one game says little."""


@dataclass(frozen=True, kw_only=True)
class LeagueConfig:
    """Whom the agent meets in training, and how often."""

    deal: Literal["in_turn", "prioritised"] = "in_turn"
    """Which of the AIs in environment.opponents a game meets: the same one in all its episodes, or at each episode's
    start one drawn by how the agent fares against them."""
    priority: Priority = "hard"
    """Against whom to play more, of AIs that are dealt so and of past selves: those that win (hard), or those that are
    as strong as the agent (variance), which suits a beginner."""
    hardness: float = 2.0
    """The p of hard priorities (1 - win rate)^p."""
    mix_share: float = 0.2
    """Share of play that follows the mix as it is, whatever the win rates, so that nobody is forgotten."""
    payoff_decay: float = 0.99
    """What the record against an opponent keeps at each further game; 0.99 remembers about the last hundred."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.0 <= self.mix_share <= 1.0:
            raise ValueError(f"league.mix_share must lie between 0 and 1, got {self.mix_share}")
        if not 0.0 < self.payoff_decay <= 1.0:
            raise ValueError(f"league.payoff_decay must be above 0 and at most 1, got {self.payoff_decay}")
        if self.hardness <= 0:
            raise ValueError(f"league.hardness must be positive, got {self.hardness}")


def priorities(win_rates: ArrayLike, priority: Priority, *, hardness: float = 2.0) -> Array:
    """Return the unnormalised weight of each opponent in prioritised fictitious self-play.

    f_hard(x) = (1 - x)^p,  f_var(x) = x (1 - x)                           (Vinyals et al. 2019, Methods, "PFSP")

    Args:
        win_rates: the agent's against each opponent, 0 to 1.
        priority: which of the two.
        hardness: p.
    """
    x = np.asarray(win_rates, np.float64)
    return (1 - x) ** hardness if priority == "hard" else x * (1 - x)


def prioritised_shares(mix: ArrayLike, weights: ArrayLike, mix_share: float) -> Array:
    """Return the share of play of each opponent: `mix_share` of it as in the mix, the rest by mix and weight.

    Args:
        mix: how often each opponent is in the mix.
        weights: of `priorities`; where all are 0, all play follows the mix.
        mix_share: 0 to 1.
    """
    parts = np.asarray(mix, np.float64)
    parts = parts / parts.sum()
    needed = parts * np.asarray(weights, np.float64)
    total = needed.sum()
    shares: Array = parts if total < 1e-10 else mix_share * parts + (1 - mix_share) * needed / total
    return shares


class Payoff:
    """How the agent fares against each opponent on each side, the last games counting most.

    Args:
        decay: what the record keeps at each further game between the same two on the same sides.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._records: dict[tuple[str, int], Array] = {}  # games, wins, draws, game steps

    def add(self, opponent: str, side: int, outcome: int, length: int) -> None:
        """Take in one game: outcome +1, 0, -1 for the agent, and its game steps."""
        record = self._records.get((opponent, side), np.zeros(4))
        self._records[opponent, side] = self.decay * record + np.array([1, outcome > 0, outcome == 0, length])

    def win_rate(self, opponent: str, side: int) -> float:
        """Return the share of games won, a draw being half a win; 0.5 before the first."""
        games, wins, draws, _ = self._record(opponent, side)
        return float((wins + draws / 2 + _PRIOR_GAMES / 2) / (games + _PRIOR_GAMES))

    def mean_length(self, opponent: str, side: int) -> float:
        """Return the mean game steps of a game; where there are few, near the mean over all opponents."""
        totals = np.sum([np.zeros(4), *self._records.values()], 0)
        overall = totals[3] / totals[0] if totals[0] else 1.0
        games, _, _, steps = self._record(opponent, side)
        return float((steps + _PRIOR_GAMES * overall) / (games + _PRIOR_GAMES))

    def _record(self, opponent: str, side: int) -> Array:
        return self._records.get((opponent, side), np.zeros(4))

    def state_dict(self) -> list[list[Any]]:
        """Return the records as plain values."""
        return [[opponent, side, *record.tolist()] for (opponent, side), record in self._records.items()]

    def load_state_dict(self, state: Sequence[Sequence[Any]]) -> None:
        """Restore what `state_dict` returned."""
        self._records = {(opponent, side): np.array(record, np.float64) for opponent, side, *record in state}


@dataclass(frozen=True)
class Deal:
    """How often each opponent is to be met.

    Attributes:
        ais: for each side the share of episodes of each AI; None leaves every game to the AI that it has.
    """

    ais: tuple[Mapping[str, float], ...] | None = None

    def draw_ai(self, side: int, generator: np.random.Generator) -> str | None:
        """Return an AI for the next episode of a game in which the agent plays a side, or None to keep that it has."""
        return None if self.ais is None else _draw(self.ais[side], generator)


def _draw(shares: Mapping[str, float], generator: np.random.Generator) -> str:
    names = tuple(shares)
    return names[int(generator.choice(len(names), p=np.array([shares[name] for name in names])))]


class League:
    """The agent's opponents, and its record against them.

    Args:
        config: see `LeagueConfig`.
        ais: the AIs of the mix, as often as they are in it; may be empty.
        sides: the sides that the agent plays against them.
    """

    def __init__(self, config: LeagueConfig, ais: Iterable[str], sides: Sequence[int] = (0, 1)) -> None:
        self.config, self.mix, self.sides = config, Counter(ais), tuple(sides)
        self.payoff = Payoff(config.payoff_decay)

    def add(self, opponent: str, side: int, outcome: int, length: int) -> None:
        """Take in a finished game: outcome +1, 0, -1 for the agent on its side, and its game steps."""
        if opponent in self.mix:
            self.payoff.add(opponent, side, outcome, length)

    def shares(self, side: int) -> dict[str, float]:
        """Return the share of play, in game steps, that each AI of the mix is to have on a side."""
        rates = [self.payoff.win_rate(name, side) for name in self.mix]
        weights = priorities(rates, self.config.priority, hardness=self.config.hardness)
        shares = prioritised_shares(list(self.mix.values()), weights, self.config.mix_share)
        return dict(zip(self.mix, shares.tolist(), strict=True))

    def deal(self) -> Deal:
        """Return how often each opponent is to be met from now on."""
        if self.config.deal == "in_turn" or not self.mix:
            return Deal()
        return Deal(ais=tuple(self._episode_shares(side) for side in self.sides))

    def _episode_shares(self, side: int) -> dict[str, float]:
        # Drawn by their share of play, opponents of long games would have more of it than that.
        rates = {name: share / self.payoff.mean_length(name, side) for name, share in self.shares(side).items()}
        total = sum(rates.values())
        return {name: rate / total for name, rate in rates.items()}

    def metrics(self) -> dict[str, float]:
        """Return win rate and share of play of each AI, means over the sides; nothing where they are dealt in turn."""
        if self.config.deal == "in_turn":
            return {}
        metrics = {}
        for name in self.mix:
            rates = [self.payoff.win_rate(name, side) for side in self.sides]
            metrics[f"league/payoff/{name}"] = float(np.mean(rates))
            metrics[f"league/share/{name}"] = float(np.mean([self.shares(side)[name] for side in self.sides]))
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs."""
        return {"payoff": self.payoff.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; opponents that are not in the mix any more do no harm."""
        self.payoff.load_state_dict(state["payoff"])
