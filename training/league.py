"""Whom the agent meets: AIs and frozen past selves, how it fares against each, and who is needed most.

Pure bookkeeping, without games, networks or processes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.elo import Elo
from training.environment_config import PAST_SELF

Array = NDArray[np.float64]
Priority = Literal["hard", "variance"]
_Name = TypeVar("_Name", str, int)
AGENT = "agent"

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
    snapshot_interval_updates: int = 200
    """Updates after which the agent is frozen again, where environment.opponents names past_self."""
    max_snapshots: int = 8
    """Past selves that are kept; the one that is beaten most surely makes room."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.0 <= self.mix_share <= 1.0:
            raise ValueError(f"league.mix_share must lie between 0 and 1, got {self.mix_share}")
        if not 0.0 < self.payoff_decay <= 1.0:
            raise ValueError(f"league.payoff_decay must be above 0 and at most 1, got {self.payoff_decay}")
        for name in ("snapshot_interval_updates", "max_snapshots"):
            if getattr(self, name) < 1:
                raise ValueError(f"league.{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.hardness < math.inf:
            raise ValueError(f"league.hardness must be positive and finite, got {self.hardness}")


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

    def forget(self, opponent: str) -> None:
        """Drop the records against an opponent."""
        self._records = {key: record for key, record in self._records.items() if key[0] != opponent}

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
        past_selves: the share of episodes of each past self, by version.
    """

    ais: tuple[Mapping[str, float], ...] | None = None
    past_selves: Mapping[int, float] = field(default_factory=dict)

    def draw_ai(self, side: int, generator: np.random.Generator) -> str | None:
        """Return an AI for the next episode of a game in which the agent plays a side, or None to keep that it has."""
        return None if self.ais is None else _draw(self.ais[side], generator)

    def draw_past_self(self, generator: np.random.Generator) -> int:
        """Return the version of a past self for the next episodes.

        Raises:
            ValueError: if there is none.
        """
        if not self.past_selves:
            raise ValueError("there is no past self to play against: freeze the agent before its first games")
        return _draw(self.past_selves, generator)


def _draw(shares: Mapping[_Name, float], generator: np.random.Generator) -> _Name:
    names = tuple(shares)
    return names[int(generator.choice(len(names), p=np.array([shares[name] for name in names])))]


def past_self_name(version: int) -> str:
    """Return the name of a past self as an opponent."""
    return f"{PAST_SELF}@{version}"


class League:
    """The agent's opponents, and its record against them.

    Args:
        config: see `LeagueConfig`.
        ais: the AIs of the mix, as often as they are in it; may be empty.
        sides: the sides that the agent plays against them.
        with_past_selves: whether it meets past selves too.

    Attributes:
        snapshots: weights of the past selves by version, the update after which they were frozen; oldest first.
    """

    def __init__(
        self, config: LeagueConfig, ais: Iterable[str], sides: Sequence[int] = (0, 1), *, with_past_selves: bool = False
    ) -> None:
        self.config, self.mix, self.sides, self.with_past_selves = config, Counter(ais), tuple(sides), with_past_selves
        self.payoff, self.elo = Payoff(config.payoff_decay), Elo()
        self.snapshots: dict[int, Any] = {}

    def add(self, opponent: str, side: int, outcome: int, length: int) -> None:
        """Take in a finished game: outcome +1, 0, -1 for the agent on its side, and its game steps."""
        if opponent in self.mix or opponent in map(past_self_name, self.snapshots):
            self.payoff.add(opponent, side, outcome, length)
            self.elo.add(AGENT, opponent, (outcome + 1) / 2)

    def is_due(self, version: int) -> bool:
        """Return whether the agent of this version is to become a past self."""
        if not self.with_past_selves or version in self.snapshots:
            return False
        return not self.snapshots or version % self.config.snapshot_interval_updates == 0

    def freeze(self, version: int, weights: Any) -> None:
        """Make the agent a past self; where there are too many, let go of the one that is beaten most surely."""
        while len(self.snapshots) >= self.config.max_snapshots:
            weakest = max(self.snapshots, key=self._past_rate)
            del self.snapshots[weakest]
            self.payoff.forget(past_self_name(weakest))
            self.elo.forget(past_self_name(weakest))
        self.snapshots[version] = weights
        self.elo.copy(AGENT, past_self_name(version))

    def _past_rate(self, version: int) -> float:
        return float(np.mean([self.payoff.win_rate(past_self_name(version), side) for side in (0, 1)]))

    def shares(self, side: int) -> dict[str, float]:
        """Return the share of play, in game steps, that each AI of the mix is to have on a side."""
        return self._shares(self.mix, [self.payoff.win_rate(name, side) for name in self.mix])

    def past_shares(self) -> dict[int, float]:
        """Return the share of play, of that against past selves, that each of them is to have."""
        return self._shares(dict.fromkeys(self.snapshots, 1), [self._past_rate(version) for version in self.snapshots])

    def _shares(self, mix: Mapping[_Name, int], win_rates: Sequence[float]) -> dict[_Name, float]:
        weights = priorities(win_rates, self.config.priority, hardness=self.config.hardness)
        shares = prioritised_shares(list(mix.values()), weights, self.config.mix_share)
        return dict(zip(mix, shares.tolist(), strict=True))

    def deal(self) -> Deal:
        """Return how often each opponent is to be met from now on."""
        ais = None
        if self.config.deal == "prioritised" and self.mix:
            ais = tuple(self._ai_episodes(side) for side in self.sides)
        return Deal(ais, self._past_episodes() if self.snapshots else {})

    def _ai_episodes(self, side: int) -> dict[str, float]:
        shares = self.shares(side)
        return _of_episodes(shares, [self.payoff.mean_length(name, side) for name in shares])

    def _past_episodes(self) -> dict[int, float]:
        shares = self.past_shares()
        names = [past_self_name(version) for version in shares]
        return _of_episodes(shares, [sum(self.payoff.mean_length(name, side) for side in (0, 1)) for name in names])

    def metrics(self) -> dict[str, float]:
        """Return win rates, shares of play and ratings of those whom the league deals, means over the sides."""
        metrics = {}
        shares = [self.shares(side) for side in self.sides] if self.config.deal == "prioritised" else []
        for name in self.mix if shares else ():
            rates = [self.payoff.win_rate(name, side) for side in self.sides]
            metrics[f"league/payoff/{name}"] = float(np.mean(rates))
            metrics[f"league/share/{name}"] = float(np.mean([of_side[name] for of_side in shares]))
            metrics[f"league/elo/{name}"] = self.elo.rating(name)
        if self.snapshots:
            past = [self._past_rate(version) for version in self.snapshots]
            metrics[f"league/payoff/{PAST_SELF}"] = float(np.mean(past))
            metrics[f"league/payoff/hardest_{PAST_SELF}"] = min(past)
            metrics["league/past_selves"] = float(len(past))
        return {**metrics, f"league/elo/{AGENT}": self.elo.rating(AGENT)} if metrics else {}

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs."""
        return {
            "payoff": self.payoff.state_dict(),
            "elo": self.elo.state_dict(),
            "snapshots": dict(self.snapshots),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; opponents that are not in the mix any more do no harm."""
        self.payoff.load_state_dict(state["payoff"])
        self.elo.load_state_dict(state.get("elo", {}))
        self.snapshots = dict(state.get("snapshots", {}))


def _of_episodes(shares: Mapping[_Name, float], lengths: Sequence[float]) -> dict[_Name, float]:
    """Return shares of episodes that make these shares of play: whose games are long begins fewer."""
    rates = [share / length for share, length in zip(shares.values(), lengths, strict=True)]
    return {name: rate / sum(rates) for name, rate in zip(shares, rates, strict=True)}
