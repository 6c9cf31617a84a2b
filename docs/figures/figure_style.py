"""How the pictures look: their own dark ground, so that they read alike on white and on dark pages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

BACKGROUND, PANEL, GRID, MUTED, TEXT = "#12161f", "#1b2230", "#2a3140", "#a3adc0", "#e2e8f3"
BLUE, GREEN, ORANGE, RED, PURPLE = "#5b9bff", "#40d69e", "#ffbe54", "#ff6b66", "#c78bff"
COLOURS = (GREEN, RED, ORANGE, BLUE, PURPLE)
HEAT = LinearSegmentedColormap.from_list("heat", [PANEL, BLUE, TEXT])
SIGNED = LinearSegmentedColormap.from_list("signed", [RED, PANEL, BLUE])

STYLE: dict[str, Any] = {
    "figure.facecolor": BACKGROUND,
    "savefig.facecolor": BACKGROUND,
    "axes.facecolor": BACKGROUND,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "legend.facecolor": BACKGROUND,
    "legend.edgecolor": GRID,
    "legend.fontsize": 9,
    "text.color": TEXT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
}


def new_figure(width: float, height: float, columns: int = 1, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of that size in inches and its panels, side by side."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False, **options)[0])


def canvas(axes: Axes, width: float, height: float) -> None:
    """Make of a panel a sheet to draw on, without axes, (0, 0) at its lower left."""
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")


def box(axes: Axes, x: float, y: float, width: float, height: float, colour: str, text: str = "", **style: Any) -> None:
    """Draw a rounded box around (x, y) with a text in it."""
    corner = (x - width / 2, y - height / 2)
    options = {"facecolor": PANEL, "edgecolor": colour, "linewidth": 1.4, **style}
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.08", **options))
    axes.text(x, y, text, ha="center", va="center")


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], **style: Any) -> None:
    """Draw an arrow."""
    options = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0, **style}
    axes.annotate("", xy=end, xytext=start, arrowprops=options)


def note(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Write a small text around (x, y)."""
    axes.text(x, y, text, **{"ha": "center", "va": "center", "color": MUTED, "fontsize": 9, **style})


def bare(axes: Axes, title: str = "") -> None:
    """Leave a panel with nothing but what is drawn and a title."""
    axes.set(xticks=[], yticks=[], title=title)
    for spine in axes.spines.values():
        spine.set_visible(False)


def styled() -> Any:
    """Return a context in which figures are drawn and saved in this style."""
    return mpl.rc_context(STYLE)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of at most 128 colours, which is a fraction of the size of one with all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    with Image.open(buffer) as picture:
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
