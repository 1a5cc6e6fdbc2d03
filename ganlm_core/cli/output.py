"""Write results to standard output and notes to standard error. Every command writes through this module.

Text for people and tables are always escaped with :func:`ganlm_core.system.printable.printable`. Data for programs is
escaped on a terminal only; in a pipe or a file it stays as it is. Nothing here imports rich, so listings start at once.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from ganlm_core.cli.context import is_quiet
from ganlm_core.data.text import one_line
from ganlm_core.system.printable import printable

LONGEST_LINE = 5_000
"""Characters of a line on a terminal; longer lines are cut."""

LONGEST_CELL = 300
"""Characters of a cell of a table on a terminal; longer cells are cut."""

NARROWEST = 12
"""Columns of a terminal below which no column of a table is narrowed."""

GAP = "  "

_BREAKS = re.compile(r"\s+|(?<=\w-)(?=\w)")
"""The places where textwrap breaks a cell: white space and hyphens inside a word."""


def echo(text: str = "") -> None:
    """Write a line for people to standard output. Line breaks inside the text are escaped too."""
    _write(printable(_without_breaks(text), _longest()) + "\n")


def echo_data(text: str) -> None:
    """Write text for programs to standard output, as it is in a pipe or a file. It has its own line breaks."""
    _write(safe(text, LONGEST_LINE) if _on_terminal() else text)


def styled(text: str, **style: Any) -> str:
    """Return a piece of data in colours, for :func:`echo_styled`."""
    return click.style(safe(text, LONGEST_LINE) if _on_terminal() else text, **style)


def echo_styled(text: str) -> None:
    """Write a line of :func:`styled` pieces to standard output; colours are shown only on a terminal."""
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def echo_json(value: Any) -> None:
    """Write a value as indented JSON to standard output; numbers that JSON does not have become null."""
    import json

    from ganlm_core.system.files import finite

    echo_data(json.dumps(finite(value), indent=2, ensure_ascii=False) + "\n")


def note(text: str) -> None:
    """Write a line to standard error, unless ``--quiet`` was given."""
    if not is_quiet():
        _write_error(text)


def warn(text: str) -> None:
    """Write a warning to standard error, ``--quiet`` or not."""
    _write_error(f"warning: {text}")


def error(text: str) -> None:
    """Write the one line of an error to standard error."""
    _write_error(f"ganlm: error: {' '.join(text.split())}")


def trace() -> None:
    """Write the traceback of the current exception to standard error."""
    import traceback

    for line in traceback.format_exc().rstrip("\n").split("\n"):
        _write_error(line)


def safe(text: str, longest: int | None = None) -> str:
    """Return printable text, every line of it cut to ``longest`` characters if that is given."""
    return "\n".join(printable(line, longest) for line in text.split("\n"))


def echo_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write aligned columns. On a terminal, long cells are wrapped to fit its width; elsewhere nothing is cut."""
    on_terminal = _on_terminal()
    longest = LONGEST_CELL if on_terminal else None
    lines = [[printable(_without_breaks(cell), longest) for cell in line] for line in (header, *rows)]
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    if on_terminal:
        import shutil

        widths = _fit(columns, widths, shutil.get_terminal_size().columns - len(GAP) * (len(widths) - 1))
    for line in lines:
        for parts in _wrapped(line, widths):
            _write(GAP.join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip() + "\n")


def _fit(columns: Sequence[Sequence[str]], widths: Sequence[int], room: int) -> list[int]:
    """Return widths that fit into ``room``: the widest columns are narrowed, and words are broken only if they must."""
    fitted = list(widths)
    words = [max(len(word) for cell in column for word in _BREAKS.split(cell)) for column in columns]
    for narrowest in (words, [NARROWEST] * len(fitted)):
        while sum(fitted) > room:
            index = max(range(len(fitted)), key=lambda each: (fitted[each] > narrowest[each], fitted[each]))
            if fitted[index] <= narrowest[index]:
                break
            fitted[index] -= 1
    return fitted


def _wrapped(line: Sequence[str], widths: Sequence[int]) -> Iterator[Sequence[str]]:
    """Yield the lines of one row, whose cells are broken at these widths."""
    if all(len(cell) <= width for cell, width in zip(line, widths, strict=True)):
        yield line
        return
    import textwrap

    cells = [textwrap.wrap(cell, width) for cell, width in zip(line, widths, strict=True)]
    for index in range(max(map(len, cells))):
        yield [cell[index] if index < len(cell) else "" for cell in cells]


def in_one_line(text: str) -> str:
    """Return a sentence as one line: printable on a terminal; elsewhere with spaces for line breaks and controls."""
    return printable(_without_breaks(text)) if _on_terminal() else one_line(text)


def _without_breaks(text: str) -> str:
    return text.replace("\n", "\\n").replace("\t", " ")


def _on_terminal() -> bool:
    return sys.stdout.isatty()


def _longest() -> int | None:
    return LONGEST_LINE if _on_terminal() else None


def _write(text: str) -> None:
    """Write text, with escapes for characters that the encoding of standard output lacks, such as lone surrogates."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _write_error(text: str) -> None:
    sys.stderr.write(printable(_without_breaks(text), LONGEST_LINE) + "\n")
    sys.stderr.flush()
