"""Whether a checkpoint fits the game and the layouts it is about to be used with."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from agent.config import AgentConfig
from agent.interface import ActionSpec, AgentSpec
from training.checkpoint_errors import CheckpointMismatchError
from training.files import to_json

_MISSING = "nothing"
_SHOWN_DIFFERENCES = 20

_logger = logging.getLogger(__name__)


def check_compatible(
    metadata: Mapping[str, Any], expected: Mapping[str, Any], allow_mismatch: bool = False, *, what: str = "checkpoint"
) -> list[str]:
    """Return the differences between a checkpoint's metadata and what is expected of it, one line each.

    Args:
        metadata: of the checkpoint.
        expected: the entries that must agree, such as `game`, `observation_layout`, `action_layout`; others may differ.
        allow_mismatch: warn in place of refusing where only the `game` is another build.
        what: what messages call it; a recording is compared like a checkpoint.

    Raises:
        CheckpointMismatchError: if anything differs that is not allowed, naming every difference.
    """
    # Both as JSON gives them back, or a tuple would differ from the list it became.
    wanted = json.loads(to_json(dict(expected)))
    found = json.loads(to_json({key: metadata[key] for key in wanted if key in metadata}))
    differences = list(_differences(found, wanted, "", what))
    if not differences:
        return []
    shown = [f"  {line}" for line in differences[:_SHOWN_DIFFERENCES]]
    if len(differences) > _SHOWN_DIFFERENCES:
        shown.append(f"  and {len(differences) - _SHOWN_DIFFERENCES} more")
    listed = "\n".join(shown)
    only_build = all(line.startswith("game.") for line in differences)
    if allow_mismatch and only_build:
        _logger.warning("the %s was made for something else:\n%s", what, listed)
        return differences
    remedies = ["use the game version, map and settings it was made with", f"pass a {what} that was made with these"]
    if only_build:
        remedies.append("add --allow-version-mismatch if you know that the agent can cope with it")
    raise CheckpointMismatchError(f"the {what} was made for something else:\n{listed}\nEither {', or '.join(remedies)}")


def with_later_fields(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's metadata, whose `agent` and `layout` may lack what was added since it was written.

    A later field has a default that leaves everything as it was; the field is there with it.
    """
    filled = dict(metadata)
    if isinstance(agent := filled.get("agent"), dict):
        filled["agent"] = {**_defaults(AgentConfig), **agent}
    if isinstance(layout := filled.get("layout"), dict) and isinstance(layout.get("action"), dict):
        action = {**_defaults(ActionSpec), **layout["action"]}
        filled["layout"] = {**_defaults(AgentSpec), **layout, "action": action}
    return filled


def _defaults(kind: Any) -> dict[str, Any]:
    return {field.name: field.default for field in fields(kind) if field.default is not MISSING}


def _differences(found: Any, wanted: Any, place: str, what: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            yield from _differences(
                found.get(key, _MISSING), wanted.get(key, _MISSING), f"{place}.{key}" if place else key, what
            )
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, (found_item, wanted_item) in enumerate(zip(found, wanted, strict=True)):
            yield from _differences(found_item, wanted_item, f"{place}[{index}]", what)
    elif found != wanted:
        yield f"{place}: expected {_short(wanted)}, the {what} has {_short(found)}"


def _short(value: Any) -> str:
    text = value if value == _MISSING else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
