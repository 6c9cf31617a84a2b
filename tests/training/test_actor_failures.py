"""A source whose actors hang, or whose thread or run has ended: each test has a Ray of its own."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading

import psutil
import pytest

from tests.training.test_actors import make_agent, make_config, make_league, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(240),
]
actors = pytest.importorskip("training.actors")


def test_an_actor_that_hangs_is_replaced_although_the_other_plays_on(monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config()
    source = actors.RaySource(config, make_league(config), seed=1)
    impatient = dataclasses.replace(config.actors, unroll_timeout_seconds=4.0)
    monkeypatch.setattr(source, "_config", dataclasses.replace(config, actors=impatient))
    try:
        source.publish(make_agent(config), 0)
        hanging, playing = source.process_ids()
        os.kill(hanging, signal.SIGSTOP)
        wait_until(lambda: source.next().metrics["env/restarts"] >= 1.0)
        wait_until(lambda: bool(source.next()) and hanging not in source.process_ids())
        assert playing in source.process_ids()
        wait_until(lambda: not psutil.pid_exists(hanging))
    finally:
        source.close()


def test_a_run_that_is_stopped_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    config = make_config()
    source = actors.RaySource(config, make_league(config), seed=1, stop=stop)
    try:
        monkeypatch.setattr(source, "_receive", lambda seat: (_ for _ in ()).throw(OSError("Ray is gone")))
        source.publish(make_agent(config), 0)
        with pytest.raises(actors.ActorError, match="could not be kept running: Ray is gone"):
            source.next()
        source.publish(make_agent(config), 1)  # the thread that would hand it on has ended
        monkeypatch.setattr(source, "_failure", None)
        stop.set()
        with pytest.raises(actors.ActorError, match="was stopped while it waited"):
            source.next()
    finally:
        source.close()
