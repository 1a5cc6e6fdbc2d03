"""Variety, copying, lengths and perplexity: worked examples, naive ways and NLTK."""

import math
import random
from collections.abc import Callable

import nltk
import numpy as np
import pytest

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.basic import Perplexity, Validity
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Metric, Subject
from ganlm_core.metrics.variety import CopiedSpans, DistinctNgrams, Lengths, longest_shared, transport

CORPUS = Corpus("letters", ["a b c d", "d c b a"], ["b"], ["a b c", "b c d"])


def measure(kind: type[Metric], subject: Subject, corpus: Corpus = CORPUS) -> Measured:
    return kind(NoOptions())(subject, Conditions(corpus))


def random_sentences(seed: int, n: int, letters: str = "abcd") -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(n)]


def test_distinct_by_hand() -> None:
    """Of "a b a" and "a b": two of five words differ, two of three pairs, and the one triple."""
    found = measure(DistinctNgrams, Subject(["a b a", "a b"]))
    assert found.values == pytest.approx({"distinct1": 2 / 5, "distinct2": 2 / 3, "distinct3": 1.0})
    assert found.protocol == "2 sentences"


def test_distinct_counts_the_ngrams_of_nltk() -> None:
    texts = random_sentences(0, 50)
    found = measure(DistinctNgrams, Subject(texts)).values
    for n in (1, 2, 3, 4):
        grams = [gram for text in texts for gram in nltk.ngrams(text.split(), n)]
        assert found[f"distinct{n}"] == pytest.approx(len(set(grams)) / len(grams))


def test_copied_spans_by_hand() -> None:
    """ "b c d x": three words of a training sentence in a row; "a c a b": two; "x": none."""
    found = measure(CopiedSpans, Subject(["b c d x", "a c a b", "x"]))
    assert found.values == pytest.approx({"copied_span": 5 / 3, "copied_span_share": (3 / 4 + 2 / 4 + 0) / 3})
    assert found.protocol == "3 sentences, 2 to copy"


def test_what_real_text_copies_is_asked_of_sentences_that_were_not_trained_on() -> None:
    found = measure(CopiedSpans, Subject(CORPUS.train, held_out=["a b x"]))
    assert found.values["copied_span"] == 2
    nothing = measure(CopiedSpans, Subject(["a"]), Corpus("empty", [], [], ["a"]))
    assert nothing == Measured({}, "not defined: there is no training text to copy")


@pytest.mark.parametrize("seed", range(20))
def test_longest_shared_is_that_of_a_naive_search(seed: int) -> None:
    texts, others = random_sentences(seed, 12, "abcx" if seed else "xyz"), random_sentences(seed + 100, 8)
    spaced = [f" {other} " for other in others]

    def naive(words: list[str]) -> int:
        spans = [(i, j) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
        inside = [j - i for i, j in spans if any(f" {' '.join(words[i:j])} " in other for other in spaced)]
        return max(inside, default=0)

    longest, lengths = longest_shared(texts, others, str.split)
    assert longest.tolist() == [naive(text.split()) for text in texts]
    assert lengths.tolist() == [len(text.split()) for text in texts]


def test_lengths_by_hand() -> None:
    """Lengths 1 and 3 against two of 3: one sentence of two is two words short."""
    found = measure(Lengths, Subject(["a", "a b c"], references=CORPUS.test))
    assert found.values == pytest.approx({"length": 2, "length_deviation": 1, "length_distance": 1})
    assert found.protocol == "2 sentences and 2 real ones"
    assert "length_distance" not in measure(Lengths, Subject(["a"])).values


@pytest.mark.parametrize("seed", range(5))
def test_transport_between_samples_of_one_size_pairs_them_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 30, 40), rng.integers(5, 20, 40)
    assert transport(one, other) == pytest.approx(np.abs(np.sort(one) - np.sort(other)).mean())
    assert transport(one, np.repeat(other, 3)) == pytest.approx(transport(one, other))


def asked(answer: Likelihood) -> Callable[[tuple[str, ...]], Likelihood]:
    return lambda texts: answer


def test_perplexity_is_of_tokens_and_the_likelihood_also_of_sentences() -> None:
    """Two sentences of four tokens in all, each token with probability 1/8."""
    found = measure(Perplexity, Subject(["a"], asked(Likelihood(math.log(8), tokens=4, sentences=2))))
    assert found.values == pytest.approx({"perplexity": 8, "test_nll_sentence": 2 * math.log(8)})
    assert found.protocol == "2 sentences of the test part, 4 tokens; exact"
    assert measure(Perplexity, Subject(["a"])) == Measured()
    assert math.isfinite(measure(Perplexity, Subject(["a"], asked(Likelihood(1e4, 1, 1)))).values["perplexity"])


class Coin:
    name = "coin"

    def log_prob(self, texts: list[str]) -> list[float]:
        return [-math.log(2) if text in ("heads", "tails") else -math.inf for text in texts]

    def sample(self, n: int, seed: int) -> list[str]:
        return random.Random(seed).choices(["heads", "tails"], k=n)

    def entropy(self) -> float:
        return math.log(2)


def test_validity_tells_the_floor_where_the_process_knows_it() -> None:
    corpus = Corpus("coin", ["heads"], ["tails"], ["heads"], process=Coin())
    found = measure(Validity, Subject(["heads", "edge"]), corpus)
    assert found.protocol == "2 sentences; the likelihood of the 1 valid ones; the process's entropy is 0.69 nats"
