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
from training.trajectory import join_observations

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
    """

    observations: PackedObservation
    streams: Array
    is_first: Array
    returns: Array
    weights: Array
    loss_mask: Array

    @property
    def num_steps(self) -> int:
        """Number of steps."""
        return int(self.loss_mask.sum())


@dataclass
class _Stream:
    """Where a stream is: a place in the order of all games, and the next step of the game there."""

    number: int
    place: int
    next_step: int = 0
    returns: Array | None = None
    block: _Block | None = None


class DemonstrationStreams:
    """Give the steps of player games, pass after pass, each pass in an order of its own.

    A game that ends is followed, in the same stream and batch, by the next one that nobody reads yet.

    Args:
        demonstrations: the recording.
        games: what is read.
        num_streams: B; fewer where there are fewer games.
        unroll_length: T.
        reward_weights: [K] of the reward terms.
        discounts: of a game step, one for each term or for all.
        passes: times that every game is read.
        seed: of the orders; without one, games come as given.
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
    ) -> None:
        self._demonstrations, self._games = demonstrations, games
        self._unroll_length, self._reward_weights = unroll_length, reward_weights
        self._discounts = np.broadcast_to(np.asarray(discounts, np.float64), reward_weights.shape)
        self._num_places, self._seed = passes * len(games), seed
        self.num_streams = min(num_streams, len(games))
        self._orders: dict[int, Array] = {}
        self._streams = [_Stream(number, place=number) for number in range(self.num_streams)]
        self._next_place = self.num_streams

    def next(self) -> DemonstrationBatch | None:
        """Return the next steps of all streams that have not ended, or None when all have."""
        pieces = {stream.number: self._take(stream) for stream in self._streams}
        pieces = {number: of_stream for number, of_stream in pieces.items() if of_stream}
        return _batch(pieces, self._unroll_length) if pieces else None

    def state_dict(self) -> dict[str, Any]:
        """Return where the streams are."""
        positions = [(stream.place, stream.next_step) for stream in self._streams]
        return {"positions": positions, "next_place": self._next_place}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._streams = [_Stream(number, *position) for number, position in enumerate(state["positions"])]
        self._next_place = int(state["next_place"])

    def _take(self, stream: _Stream) -> list[_Piece]:
        """Return the stream's next steps, in pieces of one game each."""
        pieces: list[_Piece] = []
        missing = self._unroll_length
        while missing and stream.place < self._num_places:
            game = self._game_at(stream.place)
            if stream.returns is None:
                stream.returns = self._returns(game.index)
            first = stream.next_step
            if stream.block is None or first == stream.block.end:
                stream.block = self._read(game, first)
            length = min(missing, stream.block.end - first)
            observations, returns = stream.block.steps(first, length), stream.returns[first : first + length]
            pieces.append(_Piece(observations, returns, game.weight, first == 0))
            missing -= length
            stream.next_step += length
            if stream.next_step == game.num_steps:
                stream.place, stream.next_step, stream.returns, stream.block = self._next_place, 0, None, None
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

    def _read(self, game: ChosenGame, first: int) -> _Block:
        length = min(_UNROLLS_READ_AT_ONCE * self._unroll_length, game.num_steps - first)
        return _Block(first, self._demonstrations.read(game.index, first, length).observations)

    def _returns(self, index: int) -> Array:
        steps = self._demonstrations.read(index)
        gammas = self._discounts ** steps.elapsed_steps[:, None]
        return returns_to_go(steps.rewards * self._reward_weights, gammas)


class _Block:
    """Consecutive steps of one game, up to `end`, of which a few are taken at a time."""

    def __init__(self, first: int, observations: PackedObservation) -> None:
        self.first, self.end = first, first + len(observations)
        self._observations = observations
        self._entities = np.cumsum([0, *observations.entity_counts])
        self._decisions = np.cumsum([0, *observations.decision_counts])

    def steps(self, first: int, length: int) -> PackedObservation:
        """Return steps [first, first + length) of the game."""
        packed, rows = self._observations, slice(first - self.first, first - self.first + length)
        entities = slice(self._entities[rows.start], self._entities[rows.stop])
        decisions = slice(self._decisions[rows.start], self._decisions[rows.stop])
        return PackedObservation(
            sample={key: value[rows] for key, value in packed.sample.items()},
            entity_counts=packed.entity_counts[rows],
            entity={key: value[entities] for key, value in packed.entity.items()},
            decision_counts=packed.decision_counts[rows],
            decision={key: value[decisions] for key, value in packed.decision.items()},
        )


@dataclass(frozen=True)
class _Piece:
    """Consecutive steps of one game."""

    observations: PackedObservation
    returns: Array
    weight: float
    is_first: bool


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
            loss_mask[row, part], weights[row, part], returns[row, part] = True, piece.weight, piece.returns
            observations.append(piece.observations)
            first = part.stop
        if first < unroll_length:
            observations.append(_nothing(observations[-1], unroll_length - first))
    streams = np.array(list(pieces))
    return DemonstrationBatch(join_observations(observations), streams, is_first, returns, weights, loss_mask)


def _nothing(like: PackedObservation, number: int) -> PackedObservation:
    """Return observations of nothing."""
    return PackedObservation(
        sample={key: np.zeros((number, *value.shape[1:]), value.dtype) for key, value in like.sample.items()},
        entity_counts=np.zeros(number, np.int64),
        entity={key: value[:0] for key, value in like.entity.items()},
        decision_counts=np.zeros(number, np.int64),
        decision={key: value[:0] for key, value in like.decision.items()},
    )
