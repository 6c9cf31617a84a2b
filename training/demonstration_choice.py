"""Which recorded games are learnt from, and which are kept to measure on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from envs.errors import UnknownNameError
from training.demonstrations import Demonstrations, PlayerGame
from training.imitation_config import ImitationConfig


@dataclass(frozen=True)
class ChosenGame:
    """A player game to read, by its index, and what its decisions count."""

    index: int
    weight: float
    num_steps: int


@dataclass(frozen=True)
class Choice:
    """The player games that are learnt from, and those that are kept to measure on; no game is in both.

    `num_repeats` are left out of both.
    """

    train: tuple[ChosenGame, ...]
    held_out: tuple[ChosenGame, ...]
    num_repeats: int = 0

    @property
    def num_train_steps(self) -> int:
        """Steps of one pass."""
        return sum(game.num_steps for game in self.train)

    def summary(self) -> str:
        """Return one line about how much there is."""
        held_out = sum(game.num_steps for game in self.held_out)
        return (
            f"learning from {self.num_train_steps:,} steps of {len(self.train):,} player games, measured on "
            f"{held_out:,} steps of {len(self.held_out):,} others; {self.num_repeats:,} repeats left out"
        )


def choose_games(
    player_games: Sequence[PlayerGame],
    config: ImitationConfig,
    *,
    values: bool = True,
    repeats: Collection[int] = (),
) -> Choice:
    """Return what is learnt from and what is kept.

    Args:
        player_games: those of the recording.
        config: players, weights and shares.
        values: whether games whose decisions count nothing are read for the value functions.
        repeats: indices of player games that are left out.

    Raises:
        UnknownNameError: if a player is in no game.
        ValueError: if nothing is left to learn from or to measure on.
    """
    names = sorted({game.player for game in player_games})
    for player in config.players:
        if player not in names:
            raise UnknownNameError("player", player, names, hint=f"(recorded are {', '.join(names)})")
    chosen = [
        (game.game, ChosenGame(index, config.weight_of(game.outcome), game.num_steps))
        for index, game in enumerate(player_games)
        if game.num_steps and game.player in (config.players or names)
    ]
    num_repeats = sum(game.index in repeats for _, game in chosen)
    chosen = [(number, game) for number, game in chosen if game.index not in repeats]
    chosen = [(number, game) for number, game in chosen if game.weight or values]
    kept = held_out_numbers([number for number, game in chosen if game.weight], config.held_out_share)
    train = [game for number, game in chosen if number not in kept]
    if not any(game.weight for game in train):
        raise ValueError(
            f"expected games to learn from and others to measure on, got {len(kept)} with decisions that count: record "
            "more games, or choose more players and outcomes"
        )
    held_out = sorted(((_hash(number), game) for number, game in chosen if number in kept), key=lambda entry: entry[0])
    measured = _first_steps([game for _, game in held_out if game.weight], config.held_out_steps)
    return Choice(tuple(train), measured, num_repeats)


def repeated_games(demonstrations: Demonstrations) -> frozenset[int]:
    """Return the indices of player games whose player decides as in an earlier one, step for step.

    Players that draw nothing at random play the same game again and again. A repeat teaches nothing new, and measured
    on, it would be one that was learnt from.
    """
    found: set[tuple[Any, ...]] = set()
    repeats: list[int] = []
    alike = Counter(_outline(game) for game in demonstrations.player_games)
    for index, game in enumerate(demonstrations.player_games):
        if alike[_outline(game)] == 1:
            continue
        steps = demonstrations.read(index, only_decided=True).observations
        digest = hashlib.blake2b(steps.decision_counts.tobytes() + steps.decision["action"].tobytes()).digest()
        if (game.player, game.side, digest) in found:
            repeats.append(index)
        found.add((game.player, game.side, digest))
    return frozenset(repeats)


def _outline(game: PlayerGame) -> tuple[Any, ...]:
    return game.player, game.side, game.num_steps


def held_out_numbers(numbers: Sequence[int], share: float) -> frozenset[int]:
    """Return about a share of game numbers, at least one: the same whatever other games there are."""
    if not numbers:
        return frozenset()
    return frozenset(number for number in numbers if _hash(number) < share) or frozenset([min(numbers, key=_hash)])


def _hash(number: int) -> float:
    """Return a number from 0 to 1 that depends on the game's number only, and on nothing else of it."""
    digest = hashlib.blake2b(str(number).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _first_steps(games: Sequence[ChosenGame], num_steps: int) -> tuple[ChosenGame, ...]:
    """Return the first games that have so many steps together, or all."""
    taken: list[ChosenGame] = []
    for game in games:
        if sum(other.num_steps for other in taken) >= num_steps:
            break
        taken.append(game)
    return tuple(taken)
