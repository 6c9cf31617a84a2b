"""Writes the comparison's page and pictures from the files that a run has left.

python benchmarks/paper_comparison_report.py RUN --docs docs

Only files are read: a run that is not complete gives a page of what there is, which says so.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from paper_comparison_plan import ABLATIONS, LATENTS, MAPS, PERCEIVER, TRAINED_MAPS, TRANSFORMER, VARIANTS, Budget
from paper_comparison_plots import draw_flops, draw_win_rates
from paper_comparison_reproduction import how_to_repeat
from paper_comparison_results import ALMOST_NEVER, SPEED, Results, Trained, decided, difference_of, read_results
from paper_comparison_statistics import difference_over_seeds
from paper_comparison_text import (
    ABLATION_PAIRS,
    HEAD,
    how_counted,
    paragraph,
    verdict_on_flops,
    verdict_on_speed,
    verdict_on_win_rate,
)

PAGE, PICTURES = "paper_comparison.md", "images"
FLOPS, WIN_RATES = "paper_comparison_flops.png", "paper_comparison_win_rates.png"
_HELD_OUT = ("accuracy", "order_accuracy", "cross_entropy")
_FEWEST_SEEDS = 3


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]


def page(results: Results) -> str:
    """Return the page's Markdown."""
    lines = [HEAD, *_what_was_run(results), *_bars(results)]
    if results.trained:
        lines += [f"![Mean win rate of each variant]({PICTURES}/{WIN_RATES})", ""]
    for game_map in TRAINED_MAPS:
        lines += _map(results, game_map)
    lines += _ablations(results)
    lines += [how_counted(), *how_to_repeat(results)]
    return "\n".join(lines).rstrip() + "\n"


def _what_was_run(results: Results) -> list[str]:
    budget, maps = results.plan["budget"], results.plan["maps"]
    done = sum(len(trained.seeds) for variants in results.trained.values() for trained in variants.values())
    seeds = [
        len(variants[name].seeds) if name in variants else 0
        for variants in (results.trained.get(game_map, {}) for game_map in TRAINED_MAPS)
        for name in VARIANTS
    ]
    lacking = sum(max(0, _FEWEST_SEEDS - number) for number in seeds)
    rest = f", of which {lacking} trainings are not done yet" if lacking else ""
    lines = [
        "## What was run",
        "",
        *paragraph(
            f"{done} trainings with their games, on {', '.join(f'{name} ({MAPS[name].path})' for name in maps)}.",
            f"The whole is {len(VARIANTS)} variants on {len(TRAINED_MAPS)} maps from at least {_FEWEST_SEEDS}",
            f"seeds{rest}.",
            f"Each training: what the winners did in games of {', '.join(budget['players'])} among",
            f"themselves (of whose orders {100 * budget['random_orders']:g} % were replaced by random ones once they",
            f"were recorded), in batches of {budget['streams']} times {budget['unroll_length']} steps.",
            f"Each evaluation: games against {', '.join(budget['opponents'])}, half of them on each side, at most",
            f"{budget['max_steps']:,} steps, actions drawn from the policy; a draw is no win.",
        ),
    ]
    whole = Budget().to_dict()
    changed = [
        f"{name.replace('_', ' ')} {value} in place of {whole[name]}"
        for name, value in budget.items()
        if value != whole[name]
    ]
    if changed:
        lines += paragraph(f"This run was given something else than the command gives by itself: {', '.join(changed)}.")
    missing = [
        f"{variant} on {game_map}"
        for game_map in TRAINED_MAPS
        for variant in VARIANTS
        if variant not in (*results.trained.get(game_map, {}), *results.waiting.get(game_map, {}))
    ]
    if missing:
        lines += paragraph(f"Not run: {_listed(missing)}.")
    return lines


def _listed(missing: Sequence[str]) -> str:
    """Return the missing trainings, a map of which nothing was run as one."""
    listed: list[str] = []
    for game_map in TRAINED_MAPS:
        own = [name for name in missing if name.endswith(f" on {game_map}")]
        listed += [f"anything on {game_map}"] if len(own) == len(VARIANTS) else own
    return ", ".join(listed)


def _bars(results: Results) -> list[str]:
    rows = []
    for game_map in TRAINED_MAPS:
        found = results.difference(game_map, PERCEIVER, TRANSFORMER)
        rows.append((f"mean win rate, {PERCEIVER} minus {TRANSFORMER}, {game_map} map", *verdict_on_win_rate(found)))
    for game_map, costs in results.costs.items():
        rows.append((f"encoder FLOPs at the {game_map} map's mean list length", *verdict_on_flops(costs)))
        if SPEED in costs["variants"][PERCEIVER]:
            rows.append((f"training speed on the {game_map} map", *verdict_on_speed(costs, SPEED)))
    return ["## What holds", "", *table(["claim", "found", "verdict"], rows)]


def _map(results: Results, game_map: str) -> list[str]:
    trained, waiting = results.trained.get(game_map, {}), results.waiting.get(game_map, {})
    costs = results.costs.get(game_map)
    budget = Budget.from_dict(results.plan["budget"])
    training = "nothing was trained here yet."
    if trained or waiting:
        training = (
            f"{budget.passes_on(game_map)} passes over {budget.games_on(game_map)} games of each pair, "
            f"{budget.evaluation_games_on(game_map)} games against each AI."
        )
    lines = [f"## The {game_map} map", "", *paragraph(f"`{MAPS[game_map].path}`: {training} {_lengths(costs)}")]
    if trained or waiting:
        opponents = results.plan["budget"]["opponents"]
        header = ["win rate, % (95 % over games)", "seeds", *opponents, "mean (95 % over seeds)"]
        header += ["held-out accuracy, %", "of orders, %", "held-out cross-entropy"]
        rows = [_win_row(name, each, opponents) for name, each in trained.items()]
        unplayed = [[name, str(len(of)), *[""] * (len(opponents) + 1), *_held_out(of)] for name, of in waiting.items()]
        lines += table(header, [*rows, *unplayed])
        if trained:
            lines += [*_decided(trained), *_frozen(results, game_map)]
        if unplayed:
            lines += paragraph(f"Trained, but no games played yet: {', '.join(waiting)}.")
    if costs and SPEED in costs["variants"][PERCEIVER]:
        lines += table(
            [
                "costs", "encoder parameters", "encoder MFLOP",
                "agent MFLOP", "training steps a core-second", "acting steps a core-second", "training step, peak MiB",
            ],
            [_cost_row(name, each) for name, each in costs["variants"].items()],
        )  # fmt: skip
    return lines


def _lengths(costs: dict[str, dict[str, float]] | None) -> str:
    if not costs:
        return ""
    lengths = costs["lengths"]
    return (
        f"Recorded lists hold {lengths['mean']:.1f} units in the mean, {lengths['percentile_90']:.0f} at the 90th "
        f"percentile, {lengths['largest']:.0f} at most."
    )


def _decided(trained: Mapping[str, Trained]) -> list[str]:
    """Return which AIs tell nothing."""
    if not (names := decided(trained)):
        return []
    return paragraph(
        f"Against {', '.join(names)} every variant wins less than {100 * ALMOST_NEVER:g} % or more than",
        f"{100 - 100 * ALMOST_NEVER:g} % of the games: variants can differ in the mean only by what they do",
        "against the others.",
    )


def _frozen(results: Results, game_map: str) -> list[str]:
    """Return which trainings won next to nothing, and what the pair's difference is without them."""
    trained = results.trained[game_map]
    of_seeds = [
        (name, seed, mean) for name, each in trained.items() for seed, mean in zip(each.seeds, each.means, strict=True)
    ]
    frozen = [(name, seed, mean) for name, seed, mean in of_seeds if mean < ALMOST_NEVER]
    if not frozen:
        return []
    listed = ", ".join(f"{name} from seed {seed} ({100 * mean:.1f} %)" for name, seed, mean in frozen)
    sentences = [f"Next to nothing was won by {listed}. Such trainings count in all figures."]
    pair = results.pair(game_map, PERCEIVER, TRANSFORMER)
    without = {seed for name, seed, _ in frozen if name in (PERCEIVER, TRANSFORMER)}
    if pair is not None and without & set(pair[0].seeds):
        others = [seed for seed in pair[0].seeds if seed not in without]
        if others:
            found = difference_over_seeds(*(side.of_seeds(others).means for side in pair))
            figures = f"{found.percent()} points over seeds"
            sentences.append(f"{PERCEIVER} minus {TRANSFORMER} without those seeds: {figures}.")
    return paragraph(*sentences)


def _win_row(name: str, trained: Trained, opponents: Sequence[str]) -> list[str]:
    cells = []
    for opponent in opponents:
        rate = trained.against(opponent)
        cells.append(f"{100 * rate.win_rate:.0f} ({100 * rate.low:.0f}-{100 * rate.high:.0f})")
    return [name, str(len(trained.seeds)), *cells, trained.mean.percent(), *_held_out(trained.held_out)]


def _held_out(figures: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the means over seeds; older trainings were not measured on orders alone."""
    accuracy, of_orders, entropy = (statistics.fmean(of.get(key, math.nan) for of in figures) for key in _HELD_OUT)
    return [f"{100 * accuracy:.1f}", "" if math.isnan(of_orders) else f"{100 * of_orders:.1f}", f"{entropy:.3f}"]


def _cost_row(name: str, costs: dict[str, float]) -> list[str]:
    return [
        name,
        f"{costs['encoder_parameters']:,.0f}",
        f"{costs['encoder_flops'] / 1e6:.2f}",
        f"{costs['flops'] / 1e6:.2f}",
        f"{costs[SPEED]:,.0f}",
        f"{costs['acting_steps_per_second']:,.0f}",
        f"{costs['training_peak_mebibytes']:.0f}",
    ]


def _ablations(results: Results) -> list[str]:
    rows = []
    for game_map in results.trained:
        for text, with_it, without in ABLATION_PAIRS:
            pair = results.pair(game_map, with_it, without)
            if pair is not None:
                measured = [[of["order_accuracy"] for of in side.held_out if "order_accuracy" in of] for side in pair]
                complete = all(len(of_side) == len(pair[0].seeds) for of_side in measured)
                accuracy = difference_over_seeds(*measured).percent() if complete else ""
                found = difference_of(*pair)
                figures = (found.over_seeds.percent(), found.over_games.percent(), accuracy)
                rows.append((game_map, text, str(len(pair[0].seeds)), *figures))
    if not rows:
        names = ", ".join((*LATENTS, *ABLATIONS))
        return ["## Ablations", "", *paragraph(f"Not run yet: {names}. The command below runs them.")]
    header = [
        "map",
        "what",
        "seeds",
        "win rate, points (95 % over seeds)",
        "(95 % over games)",
        "held-out accuracy of orders (over seeds)",
    ]
    text = "Differences, with minus without, in points of percent, over the seeds that both were trained from."
    return ["## Ablations", "", text, "", *table(header, rows)]


def write_page(directory: Path, docs: Path) -> Path:
    """Write page and pictures from a run's directory and return the page's path."""
    results = read_results(directory)
    draw_flops(results, docs / PICTURES / FLOPS)
    if results.trained:
        draw_win_rates(results, docs / PICTURES / WIN_RATES)
    path = docs / PAGE
    path.write_text(page(results), encoding="utf-8")
    return path


def main() -> int:
    """Write the page; return 2 where there is nothing to write of."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="output of paper_comparison.py")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where page and pictures go")
    options = parser.parse_args()
    try:
        print(write_page(options.run, options.docs))
    except FileNotFoundError as error:
        print(f"paper_comparison_report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
