"""Ray actors around the rollout loop: numbered weights go out, unrolls come back."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.agent import Agent
from envs.errors import GameError, UnknownNameError
from training.config import TrainConfig, to_dict
from training.environments import game_build
from training.league import League
from training.ray_cluster import kill_actors, ray, start_ray, stop_ray
from training.rollout_actor import RolloutActor, Unroll, arrays_of
from training.sources import ActorError, Experience

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_MOST_FAILURES_IN_A_ROW = 5


@dataclass
class _Seat:
    """One of the actors that play: its handle, its process (None until it has started), what it was asked for last."""

    index: int
    actor: Any
    started: Any
    process_id: int | None = None
    request: Any = None
    since: float = 0.0
    failures: int = 0


class RaySource:
    """Keeps Ray actors playing; a thread of its own hands them weights and queues their unrolls.

    An actor that dies, hangs, grows too large or whose game crashes is replaced and counted. The queue is bounded:
    while it is full, actors wait.

    Args:
        config: the run.
        league: says with every new weights whom to meet.
        seed: of games and action noise.
        stop: once set, nobody is kept waiting for unrolls.

    Raises:
        ActorError: if the actors cannot start, with the reason the first of them gave, or cannot be kept running.
    """

    def __init__(self, config: TrainConfig, league: League, *, seed: int, stop: threading.Event | None = None) -> None:
        self._config, self._plain_config, self._league, self._seed = config, to_dict(config), league, seed
        self._game = game_build(config.environment)
        self._run_stopped = stop or threading.Event()
        self._unrolls: queue.Queue[Unroll] = queue.Queue(maxsize=max(1, config.actors.queue_size))
        self._taken = threading.Event()
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._restarts = 0
        self._snapshots: dict[int, Any] = {}
        self._num_started = 0
        self._feeder = threading.Thread(target=self._feed, name="actor-feeder", daemon=True)
        start_ray(config.actors.num_actors)
        # One CPU each, so that Ray spreads them over the machines of a cluster.
        self._actor_class = ray.remote(num_cpus=1, max_restarts=0)(RolloutActor)
        self._seats = [self._new_seat(index) for index in range(config.actors.num_actors)]
        try:
            self._wait_for_start()
        except BaseException:
            self.close()
            raise

    def process_ids(self) -> list[int]:
        """Return the process id of each actor that has started."""
        return [seat.process_id for seat in self._seats if seat.process_id is not None]

    def next(self) -> Experience:
        """Return the next unrolls, in the order in which they were finished."""
        start = time.perf_counter()
        unrolls = [self._next_unroll() for _ in range(self._config.unrolls_per_update)]
        waited = time.perf_counter() - start
        playing = sum(unroll.playing_seconds for unroll in unrolls)
        waiting = sum(unroll.waiting_seconds for unroll in unrolls)
        metrics = {
            "rollout/learner_waiting_seconds": waited,
            "rollout/actor_waiting_share": waiting / max(playing + waiting, 1e-9),
            "rollout/actor_rss_mib": max(unroll.rss_mib for unroll in unrolls),
            "rollout/queue_depth": float(self._unrolls.qsize()),
            "env/step_ms": float(np.mean([unroll.environment_step_ms for unroll in unrolls])),
            "env/restarts": float(self._restarts),
        }
        episodes = [episode for unroll in unrolls for episode in unroll.episodes]
        return Experience([unroll.trajectory for unroll in unrolls], episodes, metrics)

    def publish(self, agent: Agent, version: int) -> None:
        """Put numbered weights into the object store: actors begin with the first and get newer ones at each unroll.

        Raises:
            ActorError: if Ray has ended.
        """
        try:
            reference = ray.put(arrays_of(agent.state_dict()))
            self._snapshots = {
                past: reference if past == version else self._snapshots.get(past) or ray.put(arrays_of(weights))
                for past, weights in self._league.snapshots.items()
            }
        except (ray.exceptions.RayError, RuntimeError, OSError) as error:
            raise ActorError(f"Ray does not take new weights: {_summary(error)}") from error
        # One assignment: the feeder must not see new weights with an old number.
        self._newest = (reference, version, self._league.deal(), self._snapshots)
        if self._feeder.ident is None:
            self._feeder.start()

    def restart(self, seed: int) -> None:
        """Do nothing: actors play on."""

    def close(self) -> None:
        """Stop the thread, end the actors' processes and Ray."""
        self._stop.set()
        self._taken.set()
        if self._feeder.is_alive():
            self._feeder.join(timeout=30)
        try:
            kill_actors([(seat.actor, seat.process_id) for seat in self._seats])
        finally:
            stop_ray()

    def _new_seat(self, index: int) -> _Seat:
        # A replaced actor must not replay the games of the one before it.
        seed = int(np.random.SeedSequence([self._seed, self._num_started]).generate_state(1)[0])
        self._num_started += 1
        actor: Any = self._actor_class.remote(self._plain_config, seed, index, self._game)
        return _Seat(index=index, actor=actor, started=actor.start.remote())

    def _wait_for_start(self) -> None:
        """Wait for the first actors: what is wrong with them would be wrong with any that replaced them."""
        try:
            timeout = self._config.actors.unroll_timeout_seconds
            for seat in self._seats:
                seat.process_id = ray.get(seat.started, timeout=timeout)
        except ray.exceptions.RayError as error:
            reason = getattr(error, "cause", None)
            if isinstance(reason, GameError):
                raise reason from None
            raise ActorError(
                f"the actors did not start: {_summary(error)}{_lack_of_cpus(error, len(self._seats))}"
            ) from error

    def _next_unroll(self) -> Unroll:
        while True:
            if self._failure is not None:
                raise ActorError(f"the actors could not be kept running: {self._failure}") from self._failure
            if self._run_stopped.is_set() and self._unrolls.empty():
                raise ActorError("the run was stopped while it waited for the actors")
            with contextlib.suppress(queue.Empty):
                unroll = self._unrolls.get(timeout=_POLL_SECONDS)
                self._taken.set()
                return unroll

    def _feed(self) -> None:
        """Keep every actor busy until told to stop."""
        try:
            for seat in self._seats:
                self._ask(seat)
            while not self._stop.is_set():
                # Ray answers with the first that is ready: the longest asked comes first, so that all have their turn.
                requests = {seat.request: seat for seat in sorted(self._seats, key=lambda seat: seat.since)}
                ready, _ = ray.wait(list(requests), num_returns=1, timeout=_POLL_SECONDS)
                for request in dict.fromkeys([*ready, *self._overdue()]):
                    self._receive(requests[request])
                    self._ask(requests[request])
        except Exception as error:  # noqa: BLE001  # handed to the thread that waits for unrolls
            if not self._stop.is_set():
                self._failure = error

    def _ask(self, seat: _Seat) -> None:
        seat.request, seat.since = seat.actor.unroll.remote(*self._newest), time.monotonic()

    def _overdue(self) -> list[Any]:
        limit = time.monotonic() - self._config.actors.unroll_timeout_seconds
        return [seat.request for seat in self._seats if seat.since < limit]

    def _receive(self, seat: _Seat) -> None:
        """Queue a finished unroll; replace the actor if it failed, hangs or has grown too large."""
        try:
            if seat.process_id is None:
                seat.process_id = ray.get(seat.started, timeout=0)
            unroll = ray.get(seat.request, timeout=0)
        except ray.exceptions.RayError as error:
            if not _may_be_replaced(error):
                raise
            self._replace(seat, _summary(error))
            seat.failures += 1
            if seat.failures > _MOST_FAILURES_IN_A_ROW:
                raise ActorError(f"an actor failed {seat.failures} times in a row: {_summary(error)}") from error
            return
        seat.failures = 0
        self._restarts += unroll.game_restarts
        self._enqueue(unroll)
        if unroll.rss_mib > self._config.actors.max_rss_mib:
            self._replace(seat, f"it holds {unroll.rss_mib:.0f} MiB")

    def _enqueue(self, unroll: Unroll) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._unrolls.put(unroll, timeout=_POLL_SECONDS)
                break
        # Without room to wait in, the next unroll begins when this one is taken, with the weights of that moment.
        while self._config.actors.queue_size == 0 and not self._unrolls.empty() and not self._stop.is_set():
            self._taken.clear()
            if not self._unrolls.empty():
                self._taken.wait(_POLL_SECONDS)

    def _replace(self, seat: _Seat, reason: str) -> None:
        logger.warning("the actor with process %s is replaced: %s", seat.process_id, reason)
        kill_actors([(seat.actor, seat.process_id)])
        self._restarts += 1
        new = self._new_seat(seat.index)
        seat.actor, seat.started, seat.process_id = new.actor, new.started, None


def _may_be_replaced(error: Exception) -> bool:
    """Return whether an actor failed in a way that the next one need not: it died, hangs, or its game crashed."""
    lost = (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError, ray.exceptions.OutOfMemoryError)
    return isinstance(error, lost) or isinstance(getattr(error, "cause", None), GameError)


def _lack_of_cpus(error: Exception, num_actors: int) -> str:
    if not isinstance(error, ray.exceptions.GetTimeoutError):
        return ""
    cpus = ray.cluster_resources().get("CPU", 0)  # type: ignore[no-untyped-call]
    return f"; Ray has {cpus:.0f} CPUs, and each of {num_actors} actors takes one" if cpus < num_actors else ""


def _summary(error: Exception) -> str:
    """Return one line: the error inside the actor, or the kind of its death."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return str(cause) if isinstance(cause, UnknownNameError) else f"{type(cause).__name__}: {cause}"
    if isinstance(error, ray.exceptions.GetTimeoutError):
        return "it took too long"
    return " ".join(str(error).split())[:300]
