"""The shape of a game as an agent sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gymnasium import spaces

from agent.action_spec import ActionSpec, FunctionCallSpec
from envs import spaces as layout

# A wider bound (float32's maximum, say) marks a plane as unbounded; it is no scale.
_LARGEST_PLANE_SCALE = 1e6


@dataclass(frozen=True, kw_only=True)
class EntitySpec:
    """The entity list of a game: slots, vocabulary of each category, number of real values, map size in cells."""

    max_entities: int
    category_sizes: tuple[int, ...]
    num_values: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class AgentSpec:
    """The shape of a game as an agent sees it."""

    entities: EntitySpec | None
    num_scalars: int
    plane_shape: tuple[int, int, int] | None
    action: ActionSpec
    reward_terms: tuple[str, ...] = ("reward",)
    num_value_scalars: int = 0
    """Scalars that only the value functions see."""
    plane_scales: tuple[float, ...] = ()
    """Largest value of each plane, which the agent divides it by: 255 for images, 1 for maps of 0 and 1."""

    @classmethod
    def from_spaces(
        cls,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        reward_terms: Sequence[str] = ("reward",),
    ) -> AgentSpec:
        """Return the spec of an environment in the layout of `envs.spaces`.

        Raises:
            ValueError: if the observation space is not a Dict in that layout or holds nothing to observe, or the
                action space is not supported.
        """
        if not isinstance(observation_space, spaces.Dict):
            raise ValueError(f"expected a Dict observation space in the layout of envs.spaces, got {observation_space}")
        unknown = set(observation_space) - set(layout.OBSERVATION_KEYS)
        if unknown:
            raise ValueError(f"unknown observation keys {sorted(unknown)}; the layout has {layout.OBSERVATION_KEYS}")
        boxes: dict[str, Any] = dict(observation_space.spaces)
        if not set(boxes) - {layout.ACTION_MASK, layout.VALUE_SCALARS}:
            raise ValueError(f"expected at least one of entities, scalars and planes, got {observation_space}")
        planes = boxes.get(layout.PLANES)
        scalars = boxes.get(layout.SCALARS)
        action = ActionSpec.from_space(action_space)
        if action.per_entity and not {layout.ENTITY_MASK, layout.ACTION_MASK} <= set(boxes):
            raise ValueError(f"unit actions need entities and the key 'action_mask', got the keys {sorted(boxes)}")
        if action.function_call is not None:
            _check_function_calls(boxes, action.function_call)
        value_scalars = boxes.get(layout.VALUE_SCALARS)
        return cls(
            entities=_entity_spec(boxes),
            num_scalars=0 if scalars is None else int(scalars.shape[0]),
            plane_shape=None if planes is None else tuple(planes.shape),
            action=action,
            reward_terms=tuple(reward_terms),
            plane_scales=() if planes is None else _plane_scales(planes),
            num_value_scalars=0 if value_scalars is None else int(value_scalars.shape[0]),
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> AgentSpec:
        """Return the spec whose fields, by `dataclasses.asdict`, were stored as JSON.

        Raises:
            AttributeError, KeyError, TypeError: if they are not those of a spec.
        """
        fields = {name: _tuples(value) for name, value in stored.items()}
        action = {name: _tuples(value) for name, value in stored["action"].items()}
        if action["function_call"] is not None:
            calls = {name: _tuples(value) for name, value in action["function_call"].items()}
            action["function_call"] = FunctionCallSpec(**calls)
        fields["action"] = ActionSpec(**action)
        if fields["entities"] is not None:
            fields["entities"] = EntitySpec(**{name: _tuples(value) for name, value in stored["entities"].items()})
        return cls(**fields)


def _check_function_calls(boxes: Mapping[str, Any], calls: FunctionCallSpec) -> None:
    if not {layout.ENTITY_MASK, layout.ENTITY_CLASSES, layout.ACTION_MASK} <= set(boxes):
        raise ValueError(
            f"function calls need entities and the keys 'entity_classes' and 'action_mask', got {sorted(boxes)}"
        )
    if boxes[layout.ENTITY_MASK].shape != (calls.max_entities,):
        raise ValueError(
            f"expected the {calls.max_entities} entity slots that function calls select from, got "
            f"{boxes[layout.ENTITY_MASK].shape[0]}"
        )
    classes = boxes[layout.ENTITY_CLASSES].high.max(0) + 1
    if (classes > (calls.num_selection_classes, calls.num_target_classes)).any():
        raise ValueError(
            f"expected at most {calls.num_selection_classes} selection and {calls.num_target_classes} target classes, "
            f"as the tables of the action space have, got {classes.tolist()}"
        )


def _plane_scales(planes: spaces.Box) -> tuple[float, ...]:
    """Return each plane's upper bound, or 1 where there is none."""
    highest = planes.high.reshape(planes.shape[0], -1).max(1)
    return tuple(float(high) if 0 < high <= _LARGEST_PLANE_SCALE else 1.0 for high in highest)


def _entity_spec(boxes: Mapping[str, Any]) -> EntitySpec | None:
    if layout.ENTITY_MASK not in boxes:
        return None
    categories = boxes[layout.ENTITY_CATEGORIES]
    width, height = boxes[layout.ENTITY_POSITIONS].high[0] + 1
    return EntitySpec(
        max_entities=int(categories.shape[0]),
        category_sizes=tuple(int(high) + 1 for high in categories.high[0]),
        num_values=int(boxes[layout.ENTITY_VALUES].shape[1]),
        width=int(width),
        height=int(height),
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value
