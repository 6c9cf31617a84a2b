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
    header = ["torso", "parameters", "MFLOP a list", *(f"{text}, ms" for text in _COLUMNS.values())]
    header += ["share of the peak, full lists", "peak MiB, 4 lists of 2048"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for name in times["dense_forward"]:
        cost = results["cost"][name]
        cells = [name, f"{cost['parameters'] / 1e6:.2f} M", f"{cost['flops'][512] / 1e6:,.0f}"]
        cells += [f"{1000 * column[name]:,.1f}" if name in column else "" for column in times.values()]
        cells.append(f"{100 * results['share_of_peak'][name]:.0f} %")
        peak = results.get("peak_mebibytes", {}).get(name, {}).get(2048)
        lines.append("| " + " | ".join([*cells, "" if peak is None else f"{peak:,.0f}"]) + " |")
    lines += ["", "| ratio | |", "|---|---|"]
    lines += [f"| {name} | {'' if value is None else f'{value:.2f}'} |" for name, value in results["ratios"].items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_plots(results: dict[str, Any], path: Path) -> None:
    """Draw times and FLOPs over the number of entities; nothing where matplotlib is missing."""
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(2, 3, figsize=(15, 8.4), layout="constrained")
    panels = [*rows.flat]
    styles = {
        name: {"linewidth": 2.5 if name == OURS else 1.2, "marker": "o", "markersize": 3, "label": name}
        for name in results["seconds"]["dense_forward"]
    }
    for axes, (kind, title) in zip(panels, _COLUMNS.items(), strict=False):
        grid = results["seconds_by_entities"][kind]
        for name, style in styles.items():
            sizes = [size for size in grid if name in grid[size]]
            axes.loglog(sizes, [1000 * grid[size][name] for size in sizes], **style)
        axes.set(xlabel="entities", ylabel="ms, batch of 4", title=title)
    for name, style in styles.items():
        flops = results["cost"][name]["flops"]
        panels[4].loglog(list(flops), [value / 1e9 for value in flops.values()], **style)
        peaks = results.get("peak_mebibytes", {}).get(name, {})
        panels[5].loglog(list(peaks), list(peaks.values()), **style)
    panels[4].set(xlabel="entities", ylabel="GFLOP for a list", title="operations")
    panels[5].set(xlabel="entities", ylabel="MiB, batch of 4, forward", title="peak memory")
    panels[0].legend(fontsize=8)
    for axes in panels:
        axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
