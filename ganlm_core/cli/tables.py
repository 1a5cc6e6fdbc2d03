"""Tables of evaluations: as many as their columns need, each with the protocol of its metrics below it."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from ganlm_core.cli import console
from ganlm_core.evaluation.compare import Comparison
from ganlm_core.evaluation.scores import MARK, Scores, discriminator_remark

WIDTH = 110
"""Columns that a group of metrics may take where standard output is not a terminal."""


def show_scores(scores: Scores) -> None:
    """Write all rows of all metrics to standard output."""
    out = console.results()
    for group in _groups(scores, min(out.width, WIDTH) if not out.is_terminal else out.width):
        out.print(titled_rows(scores.table(group)))
        for metric in group:
            for line in scores.protocol(metric):
                out.print(f"  {line}", style="dim", markup=False)
        out.print()
    for row in scores.rows:
        real = scores.conditions.get("test", {}).get("sentences", row.sentences)
        told = discriminator_remark(row.values, row.sentences, real) if row.temperature == 1 else ""
        if told:
            out.print(f"{row.shown}: {told}", markup=False, soft_wrap=True)
    if scores.marked:
        out.print(f"{MARK} better than real text: these samples cover only a mode of it", markup=False)


def show_comparison(found: Comparison) -> None:
    """Write the standings at matched diversity and the verdicts to standard output."""
    out = console.results()
    if found.standings:
        out.print(str(found), markup=False)
        out.print(titled_rows(found.table()))
    for verdict in found.verdicts():
        out.print(verdict, markup=False, soft_wrap=True)


def titled_rows(lines: Sequence[Sequence[str]]) -> Table:
    """Return a table of a header and rows. The first cell of a row is its title, all other cells are numbers."""
    header, *rows = lines
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(header[0], overflow="fold")
    for title in header[1:]:
        table.add_column(title, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _groups(scores: Scores, width: int) -> Iterator[list[str]]:
    """Yield groups of metrics whose columns fit beside each other."""
    group: list[str] = []
    for metric in scores.measures:
        if group and _width(scores, [*group, metric]) > width:
            yield group
            group = []
        group.append(metric)
    if group:
        yield group


def _width(scores: Scores, metrics: Sequence[str]) -> int:
    return console.width_of(titled_rows(scores.table(metrics)))
