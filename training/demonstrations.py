"""Recorded games as an agent sees them: what imitation learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.interface import AgentSpec, PackedObservation
from envs.recordings import GROUPS, PlayerGameRows, RecordingError, RecordingReader

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class PlayerGame:
    """One player's view of one game.

    Attributes:
        game: number of the game; both players' views share it.
        player: who played.
        opponent: against whom.
        side: which player of the game it was.
        outcome: +1 won, 0 drawn, -1 lost.
        seed: of the game.
        num_steps: steps of decision.
    """

    game: int
    player: str
    opponent: str
    side: int
    outcome: int
    seed: int
    num_steps: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a recording is of.

    Attributes:
        game: name, version and map, as `environments.game_build` tells them.
        spec: the game as an agent sees it.
        reward_term_names: columns of the rewards.
        max_steps: game steps after which a game was truncated; None for replays.
        counts: games, player_games, steps, entities, decisions and bytes.
        left_out: orders that are in no recorded action, by reason.
        header: everything that the recording was made with.
    """

    game: Mapping[str, Any]
    spec: AgentSpec
    reward_term_names: tuple[str, ...]
    max_steps: int | None
    counts: Mapping[str, int]
    left_out: Mapping[str, int]
    header: Mapping[str, Any]


@dataclass(frozen=True)
class RecordedSteps:
    """Consecutive steps of decision of one player.

    Attributes:
        observations: n rows; `decision` has "slot" (unit actions), "action_mask" and "action". Arrays are those of
            `pack_observation` in play, type for type.
        rewards: [n, K] unweighted reward terms of the action at each row, up to the player's next row.
        elapsed_steps: [n] game steps covered.
        terminated: [n] True at most in the last row of a game.
        truncated: [n] likewise.
    """

    observations: PackedObservation
    rewards: Array
    elapsed_steps: Array
    terminated: Array
    truncated: Array


class Demonstrations:
    """The player games of a recording, read by memory map.

    Args:
        directory: what `perceiver-star record` has written.

    Attributes:
        manifest: what the recording is of.
        player_games: what can be read.

    Raises:
        RecordingError: if there is no recording in the directory, or it is damaged.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self._reader = RecordingReader(self.directory)
        self.manifest = _manifest(self.directory, self._reader.manifest)
        names = PlayerGame.__dataclass_fields__
        try:
            self.player_games = tuple(
                PlayerGame(**{name: game[name] for name in names}) for game in self._reader.player_games
            )
        except KeyError as error:
            raise RecordingError(f"{directory} is damaged: a player game has no entry {error}") from error

    def __len__(self) -> int:
        """Return the number of player games."""
        return len(self.player_games)

    def read(
        self, index: int, first: int = 0, length: int | None = None, *, only_decided: bool = False
    ) -> RecordedSteps:
        """Return steps [first, first + length) of a player game, or all from `first` on.

        Args:
            index: of the player game.
            first: step to begin with.
            length: number of steps; None for all that are left.
            only_decided: leave out what was seen, most of what there is to decode: of the observations, `sample` and
                `entity` are empty.

        Raises:
            ValueError: if the game has no such steps.
            RecordingError: if the shard is damaged.
        """
        rows = self._reader.read(index, first, length, groups=("decision", "result") if only_decided else GROUPS)
        last = np.arange(first, first + len(rows)) == self.player_games[index].num_steps - 1
        return RecordedSteps(
            observations=_packed(rows),
            rewards=rows.result["rewards"],
            elapsed_steps=rows.result["elapsed_steps"],
            terminated=last & bool(rows.info["terminated"]),
            truncated=last & bool(rows.info["truncated"]),
        )

    def extra(self, index: int) -> Mapping[str, Any]:
        """Return what the recording holds beside a player game: of StarCraft II, z and the game's version.

        Raises:
            RecordingError: if the shard is damaged.
        """
        return self._reader.extra(index)

    def verify(self) -> None:
        """Compare every file with its hash.

        Raises:
            RecordingError: for the first that differs.
        """
        self._reader.verify()


def _packed(rows: PlayerGameRows) -> PackedObservation:
    return PackedObservation(
        sample=rows.sample,
        entity_counts=rows.entity_counts,
        entity=rows.entity,
        decision_counts=rows.decision_counts,
        decision=rows.decision,
    )


def _manifest(directory: Path, stored: Mapping[str, Any]) -> Manifest:
    header = stored["header"]
    try:
        return Manifest(
            game=header["game"],
            spec=AgentSpec.from_json(header["layout"]),
            reward_term_names=tuple(header["layout"]["reward_terms"]),
            max_steps=header["max_steps"],
            counts=stored["counts"],
            left_out=stored["left_out"],
            header=header,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"the manifest of {directory} is damaged: {type(error).__name__}: {error}") from error
