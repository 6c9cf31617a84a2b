"""Draws a run's learning curve: win rate against each opponent over game steps and minutes of training.

python benchmarks/learning_curve.py runs/quickstart --output learning_curve.png

Without opponents (CartPole, say) it is the return of the episodes that is drawn. Only `metrics.jsonl` is read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from training.starcraft2_games import mark_of

TRAINING, EVALUATION, RETURN = "charts/win_rate/", "evaluation/win_rate", "charts/episodic_return"
BACKGROUND, TEXT, GRID = "#12161f", "#e2e8f3", "#2a3140"
COLOURS = ("#40d69e", "#ff5c58", "#ffbe54", "#488fff", "#c78bff", "#8a94a8", "#f078b4", "#9adf5a")


def read_metrics(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return one entry for each step, in order.

    A resumed run plays again what came after its checkpoint: of what was logged twice, only the later counts. What was
    logged at one step in several lines is put together. A last line that was cut off is left out.
    """
    entries: list[dict[str, Any]] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "step" not in entry:
            continue
        if entries and entries[-1]["step"] > entry["step"]:
            while entries and entries[-1]["step"] >= entry["step"]:
                entries.pop()
        if entries and entries[-1]["step"] == entry["step"]:
            entries[-1].update(entry)
        else:
            entries.append(entry)
    return entries


def minutes_of(entries: Sequence[dict[str, Any]]) -> list[float]:
    """Return the minutes of training at each entry, from the steps between entries and their speeds."""
    minutes, last_step, passed = [], 0, 0.0
    for entry in entries:
        speed = entry.get("charts/SPS")
        if speed:
            passed += (entry["step"] - last_step) / speed / 60
        last_step = entry["step"]
        minutes.append(passed)
    return minutes


def series_of(entries: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Return the steps at which a figure was logged, and its values."""
    points = [(entry["step"], entry[name]) for entry in entries if entry.get(name) is not None]
    return [step for step, _ in points], [value for _, value in points]


def draw(entries: Sequence[dict[str, Any]], output: Path, title: str) -> None:
    """Write the picture.

    Raises:
        ValueError: if the run has logged neither win rates nor returns yet.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    opponents = sorted({name[len(TRAINING) :] for entry in entries for name in entry if name.startswith(TRAINING)})
    if not opponents and not series_of(entries, RETURN)[0]:
        raise ValueError("no episode has ended yet in this run: train longer")
    pyplot.rcParams.update({"text.color": TEXT, "axes.labelcolor": TEXT, "xtick.color": TEXT, "ytick.color": TEXT})
    figure, axes = pyplot.subplots(figsize=(8, 4), dpi=110, facecolor=BACKGROUND, layout="constrained")
    if opponents:
        _draw_win_rates(axes, entries, opponents)
    else:
        axes.plot(*series_of(entries, RETURN), color=COLOURS[0], linewidth=1.8, label="last 100 episodes")
        axes.set_ylabel("episodic return")
    _finish(axes, entries, title)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, facecolor=BACKGROUND)
    pyplot.close(figure)


def _draw_win_rates(axes: Any, entries: Sequence[dict[str, Any]], opponents: Sequence[str]) -> None:
    last = entries[-1]
    for index, opponent in enumerate(opponents):
        colour = COLOURS[index % len(COLOURS)]
        steps, rates = series_of(entries, TRAINING + opponent)
        axes.plot(steps, [100 * rate for rate in rates], color=colour, linewidth=1.8, label=opponent)
        rate = last.get(f"{EVALUATION}/{opponent}")
        if rate is not None:
            bounds = [last[f"{EVALUATION}_{end}/{opponent}"] for end in ("low", "high")]
            errors = [[100 * max(0.0, rate - bounds[0])], [100 * max(0.0, bounds[1] - rate)]]
            # Side by side, so that their intervals can be told apart.
            place = last["step"] * (1.02 + 0.015 * index)
            axes.errorbar([place], [100 * rate], errors, color=colour, marker="o", markersize=5, capsize=2)
    axes.set_ylim(-3, 103)
    axes.set_ylabel("games won, %")


def _finish(axes: Any, entries: Sequence[dict[str, Any]], title: str) -> None:
    axes.set_facecolor(BACKGROUND)
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("game steps")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: short_number(value))
    legend = axes.figure.legend(loc="outside right center", facecolor=BACKGROUND, edgecolor=GRID, fontsize=9)
    for text in legend.get_texts():
        text.set_color(TEXT)
    for side in axes.spines.values():
        side.set_color(GRID)
    total_minutes = minutes_of(entries)[-1]
    if total_minutes > 0:
        ratio = total_minutes / entries[-1]["step"]
        top = axes.secondary_xaxis("top", functions=(lambda steps: steps * ratio, lambda minutes: minutes / ratio))
        top.set_xlabel("minutes of training", fontsize=9)
        top.spines["top"].set_color(GRID)


def title_of(run_dir: Path) -> str:
    """Return the recipe and where it was played, and whether the game is only a stand-in."""
    config, about = (json.loads((run_dir / f"{name}.json").read_text("utf-8")) for name in ("config", "environment"))
    environment = config["environment"]
    place = next(environment[key] for key in ("map_path", "map_name", "env_id") if key in environment)
    mark = mark_of(about["game"])
    return "\n".join(line for line in (f"{config['recipe']} on {place}", mark) if line)


def short_number(value: float) -> str:
    """Return a number such as 1.5M or 200k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def main() -> int:
    """Read the run and write its picture; return 2 where there is nothing to draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path, help="a run directory")
    parser.add_argument("--output", type=Path, required=True, help="PNG file to write")
    parser.add_argument("--title", help="default: the recipe and its map")
    options = parser.parse_args()
    try:
        with (options.run_dir / "metrics.jsonl").open(encoding="utf-8") as lines:
            entries = read_metrics(lines)
        draw(entries, options.output, options.title or title_of(options.run_dir))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}; pass a directory that a run was started in")
    except ModuleNotFoundError as error:
        return _refuse(f"{error.name} is not installed; install it with: pip install matplotlib")
    except ValueError as error:
        return _refuse(str(error))
    last = entries[-1]["step"]
    print(f"{options.output}: {len(entries)} points up to step {last:,}, {minutes_of(entries)[-1]:.1f} minutes")
    return 0


def _refuse(message: str) -> int:
    print(f"learning_curve: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
