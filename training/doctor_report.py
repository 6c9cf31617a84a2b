"""What the doctor's findings mean: which parts of PerceiverStar can be used here, and what to worry about."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence

from training.doctor import Finding, extras_of_packages

TORSO, TRAINING, MICRORTS, STARCRAFT = "torso (perceiver_io)", "training", "µRTS", "StarCraft II"
PARTS = (TORSO, TRAINING, MICRORTS, STARCRAFT)
_PART_OF_EXTRA = {"": TORSO, "train": TRAINING, "microrts": MICRORTS, "starcraft2": STARCRAFT}
_PARTS_OF_NAME = {"Java": {MICRORTS}, "µRTS": {MICRORTS}, "StarCraft II": {STARCRAFT}, "pysc2": {STARCRAFT}}


def report(findings: Sequence[Finding]) -> tuple[list[str], bool]:
    """Return the lines to print, the usable parts last, and whether nothing is missing that this machine needs.

    A part is needed where a package is installed that only this part has; StarCraft II never is.
    """
    packages = {name: {_PART_OF_EXTRA[extra] for extra in extras} for name, extras in _extras().items()}
    installed = [packages.get(finding.name, set()) for finding in findings if finding.status != "missing"]
    needed = {TORSO}.union(*(parts for parts in installed if len(parts) == 1)) - {STARCRAFT}
    lines, complete, broken = [], True, set[str]()
    for finding in findings:
        status: str = finding.status
        if status == "missing":
            parts = _PARTS_OF_NAME.get(finding.name) or packages.get(finding.name) or {TORSO}
            broken |= set(PARTS) if TORSO in parts else parts
            complete &= parts.isdisjoint(needed)
            status = "optional" if parts.isdisjoint(needed) else status
        lines.append(f"{status:<8} {finding.name:<18} {finding.detail}")
        if finding.remedy:
            lines.append(f"{'':<27} -> {finding.remedy}")
    usable = [part for part in PARTS if part not in broken]
    lines.append(f"{'usable':<27} {', '.join(usable) or 'nothing'}")
    return lines, complete


def _extras() -> Mapping[str, set[str]]:
    try:
        return extras_of_packages()
    except importlib.metadata.PackageNotFoundError:  # run from the source folder
        return {}
