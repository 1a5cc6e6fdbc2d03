"""Evaluations on a terminal: as many tables as their columns need, each with what its numbers were measured with."""

import sys
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from ganlm_core.cli.output import REFERENCES
from ganlm_core.comparison import Comparison
from ganlm_core.components import Measure
from ganlm_core.scores import Row, Scores

WIDTH = 110
"""Columns where standard output is no terminal."""

MARK = "*"


def show_scores(scores: Scores) -> None:
    """All rows of all metrics, on standard output."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    groups = list(_groups(scores, console.width))
    for group in groups:
        console.print(_table(scores, group))
        for metric in group:
            for line in _protocol(scores, metric):
                console.print(f"  {line}", style="dim", markup=False)
        console.print()
    if any(scores.seeks_modes(row, measure) for row in scores.rows for _, measure in _columns(scores, scores.measures)):
        console.print(f"{MARK} better than real text: these sentences keep to a mode of it", markup=False)


def show_comparison(found: Comparison) -> None:
    """The standings at matched diversity and what they amount to, on standard output."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for title in ("seeds", found.quality.title, "spread over seeds"):
        table.add_column(title, justify="right")
    for one in found.standings:
        spread = "-" if one.spread is None else f"{one.spread:.3f}"
        mark = MARK * found.better(one.quality, found.real[1])
        table.add_row(one.title, str(one.seeds), cell(found.quality, one.quality) + mark, spread)
    table.add_row("real text", "", cell(found.quality, found.real[1]), "")
    if found.standings:
        console.print(f"{found.quality.title} where {found.diversity.title} is {found.at:.3f}", end="")
        console.print(f"; that of real text is {found.real[0]:.3f}")
        console.print(table)
    for verdict in found.verdicts():
        console.print(verdict, markup=False)


def cell(measure: Measure, value: float | None) -> str:
    """A value as text: shares in per cent, others to three digits or two decimals, a dash for what does not exist."""
    if value is None:
        return "-"
    if measure.share:
        return f"{value:.1%}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.2f}"


def row_title(row: Row) -> str:
    return REFERENCES.get(row.kind, row.title)


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
        marked = [
            cell(measure, row.values.get(measure.name)) + MARK * scores.seeks_modes(row, measure)
            for _, measure in _columns(scores, metrics)
        ]
        temperature = "" if row.temperature is None else f"{row.temperature:g}"
        table.add_row(row_title(row), temperature, f"{row.sentences:,}", *marked)
    return table


def _columns(scores: Scores, metrics: Iterable[str]) -> list[tuple[str, Measure]]:
    return [(metric, measure) for metric in metrics for measure in scores.measures[metric]]


def _protocol(scores: Scores, metric: str) -> Iterator[str]:
    """What a metric was measured with; the rows are named where they differ."""
    said: dict[str, list[str]] = {}
    for row in scores.rows:
        if metric in row.protocol:
            titles = said.setdefault(row.protocol[metric], [])
            titles.extend({row_title(row)} - set(titles))
    for text, titles in said.items():
        yield f"{metric}: {text}" + (f" ({', '.join(titles)})" if len(said) > 1 else "")
