"""pysc2, whichever of its two distributions is installed; the only module that imports it.

The maintained fork `pysc2-evolved` is preferred; the official `pysc2` 4.0 is taken where it imports (Python 3.10
with protobuf 3.20).

Raises:
    GameNotFoundError: if neither can be imported, with the command that installs one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from envs.errors import GameNotFoundError

_PACKAGES = {"pysc2_evolved": "pysc2-evolved", "pysc2": "pysc2"}


@contextmanager
def _logging_left_alone() -> Iterator[None]:
    """Keep pysc2's greeting out of the log, and its call of logging.basicConfig from setting up the root logger."""
    root, disabled = logging.getLogger(), logging.root.manager.disable
    placeholder = logging.NullHandler()
    root.addHandler(placeholder)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.removeHandler(placeholder)


def _find() -> tuple[str, str]:
    """Return the package that imports and the version of its distribution."""
    reasons = []
    for package, distribution in _PACKAGES.items():
        try:
            with _logging_left_alone():
                importlib.import_module(f"{package}.lib.actions")
            if package == "pysc2":
                _parse_flags()
            return package, importlib.metadata.version(distribution)
        except Exception as error:  # noqa: BLE001  # an old protobuf fails in many ways; each is a reason
            reasons.append(f"{distribution}: {type(error).__name__}: {error}")
    raise GameNotFoundError(
        f"StarCraft II is played through pysc2, which cannot be imported ({'; '.join(reasons)}). "
        "Install it with: pip install 'perceiver-star[starcraft2]'"
    )


def _parse_flags() -> None:
    """Let the official pysc2 read its absl flags, which it refuses to do before a program has parsed them."""
    flags: Any = importlib.import_module("absl.flags").FLAGS
    if not flags.is_parsed():
        flags(["perceiver-star"])


PYSC2_NAME, PYSC2_VERSION = _find()


def _module(name: str) -> Any:
    with _logging_left_alone():
        return importlib.import_module(f"{PYSC2_NAME}.{name}")


def _protobuf(name: str) -> Any:
    return importlib.import_module(f"s2clientprotocol.{name}_pb2")


common_pb = _protobuf("common")
data_pb = _protobuf("data")
error_pb = _protobuf("error")
query_pb = _protobuf("query")
raw_pb = _protobuf("raw")
sc_pb = _protobuf("sc2api")
score_pb = _protobuf("score")
spatial_pb = _protobuf("spatial")
ui_pb = _protobuf("ui")

DecodeError: Any = importlib.import_module("google.protobuf.message").DecodeError
maps = _module("maps")
protocol = _module("lib.protocol")
raw_functions = _module("lib.actions").RAW_FUNCTIONS
remote_controller = _module("lib.remote_controller")
run_configs = _module("run_configs")
websocket: Any = importlib.import_module("websocket")
