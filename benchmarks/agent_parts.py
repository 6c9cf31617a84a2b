"""What each part of an agent costs in one forward pass of the learner."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from agent import Agent

PARTS = ENTITIES, SPATIAL, CORE, HEADS, REST = "entity encoder and torso", "spatial", "core", "heads", "the rest"
ARGUMENTS, TORSO_ANSWERS, TORSO_ARGUMENTS = "other arguments", "torso: values, units, decision", "torso: arguments"
PART_OF = {
    "entity embeddings": ENTITIES,
    "torso: reading": ENTITIES,
    TORSO_ANSWERS: ENTITIES,
    TORSO_ARGUMENTS: HEADS,
    "map": SPATIAL,
    "scalars": REST,
    "LSTM": CORE,
    "function": HEADS,
    "selected units": HEADS,
    "target entity": HEADS,
    "target point": HEADS,
    ARGUMENTS: HEADS,
    REST: REST,
}
_METERED = {
    "entity_encoder.forward": "entity embeddings",
    "scalar_encoder.forward": "scalars",
    "map_encoder.forward": "map",
    "torso.encode": "torso: reading",
    "torso.decode": TORSO_ANSWERS,
    "core.unroll": "LSTM",
    "call_head.forward": ARGUMENTS,
    "call_head.function.forward": "function",
    "call_head.arguments.selected.taken": "selected units",
    "call_head.arguments.target_entity.taken": "target entity",
    "call_head.arguments.target_point.taken": "target point",
}


class Meter:
    """Adds up what metered calls cost by a clock, each without the metered calls inside it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.costs: dict[str, float] = {}
        self._clock, self._names, self._since = clock, [REST], clock()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside under a name; what the torso answers inside a head, under that of arguments."""
        if name == TORSO_ANSWERS and any(PART_OF[outer] == HEADS for outer in self._names):
            name = TORSO_ARGUMENTS
        self.settle()
        self._names.append(name)
        try:
            yield
        finally:
            self.settle()
            self._names.pop()

    def settle(self) -> None:
        """Count what happened up to now."""
        now = self._clock()
        self.costs[self._names[-1]] = self.costs.get(self._names[-1], 0.0) + now - self._since
        self._since = now


@contextmanager
def metered(agent: Agent, meter: Meter) -> Iterator[None]:
    """Meter the agent's calls while inside; parts that it does not have are left out."""
    wrapped = []
    for path, name in _METERED.items():
        parent, _, method = path.rpartition(".")
        try:
            owner = agent.get_submodule(parent)
        except AttributeError:
            continue
        setattr(owner, method, _metered_call(getattr(owner, method), meter, name))
        wrapped.append((owner, method))
    try:
        yield
    finally:
        for owner, method in wrapped:
            delattr(owner, method)
        meter.settle()


def _metered_call(function: Callable[..., Any], meter: Meter, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        with meter.part(name):
            result = function(*arguments, **keywords)
        if hasattr(result, "evaluate"):  # a policy, which works later than the head that made it
            result.evaluate = _metered_call(result.evaluate, meter, name)
        return result

    return call


def flops_by_part(agent: Agent, forward: Callable[[], object]) -> dict[str, float]:
    """Return the operations of a forward pass, multiplications and additions apart; lookups and softmax count none."""
    agent.requires_grad_(False)  # with parameters that learn, the counter wants to follow the backward pass
    try:
        # Fused kernels are taken apart, as the counter doesn't see into them.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            meter = Meter(lambda: float(counter.get_total_flops()))
            with metered(agent, meter):
                forward()
    finally:
        agent.requires_grad_(True)
    return meter.costs


def seconds_by_part(agent: Agent, forward: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of a forward pass."""
    meter = Meter(time.perf_counter)
    with torch.no_grad(), metered(agent, meter):
        forward()
    return meter.costs
