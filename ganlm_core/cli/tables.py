"""Tables of evaluations: as many as their columns need, each with the protocol of its metrics below it."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from ganlm_core.cli import console
from ganlm_core.evaluation.compare import Comparison
from ganlm_core.evaluation.scores import MARKED, Scores, discriminator_remark, in_groups

WIDTH = 110
"""Columns that a group of metrics may take where standard output is not a terminal."""


def show_scores(scores: Scores) -> None:
    """Write all rows of all metrics to standard output."""
    out = console.results()
    width = out.width if out.is_terminal else min(out.width, WIDTH)
    for group in in_groups(scores.measures, lambda metrics: console.width_of(_table(scores, metrics)) <= width):
        out.print(_table(scores, group))
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
        out.print(MARKED, markup=False)


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


def _table(scores: Scores, metrics: Sequence[str]) -> Table:
    return titled_rows(scores.table(metrics).lines())
