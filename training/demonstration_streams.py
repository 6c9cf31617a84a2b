"""Recorded games as streams: side by side, one game after another in each, a piece at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.interface import PackedObservation
from training.demonstration_choice import ChosenGame
from training.demonstrations import Demonstrations
from training.trajectory import join_observations, select_observations

Array = NDArray[Any]

_UNROLLS_READ_AT_ONCE = 8  # decoding a few steps costs hardly less than decoding many


@dataclass(frozen=True)
class DemonstrationBatch:
    """The next T steps of B streams. At the end of all, rows are missing: they hold nothing and `loss_mask` is False.

    Attributes:
        observations: B * T packed observations, stream after stream; `decision` also holds `action`.
        streams: [B] numbers of the streams; those that have ended are left out.
        is_first: [B, T] True at the first step of each game.
        returns: [B, T, K] discounted sums of each weighted reward term from the step to the end of its game.
        weights: [B, T] what the decisions of each step count.
        loss_mask: [B, T] False where there is no step.
        num_steps: steps that were gone through, those that were passed over included.
    """

    observations: PackedObservation
    streams: Array
    is_first: Array
    returns: Array
    weights: Array
    loss_mask: Array
    num_steps: int


@dataclass
class _Stream:
    """Where a stream is: a place in the order of all games, and the next of those steps of the game that are read."""

    number: int
    place: int
    next_step: int = 0
    game: _OpenGame | None = None


class DemonstrationStreams:
    """Give the steps of player games, pass after pass, each pass in an order of its own.

    A game that ends is followed, in the same stream and batch, by the next one that nobody reads yet.

    With a `wait_share` below 1, only that share of the steps at which a player does nothing but wait is read, drawn
    anew in every pass, and what is decided there counts so much more. Not for agents with memory: they would miss some.

    Args:
        demonstrations: the recording.
        games: what is read.
        num_streams: B; fewer where there are fewer games.
        unroll_length: T.
        reward_weights: [K] of the reward terms.
        discounts: of a game step, one for each term or for all.
        passes: times that every game is read.
        seed: of the orders and draws; without one, games come as given.
        wait_share: share of the steps without any action but the first, which is to wait, that are read.
        wait_weight: what decisions at such steps count, beside 1 at others.
    """

    def __init__(
        self,
        demonstrations: Demonstrations,
        games: Sequence[ChosenGame],
        *,
        num_streams: int,
        unroll_length: int,
        reward_weights: Array,
        discounts: Sequence[float],
        passes: int = 1,
        seed: int | None = None,
        wait_share: float = 1.0,
        wait_weight: float = 1.0,
    ) -> None:
        self._demonstrations, self._games = demonstrations, games
        self._unroll_length, self._reward_weights = unroll_length, reward_weights
        self._discounts = np.broadcast_to(np.asarray(discounts, np.float64), reward_weights.shape)
        self._num_places, self._seed = passes * len(games), seed
        self._wait_share, self._wait_weight = wait_share, wait_weight
        self.num_streams = min(num_streams, len(games))
        self._orders: dict[int, Array] = {}
        self._streams = [_Stream(number, place=number) for number in range(self.num_streams)]
        self._next_place = self.num_streams

    @property
    def has_more(self) -> bool:
        """Whether there are steps that nobody has read."""
        return any(stream.place < self._num_places for stream in self._streams)

    def next(self) -> DemonstrationBatch | None:
        """Return the next steps of all streams that have not ended, or None when all have."""
        pieces = {stream.number: self._take(stream) for stream in self._streams}
        pieces = {number: of_stream for number, of_stream in pieces.items() if of_stream}
        return _batch(pieces, self._unroll_length) if pieces else None

    def state_dict(self) -> dict[str, Any]:
        """Return where the streams are."""
        positions = [(stream.place, stream.next_step) for stream in self._streams]
        return {
            "positions": positions,
            "next_place": self._next_place,
            "order": self._order(),
            "wait_weight": self._wait_weight,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            ValueError: if other steps are read, in another order or side by side with others, or count otherwise.
        """
        if len(state["positions"]) != self.num_streams:
            raise ValueError(
                f"{len(state['positions'])} games were read side by side, expected {self.num_streams}: go on with the "
                "same number of streams, or begin a new run"
            )
        if state.get("order", self._order()) != self._order():
            raise ValueError(
                f"the steps were read with seed and share of waits {state['order']}, expected {self._order()}: "
                "go on with the same, or begin a new run"
            )
        if (weight := state.get("wait_weight", self._wait_weight)) != self._wait_weight:
            raise ValueError(
                f"waits counted {weight}, expected {self._wait_weight}, and losses would not compare: go on with the "
                "same, or begin a new run"
            )
        self._streams = [_Stream(number, *position) for number, position in enumerate(state["positions"])]
        self._next_place = int(state["next_place"])

    def _order(self) -> list[float | None]:
        return [self._seed, self._wait_share]

    def _take(self, stream: _Stream) -> list[_Piece]:
        """Return the stream's next steps, in pieces of one game each."""
        pieces: list[_Piece] = []
        missing = self._unroll_length
        while missing and stream.place < self._num_places:
            if stream.game is None:
                stream.game = self._open(stream.place)
            pieces.append(stream.game.take(stream.next_step, missing))
            missing -= len(pieces[-1].weights)
            stream.next_step += len(pieces[-1].weights)
            if stream.next_step == len(stream.game.rows):
                stream.place, stream.next_step, stream.game = self._next_place, 0, None
                self._next_place += 1
        return pieces

    def _game_at(self, place: int) -> ChosenGame:
        number, index = divmod(place, len(self._games))
        if self._seed is None:
            return self._games[index]
        if number not in self._orders:
            # Streams are in two passes at once where the one ends and the next begins.
            self._orders = {key: order for key, order in self._orders.items() if key >= number - 1}
            self._orders[number] = np.random.default_rng([self._seed, number]).permutation(len(self._games))
        return self._games[int(self._orders[number][index])]

    def _open(self, place: int) -> _OpenGame:
        game = self._game_at(place)
        steps = self._demonstrations.read(game.index, only_decided=True)
        gammas = self._discounts ** steps.elapsed_steps[:, None]
        waits, weights = _waits(steps.observations), np.full(game.num_steps, game.weight, np.float32)
        weights[waits] *= self._wait_weight
        is_read = np.ones(game.num_steps, bool)
        if self._wait_share < 1:
            waits[0] = False  # a game begins with its first step, whatever is done there
            draws = np.random.default_rng([self._seed or 0, place, 1]).random(game.num_steps)
            is_read = ~waits | (draws < self._wait_share)
            weights[waits] /= self._wait_share
        return _OpenGame(
            self._demonstrations,
            game.index,
            rows=np.flatnonzero(is_read),
            returns=returns_to_go(steps.rewards * self._reward_weights, gammas),
            weights=weights,
            block_length=_UNROLLS_READ_AT_ONCE * self._unroll_length,
        )


@dataclass(frozen=True)
class _Piece:
    """Consecutive steps of one game among those that are read; `num_steps` are gone through until the next ones."""

    observations: PackedObservation
    returns: Array
    weights: Array
    is_first: bool
    num_steps: int


class _OpenGame:
    """A game that a stream reads.

    Args:
        demonstrations: the recording.
        index: of the player game.
        rows: [m] the steps that are read.
        returns, weights: [n, ...] of all steps.
        block_length: steps that are decoded at once.
    """

    def __init__(
        self,
        demonstrations: Demonstrations,
        index: int,
        *,
        rows: Array,
        returns: Array,
        weights: Array,
        block_length: int,
    ) -> None:
        self.rows = rows
        self._demonstrations, self._index, self._block_length = demonstrations, index, block_length
        self._returns, self._weights = returns, weights
        self._ends = np.append(rows[1:], len(returns))
        self._block: PackedObservation | None = None
        self._block_first = 0

    def take(self, first: int, most: int) -> _Piece:
        """Return up to `most` of the steps that are read, from the `first` of them on."""
        if self._block is None or not self._block_first <= first < self._block_first + len(self._block):
            self._block, self._block_first = self._decode(first), first
        last = min(first + most, self._block_first + len(self._block))
        rows = self.rows[first:last]
        return _Piece(
            observations=select_observations(self._block, np.arange(first, last) - self._block_first),
            returns=self._returns[rows],
            weights=self._weights[rows],
            is_first=first == 0,
            num_steps=int(self._ends[last - 1] - rows[0]),
        )

    def _decode(self, first: int) -> PackedObservation:
        rows = self.rows[first : first + self._block_length]
        steps = self._demonstrations.read(self._index, int(rows[0]), int(rows[-1] - rows[0] + 1))
        return select_observations(steps.observations, rows - rows[0])


def _waits(observations: PackedObservation) -> NDArray[np.bool_]:
    """Return at which steps no decision is anything but the first choice of its first component."""
    action = observations.decision["action"]
    owner = np.repeat(np.arange(len(observations)), observations.decision_counts)
    num_orders = np.bincount(owner, action[:, 0] != 0, minlength=len(observations))
    waits: NDArray[np.bool_] = num_orders == 0
    return waits


def returns_to_go(rewards: Array, discounts: Array) -> Array:
    """Return G_t = r_t + γ_t G_{t+1} of one game, [n, K]; nothing comes after its last step, also where it was cut off.

    Args:
        rewards: [n, K].
        discounts: [n, K], gamma ** elapsed_steps.
    """
    returns = np.empty(rewards.shape, np.float32)
    following = np.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discounts[t] * following
        returns[t] = following
    return returns


def _batch(pieces: Mapping[int, Sequence[_Piece]], unroll_length: int) -> DemonstrationBatch:
    shape = (len(pieces), unroll_length)
    is_first, loss_mask = np.zeros(shape, bool), np.zeros(shape, bool)
    weights = np.zeros(shape, np.float32)
    returns = np.zeros((*shape, next(iter(pieces.values()))[0].returns.shape[1]), np.float32)
    observations: list[PackedObservation] = []
    for row, of_stream in enumerate(pieces.values()):
        first = 0
        for piece in of_stream:
            part = slice(first, first + len(piece.returns))
            is_first[row, first] = piece.is_first
            loss_mask[row, part], weights[row, part], returns[row, part] = True, piece.weights, piece.returns
            observations.append(piece.observations)
            first = part.stop
        if first < unroll_length:
            observations.append(_nothing(observations[-1], unroll_length - first))
    return DemonstrationBatch(
        observations=join_observations(observations),
        streams=np.array(list(pieces)),
        is_first=is_first,
        returns=returns,
        weights=weights,
        loss_mask=loss_mask,
        num_steps=sum(piece.num_steps for of_stream in pieces.values() for piece in of_stream),
    )


def _nothing(like: PackedObservation, number: int) -> PackedObservation:
    """Return observations of nothing."""
    return PackedObservation(
        sample={key: np.zeros((number, *value.shape[1:]), value.dtype) for key, value in like.sample.items()},
        entity_counts=np.zeros(number, np.int64),
        entity={key: value[:0] for key, value in like.entity.items()},
        decision_counts=np.zeros(number, np.int64),
        decision={key: value[:0] for key, value in like.decision.items()},
    )
