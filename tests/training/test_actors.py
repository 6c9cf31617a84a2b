"""Actors play with the weights they are given, are replaced when they die, and leave nothing behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch

from agent import Agent, AgentConfig
from envs.errors import GameCrashedError
from training.config import TrainConfig
from training.environment_config import MicroRTSConfig
from training.environments import league_of, make_environment, opponents_of, spec_of
from training.league import League
from training.recipes import get_recipe
from training.signal_handlers import FAULT_SIGNALS, fault_action

# Ray's own use of sockets, files and event loops is not ours to mend.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(240),
]
actors = pytest.importorskip("training.actors")
ray_cluster = pytest.importorskip("training.ray_cluster")


def make_config(**changes: object) -> TrainConfig:
    config = get_recipe("gymnasium")
    sizes = dataclasses.replace(config.actors, num_actors=2, games_per_actor=2, unroll_length=4, queue_size=1)
    return dataclasses.replace(config, actors=sizes, agent=AgentConfig.of_size("dummy"), **changes)  # type: ignore[arg-type]


def make_agent(config: TrainConfig) -> Agent:
    torch.manual_seed(0)
    environment = make_environment(config.environment, 1, seed=0)
    agent = Agent(spec_of(environment), config.agent)
    environment.close()
    return agent


def make_league(config: TrainConfig) -> League:
    return league_of(config.environment, config.league)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def test_java_in_this_process_outlives_ray() -> None:
    config = make_config(environment=MicroRTSConfig())
    environment = make_environment(config.environment, 1, seed=0)
    before = [fault_action(number)[:8] for number in FAULT_SIGNALS]
    ray_cluster.start_ray(1)
    while_running = [fault_action(number)[:8] for number in FAULT_SIGNALS]
    ray_cluster.stop_ray()
    after = [fault_action(number)[:8] for number in FAULT_SIGNALS]
    environment.close()
    assert before == while_running == after


def test_the_reason_why_actors_cannot_start_is_told_at_once() -> None:
    wrong = make_config(environment=MicroRTSConfig(opponents=("NoSuchAI",)))
    with pytest.raises(actors.ActorError, match=r"the actors did not start: .*unknown AI 'NoSuchAI'"):
        actors.RaySource(wrong, make_league(wrong), seed=1)
    assert not ray_cluster.ray.is_initialized()


@pytest.fixture(scope="module")
def source() -> Iterator[actors.RaySource]:
    config = make_config()
    before = psutil.Process().children(recursive=True)
    source = actors.RaySource(config, make_league(config), seed=1)
    children = [child for child in psutil.Process().children(recursive=True) if child not in before]
    folder = Path(ray_cluster.ray._private.worker._global_node.get_temp_dir_path())
    assert folder.is_dir()
    try:
        source.publish(make_agent(config), 5)
        yield source
    finally:
        source.close()
    assert not folder.exists()
    _, left = psutil.wait_procs(children, timeout=30)
    assert left == []


def test_actors_play_with_the_published_weights(source: actors.RaySource) -> None:
    config = make_config()
    first = source.next()
    assert [trajectory.policy_version.tolist() for trajectory in first.trajectories] == [[5, 5]]
    assert first.metrics["env/restarts"] == 0.0
    assert 0.0 <= first.metrics["rollout/actor_waiting_share"] <= 1.0
    assert 50 < first.metrics["rollout/actor_rss_mib"] < 2000
    always_right = make_agent(config)
    with torch.no_grad():
        always_right.action_head.output.bias[:] = torch.tensor([-50.0, 50.0])
    source.publish(always_right, 6)
    # Unrolls that were under way or waiting were played with the weights before.
    for _ in range(10):
        trajectory = source.next().trajectories[0]
        if trajectory.policy_version[0] == 6:
            break
    assert trajectory.policy_version.tolist() == [6, 6]
    assert (trajectory.observations.decision["action"] == 1).all()


def test_ray_listens_on_the_loopback_address_only(source: actors.RaySource) -> None:
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    ports = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            connections = process.net_connections("inet")
            ports += [connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN]
    assert len(ports) >= 4  # Ray's services and its processes
    assert {ip.removeprefix("::ffff:") for ip in ports} <= {"127.0.0.1", "::1"}


def test_play_goes_on_when_an_actor_is_killed(source: actors.RaySource) -> None:
    before = source.process_ids()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    # The other one keeps the queue filled, so the loss is seen only after a while.
    wait_until(lambda: source.next().metrics["env/restarts"] == 1.0)
    wait_until(lambda: bool(source.next()) and len(source.process_ids()) == 2)
    after = source.process_ids()
    assert after[1] == before[1]
    assert after[0] not in before
    os.kill(after[1], signal.SIGKILL)
    wait_until(lambda: source.next().metrics["env/restarts"] == 2.0)
    assert source.next().trajectories


def test_actors_share_the_opponents() -> None:
    config = MicroRTSConfig(opponents=("WorkerRush", "LightRush", "CoacAI"))
    dealt = [opponents_of(config, 2, first_game=2 * seat) for seat in range(4)]
    assert dealt == [["WorkerRush"] * 2, ["LightRush"] * 2, ["CoacAI"] * 2, ["WorkerRush"] * 2]


def test_only_what_the_next_actor_may_do_better_is_replaced() -> None:
    exceptions = ray_cluster.ray.exceptions
    crashed = exceptions.RayTaskError("unroll", "traceback", GameCrashedError("the JVM ran out of memory"))
    wrong = exceptions.RayTaskError("unroll", "traceback", KeyError("scalars"))
    assert actors._may_be_replaced(crashed)
    assert actors._may_be_replaced(exceptions.ActorDiedError())
    assert actors._may_be_replaced(exceptions.GetTimeoutError())
    assert not actors._may_be_replaced(wrong)
    assert actors._summary(crashed) == "GameCrashedError: the JVM ran out of memory"
