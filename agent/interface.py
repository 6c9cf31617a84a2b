"""What goes into and comes out of an agent: the spec of a game, packed observations, tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from agent.action_spec import ActionSpec, FunctionCallSpec
from agent.game_spec import AgentSpec, EntitySpec
from envs import spaces as layout

__all__ = [
    "ActionSpec",
    "AgentInput",
    "AgentOutput",
    "AgentSpec",
    "EntitySpec",
    "FunctionCallSpec",
    "PackedObservation",
    "Part",
    "UnrollOutput",
    "pack_observation",
]

Array = NDArray[Any]

_SAMPLE_KEYS = (layout.SCALARS, layout.PLANES, layout.VALUE_SCALARS)
_ENTITY_KEYS = (layout.ENTITY_CATEGORIES, layout.ENTITY_VALUES, layout.ENTITY_POSITIONS)


@dataclass(frozen=True)
class PackedObservation:
    """N observations that hold only real rows: no padding is stored, sent or embedded.

    Attributes:
        sample: arrays [N, ...], one row per observation (`scalars`, `planes`, `value_scalars`).
        entity_counts: [N] number of real entities of each observation.
        entity: arrays [R, ...] with R = sum of entity_counts, observation after observation.
        decision_counts: [N] number of decisions asked for in each observation.
        decision: arrays [X, ...] with X = sum of decision_counts: `slot` (index into the observation's own entities;
            unit actions only), `action_mask` [X, A] where the game gives one; a trajectory adds `action` and
            `behaviour_log_prob`.
    """

    sample: dict[str, Array]
    entity_counts: Array
    entity: dict[str, Array]
    decision_counts: Array
    decision: dict[str, Array]

    def __len__(self) -> int:
        """Return the number of observations."""
        return len(self.entity_counts)

    def with_decision(self, **arrays: Array) -> PackedObservation:
        """Return a copy with more arrays [X, ...] beside each decision."""
        return replace(self, decision={**self.decision, **arrays})


def pack_observation(
    observation: Mapping[str, Array], spec: AgentSpec, decides: NDArray[np.bool_] | None = None
) -> PackedObservation:
    """Return the real rows of a batch of padded observations, copied.

    Where functions are called, an observation whose mask allows none asks for no decision.

    Args:
        observation: arrays [N, ...] by key, in the layout of `envs.spaces`.
        decides: [N] False where no decision is made (final observations); default all True.

    Raises:
        ValueError: if the observation lacks what the spec has, or padding stands before a real entity.
    """
    _check_keys(observation, spec)
    batch_size = len(next(iter(observation.values())))
    if decides is None:
        decides = np.ones(batch_size, bool)
    sample = {key: observation[key].copy() for key in _SAMPLE_KEYS if key in observation}
    entity: dict[str, Array] = {}
    entity_counts = np.zeros(batch_size, np.int64)
    if spec.entities is not None:
        mask = observation[layout.ENTITY_MASK].astype(bool)
        if (mask[:, 1:] > mask[:, :-1]).any():
            raise ValueError(
                "expected real entities in the first slots, got padding before one; sort them by entity_mask"
            )
        entity_counts = mask.sum(1)
        entity = {key: observation[key][mask] for key in _entity_keys(spec)}
    decision_counts, decision = _pack_decisions(observation, spec, decides)
    return PackedObservation(sample, entity_counts, entity, decision_counts, decision)


def _entity_keys(spec: AgentSpec) -> tuple[str, ...]:
    return _ENTITY_KEYS if spec.action.function_call is None else (*_ENTITY_KEYS, layout.ENTITY_CLASSES)


def _check_keys(observation: Mapping[str, Array], spec: AgentSpec) -> None:
    has = {layout.SCALARS: spec.num_scalars > 0, layout.PLANES: spec.plane_shape is not None}
    has |= dict.fromkeys((layout.ENTITY_MASK, *_entity_keys(spec)), spec.entities is not None)
    missing = [key for key, expected in has.items() if expected and key not in observation]
    if missing:
        raise ValueError(f"expected the observation keys {missing} too, got {sorted(observation)}")


def _pack_decisions(
    observation: Mapping[str, Array], spec: AgentSpec, decides: NDArray[np.bool_]
) -> tuple[Array, dict[str, Array]]:
    action_mask = observation.get(layout.ACTION_MASK)
    if spec.action.function_call is not None:
        if action_mask is None:
            raise ValueError("function calls need the observation key 'action_mask' [N, F]")
        decides = decides & action_mask.any(1)
    if not spec.action.per_entity:
        decision = {} if action_mask is None else {layout.ACTION_MASK: action_mask[decides].astype(bool)}
        return decides.astype(np.int64), decision
    if action_mask is None:
        raise ValueError("unit actions need the observation key 'action_mask' [N, E, A]")
    # The first component (the action type) has a legal choice exactly where the unit awaits an order.
    awaits_order = action_mask[:, :, : spec.action.component_sizes[0]].any(-1)
    sample_index, slot = np.nonzero(awaits_order & observation[layout.ENTITY_MASK].astype(bool) & decides[:, None])
    decision = {"slot": slot, layout.ACTION_MASK: action_mask[sample_index, slot].astype(bool)}
    return np.bincount(sample_index, minlength=len(action_mask)), decision


@dataclass(frozen=True)
class AgentInput:
    """N packed observations as tensors on one device.

    Attributes:
        scalars: [N, S] or None.
        planes: [N, P, H, W] or None.
        categories, values, positions: [R, Kc] int64, [R, Kv] float, [R, 2] int64, or None in games without entities.
        entity_classes: [R, 2] int64, selection and target class, where functions are called; else None.
        value_scalars: [N, Sv] or None.
        entity_mask: [N, E] True at real slots; E is the longest list of the batch.
        entity_sample: [R] the observation each entity belongs to.
        decision_sample: [X] the observation each decision belongs to.
        decision_slot: [X] the padded position of its query among the observation's decisions.
        decision_entity: [X] the row in [R] of the unit that decides, or None.
        decision_mask: [N, Q] True at real decision queries.
        action_mask: [X, A] or None.
    """

    size: int
    scalars: Float[Tensor, "N S"] | None
    planes: Float[Tensor, "N P H W"] | None
    categories: Int[Tensor, "R Kc"] | None
    values: Float[Tensor, "R Kv"] | None
    positions: Int[Tensor, "R 2"] | None
    entity_mask: Tensor | None
    entity_sample: Int[Tensor, " R"] | None
    decision_sample: Int[Tensor, " X"]
    decision_slot: Int[Tensor, " X"]
    decision_entity: Int[Tensor, " X"] | None
    decision_mask: Tensor
    action_mask: Tensor | None
    entity_classes: Int[Tensor, "R 2"] | None = None
    value_scalars: Float[Tensor, "N Sv"] | None = None

    @classmethod
    def from_packed(cls, packed: PackedObservation, device: torch.device | str = "cpu") -> AgentInput:
        """Return the tensors of packed observations."""

        def tensor(array: Array | None, dtype: torch.dtype) -> Tensor | None:
            return None if array is None else torch.as_tensor(array, device=device).to(dtype)

        size = len(packed)
        decision_sample, decision_slot, decision_mask = _ragged_index(packed.decision_counts)
        entity_sample = entity_mask = decision_entity = None
        if packed.entity:
            entity_sample, _, entity_mask = _ragged_index(packed.entity_counts)
            if "slot" in packed.decision:
                first_row = np.cumsum(packed.entity_counts) - packed.entity_counts
                decision_entity = first_row[decision_sample] + packed.decision["slot"]
        index = torch.int64
        sample_tensor, slot_tensor = tensor(decision_sample, index), tensor(decision_slot, index)
        mask_tensor = tensor(decision_mask, torch.bool)
        assert sample_tensor is not None
        assert slot_tensor is not None
        assert mask_tensor is not None
        return cls(
            size=size,
            scalars=tensor(packed.sample.get(layout.SCALARS), torch.float32),
            planes=tensor(packed.sample.get(layout.PLANES), torch.float32),
            categories=tensor(packed.entity.get(layout.ENTITY_CATEGORIES), index),
            values=tensor(packed.entity.get(layout.ENTITY_VALUES), torch.float32),
            positions=tensor(packed.entity.get(layout.ENTITY_POSITIONS), index),
            entity_mask=tensor(entity_mask, torch.bool),
            entity_sample=tensor(entity_sample, index),
            decision_sample=sample_tensor,
            decision_slot=slot_tensor,
            decision_entity=tensor(decision_entity, index),
            decision_mask=mask_tensor,
            action_mask=tensor(packed.decision.get(layout.ACTION_MASK), torch.bool),
            entity_classes=tensor(packed.entity.get(layout.ENTITY_CLASSES), index),
            value_scalars=tensor(packed.sample.get(layout.VALUE_SCALARS), torch.float32),
        )


def _ragged_index(counts: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return, of ragged counts [N], each row's sample [R] and position in it [R], and the mask [N, max(1, longest)]."""
    sample = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    position = np.arange(len(sample)) - first[sample]
    longest = max(1, int(counts.max(initial=0)))
    return sample, position, np.arange(longest)[None] < counts[:, None]


@dataclass(frozen=True)
class AgentOutput:
    """One acting step.

    Attributes:
        action: [X, action_size] int64 (or float for Box) for each decision.
        log_prob: [X] log-probability of each decision.
        values: [N, K], one value per reward term.
        state: core state [N, ...] after the step.
    """

    action: Tensor
    log_prob: Float[Tensor, " X"]
    values: Float[Tensor, "N K"]
    state: Tensor


@dataclass(frozen=True)
class Part:
    """One part of X actions that were taken, such as the type of an order or its direction; each [X].

    Attributes:
        read: which actions have this part; what stands in the others means nothing.
        log_prob: of the part, given the parts before it where they are chosen one after another.
        likeliest: whether what was taken is what the policy would most likely have chosen.
    """

    read: Bool[Tensor, " X"]
    log_prob: Float[Tensor, " X"]
    likeliest: Bool[Tensor, " X"]


@dataclass(frozen=True)
class UnrollOutput:
    """The learner's view of an unroll.

    Attributes:
        values: [B, T, K].
        log_prob, entropy: [X] of each decision.
        kl: [X] to the teacher's decision, where there is a teacher.
        parts: of the decisions' actions by name, where they were asked for.
        state: core state [B, ...] after the last observation; no gradient flows through it.
    """

    values: Float[Tensor, "B T K"]
    log_prob: Float[Tensor, " X"]
    entropy: Float[Tensor, " X"]
    kl: Float[Tensor, " X"] | None = None
    parts: dict[str, Part] = field(default_factory=dict)
    state: Tensor | None = None
