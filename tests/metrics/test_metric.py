"""The contract of a metric: conditions, subjects, and results that are refused."""

import math
import random
import statistics

import pytest

from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.encoders import HashedNgrams
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Subject, problem_with, standard_error


def test_a_likelihood_is_by_token_and_by_sentence_and_says_whether_it_is_exact() -> None:
    exact = Likelihood(1.5, tokens=8, sentences=3)
    assert exact.nll_per_sentence == 4
    assert str(exact) == "3 sentences of the test split, 8 tokens; exact"
    assert (
        str(Likelihood(1.5, 8, 3, cut=1))
        == "3 sentences of the test split, 8 tokens; 1 of them without their ends; exact"
    )
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


def test_text_that_was_set_aside_cannot_be_copied() -> None:
    """Two thirds of the training text recur, and a quarter of the text is in other splits."""
    train = ["a x", "b x", "c x", "c  x", "e x", "c\tx"]
    conditions = Conditions(Corpus("", train, ["v x"], ["t x"]))
    assert conditions.is_split and conditions.copies_by_chance == pytest.approx(2 / 3 * 6 / 8)
    fresh = Conditions(Corpus("", train, ["v x"], ["c x"]))
    assert not fresh.is_split and fresh.copies_by_chance == pytest.approx(2 / 3)
    assert (conditions.real_is_ceiling, fresh.real_is_ceiling) == (False, True)


def test_standard_errors_of_means_and_ratios() -> None:
    assert standard_error([1.0]) == standard_error([2.0, 2.0]) == 0
    assert standard_error([1.0, 2.0, 3.0, 6.0]) == pytest.approx(statistics.stdev([1, 2, 3, 6]) / 2)
    assert standard_error([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]) == 0, "each part is twice its size"
    rng = random.Random(0)
    ratios = []
    for _ in range(400):
        sizes = [float(rng.randint(1, 9)) for _ in range(50)]
        parts = [size * rng.gauss(2, 0.5) for size in sizes]
        ratios.append((sum(parts) / sum(sizes), standard_error(parts, sizes)))
    spread, told = statistics.stdev(value for value, _ in ratios), statistics.fmean(error for _, error in ratios)
    assert told == pytest.approx(spread, rel=0.15)  # four standard errors of a deviation over 400 trials


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
        (Measured({"a": 1.0}, errors={"a": 0.5}), ""),
        (Measured({"a": 1.0}, errors={"a": math.inf}), "gives inf for a; leave out a value that does not exist"),
        (
            Measured({"a": 1.0}, errors={"b": 0.5}),
            "gives the errors {'b': 0.5}; wanted a dict of floats by the name of their measure",
        ),
        (Measured({"a": math.nan}), "gives nan for a; leave out a value that does not exist"),
        (Measured({3: 0.5}), "gives the values {3: 0.5}; wanted a dict of floats by the name of their measure"),
        (Measured([0.5]), "gives the values [0.5]; wanted a dict of floats by the name of their measure"),
        (Measured({"a": 1}, None), "gives the protocol None; wanted text"),
    ],
)
def test_a_result_is_finite_numbers_by_name(found: object, problem: str) -> None:
    assert problem_with(found) == problem
