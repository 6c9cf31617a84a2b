"""What the commands print while they work: progress on a live line, and tables of results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.episode_evaluation import ReturnResult
    from training.evaluation import MatchResult
    from training.loop import Update
    from training.saved_run import SavedRun

_PLAIN_LINE_SECONDS = 15.0
_TABLE_WIDTH = 120


@contextmanager
def _live_line(bar: bool) -> Iterator[Callable[[str, float, bool], None]]:
    """Give a function that shows text and share done: on a live line, or now and then on lines of its own."""
    if not sys.stdout.isatty():
        next_line = 0.0

        def show_plainly(text: str, share: float, last: bool) -> None:
            nonlocal next_line
            if last or time.monotonic() >= next_line:
                next_line = time.monotonic() + _PLAIN_LINE_SECONDS
                print(f"{100 * share:3.0f} % | {text}", flush=True)

        yield show_plainly
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = [*([BarColumn(bar_width=12)] if bar else []), TaskProgressColumn(), TextColumn("{task.description}")]
    with Progress(*columns, refresh_per_second=4) as live:
        task = live.add_task("starting", total=1.0)
        yield lambda text, share, last: live.update(task, description=text, completed=share)


@contextmanager
def training_progress(run: SavedRun) -> Iterator[Callable[[Update], None]]:
    """Give a function that shows each update."""
    line, schedule = run.progress_line(), run.schedule
    with _live_line(bar=True) as show:
        yield lambda update: show(line.text(update), update.progress.share(schedule), run.complete)


@contextmanager
def counting(doing: str, things: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many of all things are done."""
    with _live_line(bar=True) as show:
        yield lambda done, total: show(f"{doing}: {done} of {total} {things}", done / max(total, 1), done == total)


def print_matches(results: Sequence[MatchResult], baseline: Sequence[MatchResult] = ()) -> None:
    """Print win rates, beside those before training."""
    from training.evaluation import has_repeats, result_table

    if results:
        modes = " and ".join(dict.fromkeys(result.mode for result in results))
        print(f"{results[0].contestant} ({modes}) on {results[0].place}, win rates with their 95 % interval")
        _print_table(*result_table(results, baseline))
        if any(has_repeats(result) for result in results):
            print("N different: the other games repeat these move by move, and the interval takes them for new ones")


def print_returns(results: Sequence[ReturnResult]) -> None:
    """Print mean returns."""
    from training.episode_evaluation import return_table

    if results:
        print(f"{results[0].place}, mean returns with their 95 % interval")
        _print_table(*return_table(results))


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in header:
        table.add_column(column, justify="left" if column in ("opponent", "agent", "mode") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # Not cut to the width of a terminal, which wraps what is longer: figures that are cut are wrong ones.
    Console(width=max(_TABLE_WIDTH, Console().width)).print(table)
