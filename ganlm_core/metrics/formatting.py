"""Format the values of metrics as text, in one way for terminals, cards and pages. Nothing here imports torch."""

from collections.abc import Sequence
from typing import TypeVar

from ganlm_core.metrics.specs import METRICS

MEASURES = {measure.name: measure for metric in METRICS for measure in metric.measures}
"""The measures of the built-in metrics by name."""

SHARES = {name for name, measure in MEASURES.items() if measure.share}
"""Values that are shown in per cent."""

NO_VALUE = "-"
"""The cell of a row that has no value."""

Cell = TypeVar("Cell")


def format_value(value: float | None, share: bool = False) -> str:
    """Return a share in per cent, another number with three decimals below 1 and two above, NO_VALUE for None."""
    if value is None:
        return NO_VALUE
    if share:
        return f"{value:.1%}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.2f}"


def format_metric(name: str, value: float | None) -> str:
    """Return the value of the measure ``name``, see :func:`format_value`; measures of plugins are no shares."""
    return format_value(value, name in SHARES)


def without_empty_columns(table: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Return a table (a row of titles, then rows of as many cells) without the columns in which no row has a value.

    The first column, which names the rows, always stays.
    """
    _, *rows = table
    others = range(1, len(table[0]))
    kept = [0, *(place for place in others if any(str(row[place]) not in ("", NO_VALUE) for row in rows))]
    return [[line[place] for place in kept] for line in table]
