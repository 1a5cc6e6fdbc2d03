"""rich's console for commands: it escapes control characters on a terminal and cuts nothing in a pipe."""

import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ganlm_core.system.printable import printable

UNLIMITED = 10_000
"""Columns of a standard output that is not a terminal: no cell is cut or wrapped."""


class SafeConsole(Console):
    """A console that escapes control characters in all text."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def results() -> SafeConsole:
    """Return the console of standard output."""
    console = SafeConsole(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = UNLIMITED
    return console


def width_of(table: Table) -> int:
    """Return the width of a table without cuts, in columns."""
    return SafeConsole(width=UNLIMITED).measure(table).maximum


def diagnostics() -> SafeConsole:
    """Return the console of standard error."""
    return SafeConsole(stderr=True, highlight=False, soft_wrap=True)
