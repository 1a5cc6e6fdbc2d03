"""The one definition of words, of lines, and of equal texts; tokenizers, corpora and metrics all use it."""

import re
from typing import Final
from unicodedata import normalize

FORM: Final = "NFC"
"""The Unicode normal form in which texts are compared and encoded."""

_BREAKS_AND_CONTROLS = re.compile(r"[\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029]")


def normal(text: str) -> str:
    """Return the text in the one normal form, in which an accent is part of its letter where Unicode has such a one."""
    return normalize(FORM, text)


def words(text: str) -> list[str]:
    """Return the words of the text in normal form.

    Words are separated by what ``str.split`` takes for white space: Unicode white space and U+001C to U+001F.
    """
    return normal(text).split()


def identity(text: str) -> str:
    """Return the form in which texts are compared: the words in normal form, one space between two.

    Two texts are copies of each other where their identities are equal.
    """
    return " ".join(words(text))


def lines(data: str) -> list[str]:
    """Return the lines of the data without their ends. Only ``\\n`` and ``\\r\\n`` end a line."""
    found = [line.removesuffix("\r") for line in data.split("\n")]
    return found if found[-1] else found[:-1]


def one_line(text: str) -> str:
    """Return the text with a space for each line break (``\\r\\n`` is one) and each control character but the tab.

    A text that was written so, one a line, is read back as one text by every program.
    """
    return _BREAKS_AND_CONTROLS.sub(" ", text.replace("\r\n", " "))
