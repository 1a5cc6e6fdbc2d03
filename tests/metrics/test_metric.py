"""The contract of a metric: conditions, subjects, and results that are refused."""

import math
import random

import pytest

from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.encoders import HashedNgrams
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Subject, problem_with


def test_a_likelihood_is_by_token_and_by_sentence_and_says_whether_it_is_exact() -> None:
    exact = Likelihood(1.5, tokens=8, sentences=3)
    assert exact.nll_per_sentence == 4
    assert str(exact) == "3 sentences of the test split, 8 tokens; exact"
    assert str(Likelihood(1.5, 8, 3, draws=4)).endswith("; upper bound from 4 draws of the noise")


def test_unseen_sentences_are_the_held_out_ones_of_real_text() -> None:
    assert Subject(["a"]).unseen == ["a"]
    assert Subject(["a"], held_out=["b"]).unseen == ["b"]


def test_the_unit_is_a_character_where_sentences_are_single_words() -> None:
    words, names = (Conditions(Corpus("", ["a b"], [], texts)) for texts in (["a b", "a\u00a0b\x1fc"], ["anna", "jo"]))
    assert (words.unit, names.unit) == ("word", "character")
    assert words.split("a  b\tc") == ["a", "b", "c"]
    assert names.join(names.split("anna")) == "anna"
    assert (words.with_unit("3 sentences"), names.with_unit("3 names")) == ("3 sentences", "3 names, by characters")


def test_features_of_the_same_sentences_are_encoded_once() -> None:
    conditions = Conditions(Corpus("", ["a b"], [], ["a b"]))
    assert isinstance(conditions.sentence_encoder, HashedNgrams)
    assert conditions.encode(("a b",)) is conditions.encode(("a b",))


class Die:
    """A process of six sentences, all equally likely."""

    name = "die"

    def log_prob(self, texts: list[str]) -> list[float]:
        return [-math.log(6)] * len(texts)

    def sample(self, n: int, seed: int) -> list[str]:
        return [f"side {side}" for side in random.Random(seed).choices(range(6), k=n)]


def test_copies_by_chance_come_from_two_halves_of_the_training_text() -> None:
    """The halves are a, c, e and b, c, c: two thirds of the second are in the first, however they are spaced."""
    conditions = Conditions(Corpus("", ["a x", "b x", "c x", "c  x", "e x", "c\tx"], [], []))
    assert conditions.copies_by_chance == pytest.approx(2 / 3)
    assert Conditions(Corpus("", ["a x", "b x"], [], [])).copies_by_chance == 0
    assert Conditions(Corpus("", ["a x"], [], [])).copies_by_chance == 0


def test_copies_by_chance_come_from_the_perfect_generator_if_there_is_one() -> None:
    """Three of six sides are in the training text; 500 throws leave a standard deviation of 0.022."""
    conditions = Conditions(Corpus("die", ["side 0", "side 1", "side 2"], [], [], process=Die()))
    assert conditions.copies_by_chance == pytest.approx(0.5, abs=0.1)


def test_copies_exceed_chance_when_they_are_more_than_twice_as_many() -> None:
    conditions = Conditions(Corpus("", ["a", "b", "c", "d", "e", "f", "g", "a", "h", "i"], [], []))
    assert conditions.copies_by_chance == 0.2
    assert conditions.copies_exceed_chance(0.43)
    assert not conditions.copies_exceed_chance(0.41)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (Measured({"a": 1, "b": 0.5}), ""),
        (3.5, "gives 3.5; wanted a ganlm_core.metrics.metric.Measured"),
        (Measured({"a": True}), "gives True for a; wanted a float"),
        (Measured({"a": math.nan}), "gives nan for a; leave out a value that does not exist"),
    ],
)
def test_a_result_is_finite_numbers_by_name(found: object, problem: str) -> None:
    assert problem_with(found) == problem
