"""Tables of numbers with their spread, for manuscripts: CSV, LaTeX, Markdown and JSON. It imports no torch.

The spread sets the digits: a mean has three significant digits, or more if the first digit of its standard deviation
comes later, and none beyond the second digit of that. CSV and JSON have all digits.
Modules of the standard library that only tables need are imported where they are used.
"""

import io
import math
import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ganlm_core.metrics.formatting import NO_VALUE, format_value, without_empty_columns

FORMATS = ("table", "csv", "latex", "markdown", "json")
"""The forms of a table; the first is for people at a terminal."""

SIGNIFICANT, OF_SPREAD, MORE = 3, 2, 3
"""Significant digits of a mean and of a standard deviation, and how many more a mean may have for a small spread."""

EQUAL = 1e-12
"""A standard deviation below this share of the mean is rounding error: the values are equal."""

TITLE = 12
"""Characters in a line of a title in LaTeX."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",
    **{each: f"\\{each}" for each in "&%$#_{}"},
}
_NUMBER = re.compile(r"[-+]?\d[\d.,]*( ± [\d.,]+)?%?\*?")
_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))


@dataclass(frozen=True)
class Number:
    """A mean over ``count`` values with their standard deviation ``spread``, which one value does not have."""

    mean: float | None
    spread: float | None = None
    count: int = 1
    share: bool = False
    mark: str = ""

    @classmethod
    def of_each(cls, rows: Collection[Mapping[str, float]], name: str, share: bool = False) -> "Number":
        """Return the mean of a value over rows; a missing number if a row lacks it: a mean over the others flatters."""
        values = [row[name] for row in rows if name in row]
        return cls.of(values if len(values) == len(rows) else [], share)

    @classmethod
    def of_shared(cls, rows: Iterable[tuple[object, Mapping[str, float]]], name: str, share: bool = False) -> "Number":
        """Return the mean of a value over (seed, row) pairs; equal values of one seed are one measurement."""
        found = dict.fromkeys((seed, row[name]) for seed, row in rows if name in row)
        return cls.of((value for _, value in found), share)

    @classmethod
    def of(cls, values: Iterable[float], share: bool = False) -> "Number":
        """Return the mean of values; without values, a missing number."""
        import statistics

        found = list(values)
        if not found:
            return cls(None, count=0, share=share)
        return cls(statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None, len(found), share)

    @property
    def parts(self) -> tuple[str, str]:
        """The mean and the spread as text, without a sign of per cent; the spread is empty if there is none."""
        if self.mean is None:
            return NO_VALUE, ""
        scale = 100 if self.share else 1
        mean, spread = self.mean * scale, None if self.spread is None else self.spread * scale
        places = decimals(mean, spread)
        return _rounded(mean, places), "" if spread is None else _rounded(spread, places)

    def __str__(self) -> str:
        mean, spread = self.parts
        unit = "%" if self.share and self.mean is not None else ""
        return f"{mean}{f' ± {spread}' if spread else ''}{unit}{self.mark}"

    def latex(self) -> str:
        """Return the number for LaTeX, in math where it has a spread."""
        mean, spread = (part.replace(",", "{,}") for part in self.parts)
        if self.mean is None:
            return "--"
        value = rf"{mean} \pm {spread}" if spread else mean
        return f"${value}${escaped('%' * self.share)}{self.mark}"


@dataclass(frozen=True)
class Value(Number):
    """One value, with the digits that it has in all tables without spreads, see :func:`format_value`."""

    @property
    def parts(self) -> tuple[str, str]:
        return format_value(self.mean, self.share).removesuffix("%"), ""


Cell = str | Number


@dataclass(frozen=True)
class Table:
    """A header and rows of text and numbers. The first column names the rows; ``notes`` belong below the table."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    def lines(self) -> list[list[str]]:
        """Return the header and the rows as text, without columns in which no row has a value."""
        shown = self._shown()
        return [list(shown.header), *([str(cell) for cell in row] for row in shown.rows)]

    def _shown(self) -> "Table":
        header, *rows = without_empty_columns([self.header, *self.rows])
        return replace(self, header=[str(title) for title in header], rows=rows)

    def _sides(self, right: str, left: str) -> list[str]:
        """Return the alignment of each column but the first, which names the rows: numbers are to the right."""
        return [right if self._is_numeric(place) else left for place in range(1, len(self.header))]

    def _is_numeric(self, place: int) -> bool:
        cells = [row[place] for row in self.rows]
        return all(isinstance(cell, Number) or cell in ("", NO_VALUE) or _NUMBER.fullmatch(cell) for cell in cells)

    def records(self) -> list[dict[str, Any]]:
        """Return each row as a mapping. A number is a mapping of its mean, its spread and its count."""
        return [
            {
                title or "name": {"mean": cell.mean, "sd": cell.spread, "n": cell.count}
                if isinstance(cell, Number)
                else cell
                for title, cell in zip(self.header, row, strict=True)
            }
            for row in self.rows
        ]

    def text(self, form: str) -> str:
        """Return the table in a form of FORMATS other than the first."""
        return {"csv": self.csv, "latex": self.latex, "markdown": self.markdown, "json": self.json}[form]()

    def csv(self) -> str:
        """Return comma-separated values with all digits. A number with a spread has three columns: mean, sd, n."""
        import csv

        numbers = [
            place for place in range(len(self.header)) if any(isinstance(row[place], Number) for row in self.rows)
        ]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(
            [
                name
                for place, title in enumerate(self.header)
                for name in ([title, f"{title} sd", f"{title} n"] if place in numbers else [title or "name"])
            ]
        )
        for row in self.rows:
            writer.writerow([part for place, cell in enumerate(row) for part in _spelt(cell, place in numbers)])
        return out.getvalue()

    def latex(self) -> str:
        """Return a table that needs the package booktabs. Its text is escaped."""
        shown = self._shown()
        header = " & ".join(map(_stacked, shown.header)) + r" \\"
        rows = [" & ".join(map(_latex, row)) + r" \\" for row in shown.rows]
        notes = [rf"\par\smallskip\raggedright {escaped(note)}" for note in self.notes]
        return "\n".join(
            [
                r"% needs \usepackage{booktabs}",
                r"\begin{table}",
                r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
                *([rf"\caption{{{escaped(self.caption)}}}"] if self.caption else []),
                r"\begin{tabular}{l" + "".join(shown._sides("r", "l")) + "}",
                r"\toprule",
                header,
                r"\midrule",
                *rows,
                r"\bottomrule",
                r"\end{tabular}",
                *notes,
                r"\end{table}",
                "",
            ]
        )

    def markdown(self) -> str:
        """Return a Markdown table, its notes below it."""
        header, *rows = [[cell.replace("|", "\\|") for cell in line] for line in self.lines()]
        lines = [header, ["---", *self._shown()._sides("---:", "---")], *rows]
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        return table + "".join(f"\n{note}\n" for note in self.notes)

    def json(self) -> str:
        import json

        return json.dumps({"rows": self.records(), "notes": list(self.notes)}, indent=2, ensure_ascii=False) + "\n"


def decimals(mean: float, spread: float | None) -> int:
    """Return the decimal places of a mean and its spread; negative places mean tens, hundreds, ..."""
    of_mean = SIGNIFICANT - 1 - _magnitude(mean) if mean else None
    if not spread or spread < EQUAL * abs(mean):
        return max(of_mean or 0, 0)
    first, last = -_magnitude(spread), OF_SPREAD - 1 - _magnitude(spread)
    if of_mean is None:
        return last
    return min(last, max(of_mean, min(first, of_mean + MORE)))


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _rounded(value: float, places: int) -> str:
    return f"{round(value, places) + 0.0:,.{max(places, 0)}f}"  # zero, not minus zero


def _spelt(cell: Cell, is_number: bool) -> list[str]:
    """Return the fields of a cell in CSV. Text that a spreadsheet would run as a formula is quoted."""
    if isinstance(cell, Number):
        values = ["" if value is None else repr(float(value)) for value in (cell.mean, cell.spread)]
        return [*values, str(cell.count)]
    text = f"'{cell}" if cell[:1] in ("=", "+", "@") else cell
    return ["" if text == NO_VALUE else text, "", ""] if is_number else [text]


def _latex(cell: Cell) -> str:
    return cell.latex() if isinstance(cell, Number) else escaped(cell)


def _stacked(title: str) -> str:
    """Return a title for LaTeX, long ones in several lines, so that a table fits into a column."""
    lines = [escaped(line) for line in textwrap.wrap(title, TITLE, break_long_words=False)]
    stacked = r" \\ ".join(lines)
    return rf"\shortstack[r]{{{stacked}}}" if len(lines) > 1 else stacked


def escaped(text: str) -> str:
    """Return text for LaTeX, its special characters escaped."""
    return _SPECIAL.sub(lambda match: _LATEX[match[0]], text)
