"""The Kneser-Ney model and its scores: probabilities by hand, and distributions that sum to one."""

import math

import pytest

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.language_model import KneserNey, LanguageModelScores
from ganlm_core.metrics.metric import Conditions, Measured, Subject

LETTERS = frozenset("abc")


def test_probabilities_are_those_computed_by_hand() -> None:
    """The model of "a b" and "a c", by pairs.

    Pairs: (<s>, a) twice, the other four once, so a discount of 4 / (4 + 2). Words by what they follow: </s> two,
    a, b and c one, so a discount of 3 / (3 + 2), and p(b) = (1 - 0.6) / 5 + 0.6 * 4/5 * 1/5 = 0.176.
    """
    model = KneserNey([["a", "b"], ["a", "c"]], LETTERS, order=2)
    assert model.probability("b", ["a"]) == pytest.approx((1 - 2 / 3) / 2 + 2 / 3 * 0.176)
    probabilities = [2 / 3 + 2 / 3 / 2 * 0.176, 1 / 6 + 2 / 3 * 0.176, 1 / 3 + 2 / 3 * 0.376]
    assert model.nll(["a", "b"]) == pytest.approx(-sum(map(math.log, probabilities)))


@pytest.mark.parametrize("context", [["<s>", "<s>", "<s>"], ["<s>", "<s>", "a"], ["a", "b", "c"], ["c", "c", "c"]])
def test_probabilities_sum_to_one_after_every_context(context: list[str]) -> None:
    model = KneserNey([["a", "b", "c"], ["a", "b"], ["b", "b", "a", "x"]], LETTERS)
    total = sum(model.probability(word, context) for word in model.vocabulary)
    assert len(model.vocabulary) == 5
    assert total == pytest.approx(1)
    assert model.nll(["x"]) == model.nll(["y"])


def test_real_sentences_score_better_than_scrambled_ones_in_both_directions() -> None:
    corpus = Corpus("letters", ["a b c", "a b d", "b c a"] * 20, [], ["a b c", "a b d"])
    scores = LanguageModelScores(NoOptions())
    good, bad = (
        scores(Subject(texts, references=corpus.test), Conditions(corpus))
        for texts in (["a b c", "a b d"] * 5, ["c b a", "d d d"] * 5)
    )
    assert good.values["lm_score"] < bad.values["lm_score"]
    assert good.values["reverse_lm_score"] < bad.values["reverse_lm_score"]
    assert good.protocol == (
        "Kneser-Ney models of order 4: trained on 60 real sentences to score 10, "
        "and on 10 sentences to score 2 real ones"
    )
    model = KneserNey([text.split() for text in corpus.train], frozenset("abcd"))
    tokens = [text.split() for text in ["a b c", "a b d"]]
    assert good.values["lm_score"] == pytest.approx(sum(map(model.nll, tokens)) / 8)
    nothing = scores(Subject(["a"]), Conditions(corpus))
    assert nothing == Measured({}, "not defined: there is no real text to compare with")
