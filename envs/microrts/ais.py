"""The game's built-in AIs, by name."""

from __future__ import annotations

import functools
import re
import zipfile
from typing import Any

from envs.errors import UnknownNameError
from envs.microrts.installation import game_jars
from envs.microrts.jvm import crashes_reported, import_jpype, java_class, unit_type_table

FAST_AIS = {
    "PassiveAI": "ai.PassiveAI",
    "RandomAI": "ai.RandomAI",
    "RandomBiasedAI": "ai.RandomBiasedAI",
    "WorkerRush": "ai.abstraction.WorkerRush",
    "LightRush": "ai.abstraction.LightRush",
    "HeavyRush": "ai.abstraction.HeavyRush",
    "RangedRush": "ai.abstraction.RangedRush",
    "WorkerDefense": "ai.abstraction.WorkerDefense",
    "LightDefense": "ai.abstraction.LightDefense",
    "HeavyDefense": "ai.abstraction.HeavyDefense",
    "RangedDefense": "ai.abstraction.RangedDefense",
    "WorkerRushPlusPlus": "ai.abstraction.WorkerRushPlusPlus",
    "CoacAI": "ai.coac.CoacAI",
    "mayari": "mayariBot.mayari",
    "Rojo": "ai.competition.rojobot.Rojo",
}
"""AIs that answer in well under a millisecond on small maps, fit for training. With equal seeds they play equal games;
but mayari, on maps of 24 or more cells a side with 24 or more units, cuts its searches short by the clock."""

SEARCH_AIS = {
    "NaiveMCTS": "ai.mcts.naivemcts.NaiveMCTS",
    "MixedBot": "ai.JZ.MixedBot",
    "Izanagi": "ai.competition.IzanagiBot.Izanagi",
    "Tiamat": "ai.competition.tiamat.Tiamat",
    "Droplet": "GNS.Droplet",
    "GuidedRojoA3N": "ai.competition.GRojoA3N.GuidedRojoA3N",
}
"""Competition bots that search for up to 100 ms of wall clock at every step: for evaluation, a few at a time, on a
machine that is otherwise idle. Their play depends on how fast the machine is, so that equal seeds do not replay
equal games."""

COMPETITION_AIS = (*FAST_AIS, *SEARCH_AIS)
"""The names to choose from first; any other AI of the game goes by the name of its class."""

HEEDED_BUDGETS = {"NaiveMCTS": ("ms", "iterations"), "Droplet": ("ms",)}
"""Which budgets the searching competition AIs heed; the others think as long as they like, whatever they are told."""

_BUDGET = re.compile(r"(?P<name>[^-]+)-(?P<most>[1-9]\d{0,5})(?P<unit>ms|iterations)")


def ai_factory(name: str) -> Any:
    """Return the Java object that makes the AI called `name`: a name of `list_ais()` or a full class name.

    An AI that searches has 100 ms for each step. `NaiveMCTS-10ms` has 10, and `NaiveMCTS-20iterations` goes 20 times
    through its search, whatever the clock says within 10 seconds. Whether one that is no competition AI heeds its
    budget is up to it.

    Raises:
        UnknownNameError: if there is no such AI; close matches are in the message.
        GameCrashedError: if the AI cannot be made.
        ValueError: if it is an AI that no such budget can be given.
    """
    if with_budget := _BUDGET.fullmatch(name):
        ai = with_budget["name"]
        return _with_budget(ai_factory(ai), name, ai, int(with_budget["most"]), with_budget["unit"])
    class_names = _class_names(name)
    for class_name in class_names:
        factory = _factory_of_class(class_name)
        if factory is not None:
            with crashes_reported(f"making the AI {name}"):
                factory.make()
            return factory
    known = list_ais() if class_names else (*COMPETITION_AIS, *_classes_by_short_name())
    hint = f"(the usual ones are {', '.join(COMPETITION_AIS)}; a budget is written NaiveMCTS-10ms)"
    raise UnknownNameError("AI", name, known, hint=hint)


def _with_budget(factory: Any, name: str, ai: str, most: int, unit: str) -> Any:
    short_name = next((known for known, class_name in SEARCH_AIS.items() if ai in (known, class_name)), None)
    if short_name and unit not in (heeded := HEEDED_BUDGETS.get(short_name, ())):
        instead = f", or one of {' or '.join(heeded)}" if heeded else ""
        raise ValueError(f"{name}: {short_name} does not heed a budget of {unit}; give its name alone{instead}")
    if not factory.searches():
        raise ValueError(f"{name}: this AI does not search within a budget; give its name alone")
    return factory.withBudget(most, -1) if unit == "ms" else factory.withBudget(-1, most)


@functools.lru_cache(maxsize=1)
def list_ais() -> list[str]:
    """Return the short names of every AI that can be made from the game's unit types alone, sorted."""
    names = set(COMPETITION_AIS)
    for short_name, class_names in _classes_by_short_name().items():
        if short_name not in names and any(_can_be_made(class_name) for class_name in class_names):
            names.add(short_name)
    return sorted(names)


def _can_be_made(class_name: str) -> bool:
    jpype = import_jpype()
    factory = None if class_name.startswith(_OUTSIDE_AIS) else _factory_of_class(class_name)
    if factory is None:
        return False
    try:
        factory.make()
    except jpype.JException:
        return False  # needs files or libraries that the game's package lacks
    return True


def _class_names(name: str) -> list[str]:
    known = FAST_AIS.get(name) or SEARCH_AIS.get(name)
    if known:
        return [known]
    by_short_name = _classes_by_short_name()
    if "." in name:
        return [name] if name in by_short_name.get(name.rpartition(".")[2], ()) else []
    return list(by_short_name.get(name, ()))


_OUTSIDE_AIS = ("ai.socket.", "ai.jni.")  # these speak for a player outside the game


@functools.lru_cache(maxsize=1)
def _classes_by_short_name() -> dict[str, tuple[str, ...]]:
    """Return the top-level classes of the game's packages, in class path order, without loading any."""
    found: dict[str, list[str]] = {}
    for jar in game_jars():
        with zipfile.ZipFile(jar) as archive:
            for entry in archive.namelist():
                if (
                    not entry.endswith(".class")
                    or "$" in entry
                    or entry.startswith(("META-INF/", "org/", "com/", "weka/"))
                ):
                    continue
                class_name = entry.removesuffix(".class").replace("/", ".")
                names = found.setdefault(class_name.rpartition(".")[2], [])
                if class_name not in names:
                    names.append(class_name)
    return {short_name: tuple(names) for short_name, names in found.items()}


def _factory_of_class(class_name: str) -> Any | None:
    """Return what makes AIs of a class, or None if it is no AI or needs more than the unit types."""
    jpype = import_jpype()
    try:
        return java_class("perceiverstar.AiFactory")(class_name, unit_type_table())
    except (jpype.JException, TypeError):
        return None
