"""Words, identity and lines of texts: one definition for reading, writing, encoding and comparing."""

import subprocess
import sys
import unicodedata

import pytest

from ganlm_core.data.text import identity, lines, one_line, words

SEPARATORS = [chr(code) for code in range(0x110000) if chr(code).isspace()]
BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
"""All that ``str.splitlines`` takes for the end of a line."""


def test_every_white_space_separates_words() -> None:
    assert "\x1f" in SEPARATORS and "\u3000" in SEPARATORS
    for separator in SEPARATORS:
        assert words(f"{separator}one{separator}{separator}two ") == ["one", "two"], repr(separator)


def test_format_characters_do_not_separate_words() -> None:
    assert words("one\u200btwo\ufeffthree") == ["one\u200btwo\ufeffthree"]


@pytest.mark.parametrize(
    "copy",
    ["the  café sleeps", "the\tcafé sleeps", " the café\u00a0sleeps ", "the\x1fcafé sleeps", "the cafe\u0301 sleeps"],
)
def test_white_space_and_normal_form_do_not_hide_a_copy(copy: str) -> None:
    assert identity(copy) == identity("the café sleeps") == "the café sleeps"


def test_case_and_punctuation_make_another_text() -> None:
    assert len({identity(text) for text in ("a cat", "A cat", "a cat.", "acat", "a ćat")}) == 5


def test_only_line_feeds_end_a_line() -> None:
    assert lines("one\ntwo\r\n\nthree") == ["one", "two", "", "three"]
    assert lines("one\n") == ["one"] and lines("\n") == [""] and lines("") == []
    kept = "a\rb\vc\fd\x1ce\x85f\u2028g\u2029h"
    assert lines(f"{kept}\n{kept}\n") == [kept, kept]


@pytest.mark.parametrize("line_break", BREAKS)
def test_a_text_in_one_line_is_read_back_as_one(line_break: str) -> None:
    text = one_line(f"one{line_break}two")
    assert text == "one two"
    assert text.splitlines() == lines(text + "\n") == [text]


def test_no_control_character_is_left_but_the_tab() -> None:
    every = "".join(map(chr, range(0x3000)))
    left = [character for character in one_line(every) if unicodedata.category(character) in ("Cc", "Zl", "Zp")]
    assert left == ["\t"]
    assert one_line("naïve 日本 \u200d\t.") == "naïve 日本 \u200d\t."


def test_no_torch_is_imported() -> None:
    program = "import sys, ganlm_core.data.text; sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    subprocess.run([sys.executable, "-c", program], check=True)
