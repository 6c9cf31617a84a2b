"""Games of AIs that make one shard of a recording; imports no torch, as the processes that play them need none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from envs.errors import GameCrashedError, GameStartError
from envs.microrts.recorder import AiGameRecorder
from envs.recording_writer import write_shard
from envs.recordings import PlayerGameRows, Shard


@dataclass(frozen=True, kw_only=True)
class RecordingJob:
    """Games that make a shard; `games` holds the number, the players and the seed of each."""

    directory: Path
    shard: str
    map_path: str
    max_steps: int
    random_orders: float
    games: tuple[tuple[int, tuple[str, str], int], ...]

    def run(self, context: None) -> Shard:
        """Play the games, write the shard and return it."""
        del context
        views: list[PlayerGameRows] = []
        left_out: Counter[str] = Counter()
        recorders: dict[tuple[str, str], AiGameRecorder] = {}
        for number, players, seed in self.games:
            if players not in recorders:
                recorders[players] = AiGameRecorder(
                    map_path=self.map_path,
                    players=players,
                    max_steps=self.max_steps,
                    random_orders=self.random_orders,
                )
            try:
                game = recorders[players].record(seed)
            except GameStartError:
                raise
            except GameCrashedError:
                left_out[f"game failed: {players[0]} against {players[1]}"] += 1
                del recorders[players]
                continue
            left_out += game.left_out
            views += [replace(view, info={"game": number, **view.info}) for view in game.views if len(view)]
        return write_shard(self.directory, self.shard, views, left_out)
