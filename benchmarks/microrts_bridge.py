"""Measures the bridge to the Java game against the game's own packaged client, and checks that both play alike.

python benchmarks/microrts_bridge.py --output bridge.json
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
from common import machine_info, versions, write_json
from numpy.typing import NDArray
from packaged_client import PackagedClient
from parity import compare

from envs.microrts import MicroRTSVectorEnv
from envs.microrts.layout import ACTION_COMPONENTS, AWAITS_ORDER

MAP = "maps/16x16/basesWorkers16x16A.xml"
OPPONENT = "CoacAI"
NUM_GAMES = 24
ROUNDS = 3
_ENDS = np.cumsum(list(ACTION_COMPONENTS.values()))
_STARTS = _ENDS - list(ACTION_COMPONENTS.values())


class RandomChoices:
    """Draws legal actions for units from their masks, with random numbers made beforehand, which cost little."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._bank = self._generator.random(1 << 22, dtype=np.float32)

    def draw(self, masks: NDArray[Any]) -> NDArray[np.int64]:
        """Return actions [units, 7] that are legal under `masks` [units, 78]."""
        start = int(self._generator.integers(len(self._bank) - masks.size))
        draws = self._bank[start : start + masks.size].reshape(masks.shape) * masks
        parts = zip(_STARTS, _ENDS, strict=True)
        return np.stack([draws[:, start:end].argmax(1) for start, end in parts], 1)


class Bridge:
    """Random legal play through our environment."""

    def __init__(self, seed: int) -> None:
        self.env = MicroRTSVectorEnv(map_path=MAP, opponents=[OPPONENT] * NUM_GAMES, seed=seed)
        self.choices = RandomChoices(seed)
        self.observation = self.env.reset()[0]
        self.actions = np.zeros((NUM_GAMES, self.env.max_entities, len(ACTION_COMPONENTS)), np.int64)

    def step(self) -> None:
        """Play one step of all games."""
        row, slot = np.nonzero(self.observation["entity_categories"][:, :, AWAITS_ORDER])
        self.actions[row, slot] = self.choices.draw(self.observation["action_mask"][row, slot])
        self.observation, _, terminated, truncated, _ = self.env.step(self.actions)
        ended = terminated | truncated
        if ended.any():
            self.env.reset(options={"reset_mask": ended})


class Packaged:
    """Random legal play through the packaged client."""

    def __init__(self, seed: int) -> None:
        self.client = PackagedClient(MAP, [OPPONENT] * NUM_GAMES)
        self.choices = RandomChoices(seed)
        self.client.reset()
        self.masks = self.client.masks()

    def step(self) -> None:
        """Play one step of all games."""
        masks = self.masks.reshape(NUM_GAMES, -1, self.masks.shape[-1])
        game, cell = np.nonzero(masks[..., 0])
        orders = np.empty((len(game), 8), np.int32)
        orders[:, 0] = cell
        orders[:, 1:] = self.choices.draw(masks[game, cell, 1:])
        self.client.step(np.split(orders, np.searchsorted(game, np.arange(1, NUM_GAMES))))
        self.masks = self.client.masks()


def steps_per_cpu_second(player: Bridge | Packaged, seconds: float) -> float:
    """Return game steps for each second of this process's processor time, Java's threads and collectors included."""
    start = time.process_time()
    steps = 0
    while time.process_time() - start < seconds:
        player.step()
        steps += NUM_GAMES
    return steps / (time.process_time() - start)


def measure_speed(seconds: float) -> dict[str, Any]:
    """Return both speeds, measured in turns in this one process after a warm-up."""
    players: dict[str, Bridge | Packaged] = {"bridge": Bridge(seed=0), "packaged_client": Packaged(seed=0)}
    for player in players.values():
        # A cold virtual machine is several times slower, and needs some seconds to compile what it runs.
        steps_per_cpu_second(player, max(2 * seconds, 2.0))
    raw: dict[str, list[float]] = {name: [] for name in players}
    for _ in range(ROUNDS):
        for name, player in players.items():
            raw[name].append(steps_per_cpu_second(player, seconds))
    bridge, packaged = (statistics.median(raw[name]) for name in players)
    return {
        "steps_per_cpu_second": bridge,
        "packaged_client_steps_per_cpu_second": packaged,
        "ratio_to_packaged_client": bridge / packaged,
        "raw": raw,
    }


def main() -> None:
    """Measure, compare and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--seconds", type=float, default=5.0, help="processor time of each measurement")
    parser.add_argument("--parity-steps", type=int, default=50_000, help="game steps played both ways and compared")
    options = parser.parse_args()
    results = measure_speed(options.seconds)
    parity = compare(game_steps=options.parity_steps)
    settings = {"map": MAP, "opponent": OPPONENT, "games": NUM_GAMES, "threads": 1, "seconds": options.seconds}
    write_json(
        options.output,
        {**results, **parity, "settings": settings, "machine": machine_info(), "versions": versions()},
    )
    print(
        f"bridge {results['steps_per_cpu_second']:,.0f} steps per CPU-second, "
        f"packaged client {results['packaged_client_steps_per_cpu_second']:,.0f}, "
        f"ratio {results['ratio_to_packaged_client']:.2f}; "
        f"{parity['parity_mismatches']} mismatches in {parity['parity_game_steps']:,} game steps"
    )


if __name__ == "__main__":
    main()
