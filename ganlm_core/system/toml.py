"""Parse TOML after checking its bounds, as deep nesting would exhaust the memory or the stack; its dotted keys."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 8
"""Maximum nesting of arrays and inline tables."""

MOST_PARTS = 16
"""Maximum number of parts of a dotted key or of a table name; tomllib's time and memory grow with their square."""

_KEY = r"""(?:[\w-]+|"(?:\\.|[^"\\\n])*+(?:"|(?=\n)|\Z)|'[^'\n]*+(?:'|(?=\n)|\Z))"""
_TOKEN = re.compile(
    rf"""
    \#[^\n]*+                                        # a comment
    | \"\"\" (?:\\.|[^\\])*? (?:\"\"\"(?!\")|\Z)     # a text of several lines; an unclosed text goes to the end
    | ''' .*? (?:'''(?!')|\Z)
    | (?P<key>{_KEY}(?:[ \t]*+\.[ \t]*+{_KEY})*+)    # a key, dotted or not, or a value
    | (?P<open>[\[{{])
    | (?P<close>[\]}}])
    """,
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(_KEY, re.DOTALL)


def parse(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text, which may begin with a byte order mark.

    Raises ValueError for text that is not TOML, nests deeper than ``DEEPEST``, or has keys with more than
    ``MOST_PARTS`` parts.
    """
    import tomllib  # here, because most commands read no TOML

    text = text.removeprefix("\ufeff")
    _check_bounds(text)
    return tomllib.loads(text)


def flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of nested tables with its dotted key: ``("generator.lstm.layers", 2)``."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _check_bounds(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        if token["key"]:
            parts = sum(1 for _ in _PART.finditer(token["key"]))
            if parts > MOST_PARTS:
                raise ValueError(f"{_line(text, token)} has a key of {parts} parts, more than the {MOST_PARTS} allowed")
        elif token["open"]:
            depth += 1
            if depth > DEEPEST:
                raise ValueError(f"{_line(text, token)} nests deeper than the {DEEPEST} levels allowed")
        elif token["close"]:
            depth -= 1


def _line(text: str, token: re.Match[str]) -> str:
    return f"line {text.count(chr(10), 0, token.start()) + 1}"
