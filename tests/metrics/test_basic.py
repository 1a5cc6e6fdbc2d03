"""The metrics of every run, each by hand on a process of three sentences."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.basic import Copies, Distinct, HeldOutLikelihood, Perplexity, ProcessLikelihood, Validity
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Metric, Subject
from ganlm_core.metrics.options import SCORED

LOG2 = math.log(2)


class Known:
    """A process that gives "a b" with 1/2 and "b" and "b b" with 1/4 each."""

    name = "known"

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        bits = {"a b": 1, "b": 2, "b b": 2}
        return [-bits[text] * LOG2 if text in bits else -math.inf for text in texts]


CORPUS = Corpus("known", ["a b", "b"], ["b"], ["a b", "b", "b b"], process=Known())


NAMELESS = replace(CORPUS, process=None)


TEXTS = ["a b", "b", "a a", "a b"]


def measured(kind: type[Metric], subject: Subject, corpus: Corpus = CORPUS) -> Measured:
    return kind(NoOptions())(subject, Conditions(corpus))


def measure(kind: type[Metric], texts: list[str], corpus: Corpus = CORPUS) -> dict[str, float]:
    return dict(measured(kind, Subject(texts), corpus).values)


def test_validity_is_a_share_and_the_likelihood_is_of_the_valid_sentences() -> None:
    assert measure(Validity, TEXTS) == pytest.approx({"valid": 3 / 4, "process_nll": (1 + 2 + 1) * LOG2 / 3})


def test_without_valid_sentences_there_is_no_process_nll() -> None:
    assert measure(Validity, ["a", "a a"]) == {"valid": 0}


def test_without_a_process_there_is_no_validity() -> None:
    assert measure(Validity, TEXTS, NAMELESS) == {}


def test_distinct_is_the_share_of_different_sentences() -> None:
    assert measure(Distinct, TEXTS) == {"distinct": 3 / 4}
    assert measure(Distinct, ["a"] * 5) == {"distinct": 1 / 5}


def test_copied_is_the_share_found_in_the_training_split() -> None:
    assert measure(Copies, [*TEXTS, "b b"]) == {"copied": 3 / 5}


def test_held_out_likelihood_is_of_the_test_split_and_only_of_subjects_that_have_one() -> None:
    asked = []

    def likelihood(texts: Sequence[str]) -> Likelihood:
        asked.append(texts)
        return Likelihood(1.5, tokens=8, sentences=3, draws=4)

    found = measured(HeldOutLikelihood, Subject(TEXTS, likelihood))
    assert found.values == {"test_nll": 1.5}
    assert found.protocol == "3 sentences of the test split, 8 tokens; upper bound from 4 draws of the noise"
    assert asked == [tuple(CORPUS.test)]
    assert measure(HeldOutLikelihood, TEXTS) == {}


def asked(answer: Likelihood) -> Callable[[tuple[str, ...]], Likelihood]:
    return lambda texts: answer


def test_perplexity_is_per_token_and_the_likelihood_also_per_sentence() -> None:
    """Two sentences of four tokens in all, each token with probability 1/8."""
    found = measured(Perplexity, Subject(["a"], asked(Likelihood(math.log(8), tokens=4, sentences=2))))
    assert found.values == pytest.approx({"perplexity": 8, "test_nll_sentence": 2 * math.log(8)})
    assert found.protocol == "2 sentences of the test split, 4 tokens; exact"
    assert measured(Perplexity, Subject(["a"])) == Measured()
    cut = measured(Perplexity, Subject(["a"], asked(Likelihood(math.log(8), tokens=4, sentences=2, cut=1)))).values
    assert cut == pytest.approx({"perplexity": 8}), "a sentence without its end is no sentence"
    unlikely = measured(Perplexity, Subject(["a"], asked(Likelihood(1e4, 1, 1)))).values
    assert unlikely == {"test_nll_sentence": 1e4}, "its perplexity is more than a number can hold"


@pytest.mark.parametrize("metric", [HeldOutLikelihood, Perplexity])
def test_text_that_the_subject_cannot_give_has_no_likelihood(metric: type[Metric]) -> None:
    assert measured(metric, Subject(["a"], asked(Likelihood(math.inf, tokens=4, sentences=2)))) == Measured()


class Coin:
    name = "coin"

    def log_prob(self, texts: list[str]) -> list[float]:
        return [-math.log(2) if text in ("heads", "tails") else -math.inf for text in texts]

    def sample(self, n: int, seed: int) -> list[str]:
        return random.Random(seed).choices(["heads", "tails"], k=n)

    def entropy(self) -> float:
        return math.log(2)


def test_validity_states_the_entropy_of_a_process_that_knows_it() -> None:
    corpus = Corpus("coin", ["heads"], ["tails"], ["heads"], process=Coin())
    found = measured(Validity, Subject(["heads", "edge"]), corpus)
    assert found.protocol == "2 sentences; the likelihood of the 1 valid ones; the process's entropy is 0.693 nats"


def test_copies_and_repeats_are_found_whatever_their_white_space_and_unicode_form() -> None:
    """White space between words and the form of "\u00e9" do not make another sentence."""
    texts, corpus = ["a  b", "a\tb", "caf\u00e9 b", "cafe\u0301 b", "b a"], Corpus("", ["a b", "cafe\u0301  b"], [], [])
    assert measure(Distinct, texts, corpus) == {"distinct": 3 / 5}
    assert measure(Copies, texts, corpus) == {"copied": 4 / 5}


def test_copies_are_told_beside_those_that_chance_makes_where_no_process_says_it() -> None:
    corpus = Corpus("", ["a b", "c d", "e f", "a b"], [], [])
    found = measured(Copies, Subject(["a b", "x"]), corpus)
    assert found.protocol == "2 sentences, 4 to copy; 50.0% by chance (copies between two halves of the training text)"
    found = measured(Copies, Subject(["a b"]))
    assert found.protocol == "1 sentences, 2 to copy"


def test_the_likelihood_under_the_process_is_per_token_with_its_end() -> None:
    """Twice "a b", and "b": four bits over 3 + 3 + 2 tokens, without ends over 2 + 2 + 1. "a a" is impossible."""
    ended = replace(CORPUS, test=["a b"])
    found = measured(ProcessLikelihood, Subject(TEXTS), ended)
    assert found.values == pytest.approx({"process_nll_token": 4 * LOG2 / 8})
    assert found.protocol == "3 valid sentences, 8 words"
    fixed = replace(ended, fixed_length=True)
    assert measure(ProcessLikelihood, TEXTS, fixed) == pytest.approx({"process_nll_token": 4 * LOG2 / 5})
    assert measure(ProcessLikelihood, TEXTS, NAMELESS) == measure(ProcessLikelihood, ["a a"]) == {}


def test_the_conditions_say_of_how_many_test_sentences_the_likelihood_is() -> None:
    asked: list[int] = []

    def likelihood(texts: Sequence[str]) -> Likelihood:
        asked.append(len(texts))
        return Likelihood(1.0, tokens=2, sentences=1)

    corpus = replace(CORPUS, test=[f"{number} b" for number in range(3_000)])
    for scored in (SCORED, 0, 10):
        HeldOutLikelihood(NoOptions())(Subject(TEXTS, likelihood), Conditions(corpus, scored=scored))
    assert asked == [1_000, 3_000, 10]
