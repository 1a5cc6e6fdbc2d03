"""The passwords: exact probabilities and drawing."""

import math

import pytest

from ganlm_core.data.options import PasswordsOptions
from ganlm_core.data.passwords import TAILS, WORDS, Passwords, passwords_corpus


def test_a_password_is_a_head_and_a_tail() -> None:
    """By hand: a word of so many with or without a capital, times its tail's kind and its share of that kind."""
    n = len(WORDS.split())
    by_hand = {
        "dragon": 0.8 / n * 0.25,
        "Dragon7": 0.2 / n * 0.15 / 10,
        "moon1984": 0.8 / n * 0.15 / 60,
        "sky!": 0.8 / n * 0.08,
    }
    assert Passwords().log_prob(list(by_hand)) == pytest.approx([math.log(p) for p in by_hand.values()])


def test_the_probabilities_of_all_passwords_sum_to_one() -> None:
    process = Passwords()
    every = [head + tail for head in process.heads for tail in process.tails]
    assert len(set(every)) == len(every) == 2 * len(WORDS.split()) * sum(len(kind) for _, kind in TAILS)
    assert math.fsum(math.exp(each) for each in process.log_prob(every)) == pytest.approx(1)
    assert max(map(len, every)) == 10


@pytest.mark.parametrize("text", ["", "7", "dragon1234", "dragon 7", "DRAGON", "dragonfly", "sky!!", "moon1959"])
def test_a_text_that_is_not_a_password_has_no_probability(text: str) -> None:
    assert Passwords().log_prob([text]) == [-math.inf]


def test_the_passwords_corpus_has_its_size_and_seed() -> None:
    corpus = passwords_corpus(PasswordsOptions(size=500, seed=3))
    texts = [*corpus.train, *corpus.validation, *corpus.test]
    assert sorted(texts) == sorted(Passwords().sample(500, 3)) != sorted(Passwords().sample(500, 4))
    assert corpus.process is not None
    assert all(map(math.isfinite, corpus.process.log_prob(texts)))
