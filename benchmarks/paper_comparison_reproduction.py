"""What the comparison's page says of its run: the commands that repeat it, the machine, the time it took."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

from paper_comparison_plan import CHOSEN_BY_OPTION, PERCEIVER, TINY, VARIANTS, Budget
from paper_comparison_results import SPEED, Results
from paper_comparison_text import paragraph


def how_to_repeat(results: Results) -> list[str]:
    """Return the lines of the page's last section."""
    lines = [
        "## Again",
        "",
        "Each of these commands but the last goes on where it was interrupted.",
        "",
        "```console",
        *(f"python benchmarks/paper_comparison.py --output comparison {options}" for options in _options(results)),
        "python benchmarks/paper_comparison_report.py comparison --docs docs",
        "```",
        "",
    ]
    machines = [costs["machine"] for costs in results.costs.values() if SPEED in costs["variants"][PERCEIVER]]
    named = dict.fromkeys(f"{machine['processor']}, {machine['usable_cores']} cores" for machine in machines)
    sentences = []
    if named:
        sentences += [
            f"Costs were measured on {' and '.join(named)}, side by side in one process for each map, so that other",
            "work falls on all of them alike.",
        ]
    for name, variants in results.trained.items():
        seconds = [time for each in variants.values() for time in each.seconds]
        minutes = statistics.fmean(seconds) / 60
        processors = Counter(processor for each in variants.values() for processor in each.processors)
        where = next(iter(processors))
        if len(processors) > 1:
            where = " and ".join(f"{processor} ({number} of them)" for processor, number in processors.items())
        sentences.append(
            f"On the {name} map, a training and its games took {minutes:.1f} minutes in the mean, on {where}."
        )
        devices = Counter(device for each in variants.values() for device in each.learnt_on)
        gpus = [f"{number} of these trainings on {device}" for device, number in devices.items() if device != "cpu"]
        if gpus:
            sentences.append(f"A GPU learnt in {' and '.join(gpus)}; all games were played on processors.")
    return [*lines, *paragraph(*sentences)]


def _options(results: Results) -> Iterator[str]:
    """Yield what the trainings were asked for by: for each map, variants with the same seeds at once."""
    budget = "".join(f"{option} " for option in _budget_options(Budget.from_dict(results.plan["budget"])))
    for game_map, variants in results.trained.items():
        by_seeds: dict[tuple[int, ...], list[str]] = {}
        for name, trained in variants.items():
            by_seeds.setdefault(trained.seeds, []).append(name)
        for seeds, names in by_seeds.items():
            asked = "" if names == list(VARIANTS) else f"--variants {' '.join(names)} "
            yield f"{budget}--maps {game_map} {asked}--seeds {' '.join(map(str, seeds))}"


def _budget_options(budget: Budget) -> list[str]:
    """Return the options that ask for a budget."""
    is_tiny = budget.max_steps == TINY.max_steps
    usual = TINY if is_tiny else Budget()
    changes = {
        name: getattr(budget, name) for name in CHOSEN_BY_OPTION if getattr(budget, name) != getattr(usual, name)
    }
    options = [f"--{name.replace('_', '-')} {value}" for name, value in changes.items()]
    return ["--tiny", *options] if is_tiny else options
