"""TOML with bounds that hold before it is parsed: what nests deeply takes much memory, or more stack than there is."""

import re
from typing import Any

DEEPEST = 8
"""Arrays and inline tables inside each other."""

MOST_PARTS = 16
"""Parts of a dotted key or of the name of a table; tomllib's time and memory grow with their square."""

_KEY = r"""(?:[\w-]+|"(?:\\.|[^"\\\n])*+(?:"|(?=\n)|\Z)|'[^'\n]*+(?:'|(?=\n)|\Z))"""
_TOKEN = re.compile(
    rf"""
    \#[^\n]*+                                        # a comment
    | \"\"\" (?:\\.|[^\\])*? (?:\"\"\"(?!\")|\Z)     # a text of several lines; what is not closed goes to the end
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

    Raises ValueError for what is not TOML, nests deeper than ``DEEPEST`` or has keys of more than ``MOST_PARTS`` parts.
    """
    import tomllib  # here, because most commands read no TOML

    text = text.removeprefix("\ufeff")
    _check_bounds(text)
    return tomllib.loads(text)


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
