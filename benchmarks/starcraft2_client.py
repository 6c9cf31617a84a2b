"""Measures what a step of StarCraft II costs the client: processor time of this process, the game excluded.

python benchmarks/starcraft2_client.py --output client.json

The game is a process that answers with a made-up observation (`starcraft2_canned_game.py`), over a local websocket as
the real one does. Nothing here is a result of StarCraft II.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import starcraft2_frames as frames
from common import machine_info, versions, write_json
from starcraft2_canned_game import MAP, write_installation
from starcraft2_recorded_game import read_game

from envs.starcraft2 import native_library
from envs.starcraft2.compatibility import PYSC2_NAME, sc_pb
from envs.starcraft2.observation import ObservationEncoder
from envs.starcraft2.settings import StarCraft2Settings
from envs.starcraft2.vector_env import StarCraft2VectorEnv

NUM_UNITS = 300
STEP_MUL = 8
# About as much as in the recorded late game: 90 bytes a unit, half an order.
_BUSY, _CARRIERS = 0.25, 0.01
_PACKAGES = ("perceiver-star", "numpy", "gymnasium", "protobuf", "pysc2-evolved", "pysc2", "websocket-client")
Step = Callable[[], None]


def pysc2_step(*, passthrough: bool, stack: ExitStack) -> Step:
    """Return a step of pysc2's own environment, in its normal mode or handing the protobufs through."""
    sc2_env = importlib.import_module(f"{PYSC2_NAME}.env.sc2_env")
    actions = importlib.import_module(f"{PYSC2_NAME}.lib.actions")
    interface: Any
    if passthrough:
        interface = sc_pb.InterfaceOptions(raw=True, score=True)
        interface.feature_layer.width = 24
        for resolution in (interface.feature_layer.resolution, interface.feature_layer.minimap_resolution):
            resolution.x = resolution.y = 128
        order: Any = sc_pb.Action()
        order.action_raw.unit_command.ability_id = 16
        order.action_raw.unit_command.unit_tags.append(1)
        order.action_raw.unit_command.target_world_space_pos.x = 10
    else:
        interface = sc2_env.AgentInterfaceFormat(
            feature_dimensions=sc2_env.Dimensions(screen=128, minimap=128),
            use_raw_units=True,
            use_raw_actions=True,
            raw_resolution=256,
            max_selected_units=64,
            camera_width_world_units=24,
            show_cloaked=True,
            add_cargo_to_units=True,
        )
        order = actions.FunctionCall(actions.RAW_FUNCTIONS.Move_pt.id, [[0], [0], [100, 100]])
    players = [sc2_env.Agent(sc2_env.Race.terran), sc2_env.Bot(sc2_env.Race.random, sc2_env.Difficulty.very_easy)]
    env = sc2_env.SC2Env(
        map_name=MAP, players=players, agent_interface_format=interface, step_mul=STEP_MUL, game_steps_per_episode=0
    )
    stack.enter_context(closing(env))
    env.reset()

    def step() -> None:
        env.step([order])

    return step


def our_step(stack: ExitStack) -> Step:
    """Return a step of our batched environment with one game: the whole observation, masks, rewards."""
    settings = StarCraft2Settings(map_name=MAP, race="terran", max_game_loops=2**31 - 1)
    env = StarCraft2VectorEnv(settings, ["very_easy"])
    stack.enter_context(closing(env))
    observation, _ = env.reset(seed=0)
    space = env.single_action_space
    row = {key: array[0] for key, array in observation.items()}
    space.seed(0)
    action = space.sample(row)
    while action[0] == 0:
        action = space.sample(row)
    action[1] = STEP_MUL - 1

    def step() -> None:
        env.step(action[None])

    return step


def made_up_answers(num_units: int) -> tuple[bytes, bytes]:
    """Return a ResponseGameInfo and a ResponseObservation of a made-up game."""
    generator = np.random.default_rng(0)
    info = frames.game_info(generator)
    message = frames.observation(generator, num_units=num_units, busy=_BUSY, carriers=_CARRIERS)
    return info.SerializeToString(), message.SerializeToString()


def recorded_answers(archive: Path, num_units: int) -> tuple[bytes, bytes]:
    """Return those of the last moment of the recorded game, cut to the first units; screens are left out."""
    game = read_game(archive)
    message = game.observations[-1]
    del message.observation.raw_data.units[num_units:]
    message.observation.feature_layer_data.ClearField("renders")
    return game.game_info.SerializeToString(), message.SerializeToString()


@contextmanager
def canned_installation(answers: tuple[bytes, bytes]) -> Iterator[None]:
    """Make SC2PATH an installation of the canned game that gives these answers."""
    with tempfile.TemporaryDirectory(prefix="canned-starcraft2-") as folder:
        write_installation(Path(folder), *answers)
        before = os.environ.get("SC2PATH")
        os.environ["SC2PATH"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["SC2PATH"]
            else:
                os.environ["SC2PATH"] = before


def measure(steps: dict[str, Step], *, rounds: int, steps_per_round: int) -> dict[str, list[float]]:
    """Return the milliseconds of processor time of a step in each round; a round runs all, one after another."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(10):
            step()
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.process_time()
            for _ in range(steps_per_round):
                step()
            times[name].append((time.process_time() - start) / steps_per_round * 1e3)
    return times


def encoding_steps(info: bytes, observation: bytes) -> dict[str, Step]:
    """Return our encoder alone, in C where that can be had and in Python."""
    message = sc_pb.ResponseObservation.FromString(observation)
    game_info = sc_pb.ResponseGameInfo.FromString(info)
    native = ObservationEncoder(game_info)
    before = os.environ.get(native_library.NATIVE_VARIABLE)
    os.environ[native_library.NATIVE_VARIABLE] = "0"
    in_python = ObservationEncoder(game_info)
    if before is None:
        del os.environ[native_library.NATIVE_VARIABLE]
    else:
        os.environ[native_library.NATIVE_VARIABLE] = before
    arrays = native.empty_arrays()
    return {
        "encode": lambda: native.encode(message, arrays=arrays) and None,
        "encode_in_python": lambda: in_python.encode(message, arrays=arrays) and None,
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--units", type=int, default=NUM_UNITS)
    parser.add_argument("--archive", type=Path, help="take the units from the game recorded in this source package")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps-per-round", type=int, default=100)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine_info(), "versions": versions(_PACKAGES)}
    recorded: Path | None = arguments.archive
    answers = recorded_answers(recorded, arguments.units) if recorded else made_up_answers(arguments.units)
    with canned_installation(answers), ExitStack() as stack:
        steps = {
            "env_step": our_step(stack),
            "pysc2_normal_step": pysc2_step(passthrough=False, stack=stack),
            "pysc2_passthrough_step": pysc2_step(passthrough=True, stack=stack),
            **encoding_steps(*answers),
        }
        times = measure(steps, rounds=arguments.rounds, steps_per_round=arguments.steps_per_round)
    medians = {name: statistics.median(values) for name, values in times.items()}
    results |= {f"{name}_cpu_ms": value for name, value in medians.items()}
    # The requests of a step and the whole observation; the environment adds masks of functions, rewards and its rules.
    observed = [a + b for a, b in zip(times["pysc2_passthrough_step"], times["encode"], strict=True)]
    results["observed_step_cpu_ms"] = statistics.median(observed)
    results["ratio_of_normal_to_env_step"] = statistics.median(
        a / b for a, b in zip(times["pysc2_normal_step"], times["env_step"], strict=True)
    )
    results |= {
        "units": arguments.units,
        "recorded": recorded is not None,
        "encodes_in_c": native_library.native_library() is not None,
        "raw": times,
    }
    write_json(arguments.output, results)
    for name, value in results.items():
        if name.endswith("_ms") or name.startswith("ratio"):
            print(f"{name}: {value:.3f}")


if __name__ == "__main__":
    main()
