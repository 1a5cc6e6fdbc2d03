"""Rewards that need no trained model, by hand."""

import pytest

from ganlm_core.algorithms.options import LengthOptions, RegexOptions, ValidityOptions
from ganlm_core.algorithms.text_rewards import Length, Regex, Validity
from ganlm_core.data.grammar import Grammar
from ganlm_core.errors import UnknownName


def test_a_pattern_is_searched_for_anywhere() -> None:
    assert Regex(RegexOptions(pattern=r"\bcat\b"))(["the cat", "cats", ""], {}) == [1.0, 0.0, 0.0]


def test_a_length_within_bounds_is_paid_in_full() -> None:
    options = LengthOptions(shortest=2, longest=3)
    assert Length(options)(["a b", "a b c", "a", "", "a b c d e"], {}) == [1.0, 1.0, 1 / 2, 1 / 3, 1 / 3]


def test_lengths_may_be_in_characters() -> None:
    assert Length(LengthOptions(shortest=1, longest=2, unit="character"))(["ab", "abcd"], {}) == [1.0, 1 / 3]


def test_only_what_the_process_can_give_is_valid() -> None:
    (text,) = Grammar().sample(1, seed=3)
    assert Validity(ValidityOptions())([text, f"{text} {text}", ""], {}) == [1.0, 0.0, 0.0]


def test_an_unknown_corpus_is_refused() -> None:
    with pytest.raises(UnknownName, match="there is no corpus 'gramar'; did you mean 'grammar'"):
        Validity(ValidityOptions(corpus="gramar"))
