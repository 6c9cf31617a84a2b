"""The table and the plots of the torso benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timing import medians
from torso_peers import OURS

_COLUMNS = {
    "dense_forward": "forward, full lists",
    "quarter_full_forward": "forward, a quarter full",
    "dense_training": "forward + backward, full lists",
    "quarter_full_training": "forward + backward, a quarter full",
}


def write_table(results: dict[str, Any], path: Path) -> None:
    """Write a Markdown table: parameters, FLOPs, milliseconds and memory of each torso, and the ratios."""
    times = {name: medians(results["seconds"][name]) for name in _COLUMNS}
    header = ["torso", "parameters", "MFLOP a list", *(f"{text}, ms" for text in _COLUMNS.values()), "peak MiB"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for name in times["dense_forward"]:
        cost = results["cost"][name]
        cells = [name, f"{cost['parameters'] / 1e6:.2f} M", f"{cost['flops'][512] / 1e6:,.0f}"]
        cells += [f"{1000 * column[name]:,.1f}" if name in column else "" for column in times.values()]
        peak = results["peak_mebibytes"].get(name)
        lines.append("| " + " | ".join([*cells, "" if peak is None else f"{peak:,.0f}"]) + " |")
    lines += ["", "| ratio | |", "|---|---|"]
    lines += [f"| {name} | {'' if value is None else f'{value:.2f}'} |" for name, value in results["ratios"].items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_plots(results: dict[str, Any], path: Path) -> None:
    """Draw time and FLOPs over the number of entities; nothing where matplotlib is missing."""
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    grid = results["seconds"]["dense_forward_by_entities"]
    for name in results["seconds"]["dense_forward"]:
        sizes = [size for size in grid if name in grid[size]]
        style = {"linewidth": 2.5 if name == OURS else 1.2, "marker": "o", "markersize": 3, "label": name}
        left.loglog(sizes, [1000 * grid[size][name] for size in sizes], **style)
        flops = results["cost"][name]["flops"]
        right.loglog(list(flops), [value / 1e9 for value in flops.values()], **style)
    left.set(xlabel="entities", ylabel="ms, forward, batch of 4", title="time")
    right.set(xlabel="entities", ylabel="GFLOP for a list", title="operations")
    left.legend(fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
