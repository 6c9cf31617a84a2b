"""The pictures of the comparison's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paper_comparison_costs import encoder_flops
from paper_comparison_plan import PERCEIVER, TORSOS, TRANSFORMER, VARIANTS
from paper_comparison_results import Results

BACKGROUND, TEXT, GRID = "#12161f", "#e2e8f3", "#2a3140"
COLOURS = {
    PERCEIVER: "#40d69e",
    TRANSFORMER: "#ff5c58",
    "set_transformer": "#ffbe54",
    "cosformer": "#488fff",
    "deep_sets": "#c78bff",
}
_OTHER = "#8a94a8"
_LENGTHS = (4, 8, 16, 32, 64, 128, 256, 512)
_STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), TEXT),
    **dict.fromkeys(("figure.facecolor", "savefig.facecolor", "axes.facecolor", "legend.facecolor"), BACKGROUND),
    **dict.fromkeys(("axes.edgecolor", "grid.color", "legend.edgecolor"), GRID),
    "font.size": 9.5,
}


def draw_flops(results: Results, path: Path) -> None:
    """Draw the encoders' operations over the length of the list, and the mean lengths of the maps."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 4), dpi=110, layout="constrained")
        axes = figure.subplots()
        for name in TORSOS:
            flops = [encoder_flops(VARIANTS[name], length) / 1e6 for length in _LENGTHS]
            axes.loglog(_LENGTHS, flops, color=COLOURS[name], marker="o", markersize=3, label=name)
        for game_map, costs in results.costs.items():
            mean = costs["lengths"]["mean"]
            axes.axvline(mean, color=TEXT, linewidth=0.8, linestyle=":")
            axes.text(mean * 1.04, 0.02, f"{game_map}: {mean:.0f}", transform=axes.get_xaxis_transform(), fontsize=8)
        axes.set(xlabel="units in the list", ylabel="MFLOP for an observation", title="encoder")
        axes.grid(linewidth=0.6, alpha=0.7)
        axes.legend(fontsize=8, loc="upper left")
        _save(figure, path)


def draw_win_rates(results: Results, path: Path) -> None:
    """Draw each variant's mean win rate: the seeds as dots, the mean with its interval over seeds."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    maps = list(results.trained)
    most = max((len(variants) for variants in results.trained.values()), default=1)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 1.3 + 0.3 * most), dpi=110, layout="constrained")
        for axes, game_map in zip(figure.subplots(1, max(1, len(maps)), squeeze=False)[0], maps, strict=False):
            _draw_map(axes, results, game_map)
        _save(figure, path)


def _draw_map(axes: Any, results: Results, game_map: str) -> None:
    variants = results.trained[game_map]
    for row, (name, trained) in enumerate(variants.items()):
        colour, mean = COLOURS.get(name, _OTHER), trained.mean
        axes.plot([100 * value for value in trained.means], [row] * len(trained.means), "o", color=colour, alpha=0.5)
        axes.plot(100 * mean.value, row, "|", color=TEXT, markersize=14)
        if len(trained.means) > 1:
            possible = [100 * min(max(bound, 0.0), 1.0) for bound in (mean.low, mean.high)]
            axes.plot(possible, [row, row], color=colour, linewidth=1.5)
    axes.set_yticks(range(len(variants)), list(variants))
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.set(xlabel="mean win rate over the AIs, %", title=game_map)
    axes.grid(axis="x", linewidth=0.6)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
