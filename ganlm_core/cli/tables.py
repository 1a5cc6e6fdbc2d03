"""Evaluations on a terminal: as many tables as their columns need, each with what its numbers were measured with."""

import sys
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from ganlm_core.components import Measure
from ganlm_core.evaluation.compare import Comparison
from ganlm_core.evaluation.scores import MARK, Scores

WIDTH = 110
"""Columns where standard output is no terminal."""


def show_scores(scores: Scores) -> None:
    """All rows of all metrics, on standard output."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    groups = list(_groups(scores, console.width))
    for group in groups:
        console.print(_table(scores, group))
        for metric in group:
            for line in scores.protocol(metric):
                console.print(f"  {line}", style="dim", markup=False)
        console.print()
    if any(scores.seeks_modes(row, measure) for row in scores.rows for _, measure in _columns(scores, scores.measures)):
        console.print(f"{MARK} better than real text: these sentences keep to a mode of it", markup=False)


def show_comparison(found: Comparison) -> None:
    """The standings at matched diversity and what they amount to, on standard output."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    if found.standings:
        console.print(f"{found.quality.title} where {found.diversity.title} is {found.at:.3f}", end="")
        console.print(f"; that of real text is {found.real.diversity:.3f}")
        console.print(titled_rows(found.table()))
    for verdict in found.verdicts():
        console.print(verdict, markup=False)


def titled_rows(lines: Sequence[Sequence[str]]) -> Table:
    """A table of a line of titles and rows, whose first cells are titles too and whose others are numbers."""
    header, *rows = lines
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(header[0], no_wrap=True)
    for title in header[1:]:
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _groups(scores: Scores, width: int) -> Iterator[list[str]]:
    """Metrics whose columns fit beside each other."""
    group: list[str] = []
    for metric in scores.measures:
        if group and _width(scores, [*group, metric]) > width:
            yield group
            group = []
        group.append(metric)
    if group:
        yield group


def _width(scores: Scores, metrics: Sequence[str]) -> int:
    console = Console(width=10_000)
    return console.measure(_table(scores, metrics)).maximum


def _table(scores: Scores, metrics: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("T", justify="right")
    table.add_column("sentences", justify="right")
    for _, measure in _columns(scores, metrics):
        table.add_column(measure.title, justify="right", no_wrap=True)
    for row in scores.rows:
        cells = [scores.cell(row, measure) for _, measure in _columns(scores, metrics)]
        table.add_row(row.shown, row.at, f"{row.sentences:,}", *cells)
    return table


def _columns(scores: Scores, metrics: Iterable[str]) -> list[tuple[str, Measure]]:
    return [(metric, measure) for metric in metrics for measure in scores.measures[metric]]
