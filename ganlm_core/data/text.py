"""The one definition of words, molecules, lines and equal texts; tokenizers, corpora and metrics all use it."""

import re
from typing import Final
from unicodedata import normalize

FORM: Final = "NFC"
"""The Unicode normal form in which texts are compared and encoded."""

SMILES = (
    r"\[[^\]]+\]|Br|Cl|[BNOSPFICbcnosp]|%[0-9]{2}|[0-9]"  # atoms and rings
    r"|[\s\S]"  # bonds, branches, and what is no SMILES
)
"""The tokens of molecules: the expression of Schwaller et al. 2019. Differs: what it leaves out is a token too."""

_BREAKS_AND_CONTROLS = re.compile(r"[\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029]")


def normal(text: str) -> str:
    """Return the text in normal form (NFC): an accent and its letter become one character where Unicode has it."""
    return normalize(FORM, text)


def words(text: str) -> list[str]:
    """Return the words of the text in normal form.

    Words are separated by the white space of ``str.split``: Unicode white space and U+001C to U+001F.
    """
    return normal(text).split()


def identity(text: str) -> str:
    """Return the form in which texts are compared: the words in normal form, joined by single spaces.

    Two texts are copies of each other if their identities are equal.
    """
    return " ".join(words(text))


def lines(data: str) -> list[str]:
    """Return the lines of the data without their ends. Only ``\\n`` and ``\\r\\n`` end a line."""
    found = [line.removesuffix("\r") for line in data.split("\n")]
    return found if found[-1] else found[:-1]


def one_line(text: str) -> str:
    """Return the text with a space for each line break (``\\r\\n`` counts as one) and control character except the tab.

    A file with one such text per line gives the same texts in every program.
    """
    return _BREAKS_AND_CONTROLS.sub(" ", text.replace("\r\n", " "))
