"""Rewards of the text alone, by hand."""

from ganlm_core.rewards.options import LengthOptions, RegexOptions
from ganlm_core.rewards.texts import Length, Regex


def test_a_pattern_is_searched_for_anywhere() -> None:
    assert Regex(RegexOptions(pattern=r"\bcat\b"))(["the cat", "cats", ""], {}) == [1.0, 0.0, 0.0]


def test_a_length_within_bounds_is_paid_in_full() -> None:
    options = LengthOptions(shortest=2, longest=3)
    assert Length(options)(["a b", "a b c", "a", "", "a b c d e"], {}) == [1.0, 1.0, 1 / 2, 1 / 3, 1 / 3]


def test_lengths_may_be_in_characters() -> None:
    assert Length(LengthOptions(shortest=1, longest=2, unit="character"))(["ab", "abcd"], {}) == [1.0, 1 / 3]
