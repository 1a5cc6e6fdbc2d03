"""Text on a terminal: nothing in it moves the cursor, turns the direction or hides."""

import json
import sys
import unicodedata

import pytest

from ganlm_core.system.printable import printable, shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the cat sat", "the cat sat"),
        ("zwölf 猫 👩‍🚀 \u00a0", "zwölf 猫 👩‍🚀 \u00a0"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b]52;c;cm0=\x07", "\\x1b]52;c;cm0=\\x07"),
        ("over\rwritten\x08", "over\\rwritten\\x08"),
        ("\x9b2J\x7f\x00", "\\x9b2J\\x7f\\x00"),
        ("abc\u202edcb\u2066", "abc\\u202edcb\\u2066"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("\ufeffa\u200bb", "\\ufeffa\\u200bb"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_escapes_what_acts_on_a_terminal_and_nothing_else(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_escapes_every_control_character_and_every_format_character_but_joiners() -> None:
    letters_need = {"\u200c", "\u200d", "\u00ad"}  # joiners, in Persian and in emoji, and the soft hyphen
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        kind = unicodedata.category(character)
        if kind in ("Cc", "Zl", "Zp", "Cs") and character not in "\n\t":
            assert printable(character).startswith("\\"), hex(code)
        if unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"):
            assert printable(character).startswith("\\"), hex(code)
        if kind[0] in "LMNPS" or character in letters_need:
            assert printable(character) == character, hex(code)


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("\x1b" * 9, 10, "\\x1b\\x1..."),
        ("\x1b", 4, "\\x1b"),
        ("abc", 2, ".."),
        ("", 0, ""),
    ],
)
def test_cuts_what_is_longer_than_the_limit(text: str, limit: int, shown: str) -> None:
    assert printable(text, limit) == shown
    assert len(printable(text, limit)) <= limit


class Quoted:
    def __repr__(self) -> str:
        return "\x1b[2J"


def test_a_value_in_a_message_is_short_and_on_one_line() -> None:
    assert shown("\x1b[2J\n") == r"'\x1b[2J\n'"
    assert shown(Quoted()) == r"\x1b[2J"
    assert [len(shown(value)) for value in ("x" * 10**6, 10**400)] == [80, 40]
    assert len(shown(json.loads("[" * 50 + "]" * 50))) < 100
