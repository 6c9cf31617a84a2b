"""Made-up StarCraft II experience of the real shapes: what an agent costs does not depend on what it sees.

Lists hold 80 to 400 entities, 240 in the mean; 3 in 8 are one's own, of 8 unit types. A twentieth of the functions that
could be given are allowed. Calls are drawn from the action space, selections of any size up to 64 units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.interface import AgentSpec, pack_observation
from envs.function_calls import FunctionCallSpace, sample_function_call
from envs.spaces import ACTION_MASK, ENTITY_CLASSES, ENTITY_MASK
from envs.starcraft2.functions import function_calls_space
from envs.starcraft2.observation import observation_space
from training.trajectory import Trajectory

REWARD_TERMS = ("win_loss", "build_order", "built_units", "upgrades", "effects")
SHORTEST, LONGEST = 80, 400
NUM_OWN_TYPES = 8
_BEHAVIOUR_LOG_PROB = -20.0

Observation = dict[str, NDArray[Any]]


def game_spec() -> AgentSpec:
    """Return the agent's view of StarCraft II."""
    return AgentSpec.from_spaces(observation_space(with_value_scalars=True), function_calls_space(), REWARD_TERMS)


def observations(number: int, generator: np.random.Generator) -> Observation:
    """Return observations [number, ...] that each ask for a call."""
    space = function_calls_space()
    made: Observation = {}
    for key, box in observation_space(with_value_scalars=True).spaces.items():
        shape = (number, *(box.shape or ()))
        if box.dtype == np.float32:
            made[key] = generator.normal(size=shape).astype(np.float32)
        else:
            made[key] = generator.integers(box.low, box.high.astype(np.int64) + 1, shape).astype(box.dtype)  # type: ignore[attr-defined]
    counts = generator.integers(SHORTEST, LONGEST + 1, number)
    slots = np.arange(space.max_entities)
    made[ENTITY_MASK][:] = slots < counts[:, None]
    made[ENTITY_CLASSES] *= made[ENTITY_MASK][..., None]
    own = slots < 3 * counts[:, None] // 8
    for n in range(number):
        kinds = generator.integers(1, space.selection_table.shape[1], NUM_OWN_TYPES)
        made[ENTITY_CLASSES][n, :, 0] = own[n] * generator.choice(kinds, space.max_entities)
        made[ACTION_MASK][n] = _possible(made[ENTITY_CLASSES][n], space) & (generator.random(space.nvec[0]) < 0.05)
    made[ACTION_MASK][:, 0] = 1
    return made


def _possible(classes: NDArray[Any], space: FunctionCallSpace) -> NDArray[np.bool_]:
    """Return which functions find all that they must choose, [F] for entity classes [E, 2]."""
    needs = [np.array([name in read for read in space.arguments]) for name in ("selected", "target_entity")]
    found = [space.selection_table[:, classes[:, 0]].any(1), space.target_table[:, classes[:, 1]].any(1)]
    return np.logical_and(*(there | ~needed for there, needed in zip(found, needs, strict=True)))


def trajectory(spec: AgentSpec, batch: int, length: int, state_shape: tuple[int, ...], seed: int = 0) -> Trajectory:
    """Return `batch` unrolls of `length` steps in the middle of an episode, with rewards of noise."""
    generator = np.random.default_rng(seed)
    rows = batch * (length + 1)
    seen, space = observations(rows, generator), function_calls_space()
    decides = np.tile(np.arange(length + 1) < length, batch)
    calls = [
        sample_function_call(mask, classes, space, generator)
        for mask, classes, asked in zip(seen[ACTION_MASK], seen[ENTITY_CLASSES], decides, strict=True)
        if asked
    ]
    behaviour = np.full(len(calls), _BEHAVIOUR_LOG_PROB, np.float32)
    packed = pack_observation(seen, spec, decides).with_decision(action=np.stack(calls), behaviour_log_prob=behaviour)
    return Trajectory(
        observations=packed,
        initial_state=np.zeros((batch, *state_shape), np.float32),
        is_first=np.zeros((batch, length + 1), bool),
        rewards=generator.normal(size=(batch, length, len(spec.reward_terms))).astype(np.float32),
        elapsed_steps=np.ones((batch, length), np.int64),
        terminated=np.zeros((batch, length), bool),
        truncated=np.zeros((batch, length), bool),
        loss_mask=np.ones((batch, length), bool),
        policy_version=np.zeros(batch, np.int64),
        stream=np.arange(batch),
        teacher_state=np.zeros((batch, 0), np.float32),
    )
