"""pysc2, whichever of its two distributions is installed; the only module that imports it.

The maintained fork `pysc2-evolved` is preferred; the official `pysc2` 4.0 is taken where it imports (Python 3.10).

Raises:
    GameNotFoundError: if neither can be imported, with the command that installs one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from envs.errors import GameNotFoundError

_PACKAGES = {"pysc2_evolved": "pysc2-evolved", "pysc2": "pysc2"}


def _find() -> tuple[str, str]:
    """Return the package that imports and the version of its distribution."""
    reasons = []
    for package, distribution in _PACKAGES.items():
        try:
            importlib.import_module(f"{package}.lib.actions")
            return package, importlib.metadata.version(distribution)
        except Exception as error:  # noqa: BLE001  # an old protobuf fails in many ways; each is a reason
            reasons.append(f"{distribution}: {type(error).__name__}: {error}")
    raise GameNotFoundError(
        f"StarCraft II is played through pysc2, which cannot be imported ({'; '.join(reasons)}). "
        "Install it with: pip install 'perceiver-star[starcraft2]'"
    )


PYSC2_NAME, PYSC2_VERSION = _find()


def _module(name: str) -> Any:
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

raw_functions = _module("lib.actions").RAW_FUNCTIONS
maps = _module("maps")
remote_controller = _module("lib.remote_controller")
run_configs = _module("run_configs")
