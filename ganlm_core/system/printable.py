"""Text that is safe to show on a terminal."""

import re
import reprlib

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters; line feeds and tabs stay
    "\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidi overrides, invisible marks
    "\ud800-\udfff\U000e0000-\U000e007f]"  # lone surrogates, which cannot be encoded, and tags
)

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80


def printable(text: str, limit: int | None = None) -> str:
    r"""Escape the characters of ``text`` that could control a terminal: ``\x1b``, ``\u202e``. Line feeds and tabs stay.

    If the result is longer than ``limit`` characters, it is cut and ends with an ellipsis.
    """
    cut = limit is not None and len(text) > limit
    shown = text[:limit] if cut else text
    if not shown.isprintable():
        shown = _UNPRINTABLE.sub(_escaped, shown)
    if limit is not None and (cut or len(shown) > limit):
        return shown[: max(limit - 3, 0)] + "..."[:limit]
    return shown


def shown(value: object) -> str:
    """Return a value from a file or a user for use in a message: on one line, escaped, and short whatever its size."""
    return printable(_REPR.repr(value))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
