"""Variety, copied spans and lengths: worked examples, naive ways and NLTK."""

import random

import nltk
import numpy as np
import pytest

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject
from ganlm_core.metrics.variety import CopiedSpans, DistinctNgrams, Lengths, longest_shared, transport

CORPUS = Corpus("letters", ["a b c d", "d c b a"], ["b"], ["a b c", "b c d"])


def measure(kind: type[Metric], subject: Subject, corpus: Corpus = CORPUS) -> Measured:
    return kind(NoOptions())(subject, Conditions(corpus))


def random_sentences(seed: int, n: int, letters: str = "abcd") -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(n)]


def test_distinct_ngrams_are_counted_as_by_hand() -> None:
    """In "a b a" and "a b", two of five words are different, two of three pairs, and the only triple."""
    found = measure(DistinctNgrams, Subject(["a b a", "a b"]))
    assert found.values == pytest.approx({"distinct1": 2 / 5, "distinct2": 2 / 3, "distinct3": 1.0})
    assert found.protocol == "2 sentences"


def test_distinct_ngrams_equal_nltk() -> None:
    texts = random_sentences(0, 50)
    found = measure(DistinctNgrams, Subject(texts)).values
    for n in (1, 2, 3, 4):
        grams = [gram for text in texts for gram in nltk.ngrams(text.split(), n)]
        assert found[f"distinct{n}"] == pytest.approx(len(set(grams)) / len(grams))


def test_copied_spans_are_as_by_hand() -> None:
    """ "b c d x": three words of a training sentence in a row; "a c a b": two; "x": none."""
    found = measure(CopiedSpans, Subject(["b c d x", "a c a b", "x"]))
    assert found.values == pytest.approx({"copied_span": 5 / 3, "copied_span_share": (3 / 4 + 2 / 4 + 0) / 3})
    assert found.protocol == "3 sentences, 2 to copy"


def test_copied_spans_of_real_text_use_held_out_sentences() -> None:
    found = measure(CopiedSpans, Subject(CORPUS.train, held_out=["a b x"]))
    assert found.values["copied_span"] == 2
    nothing = measure(CopiedSpans, Subject(["a"]), Corpus("empty", [], [], ["a"]))
    assert nothing == Measured({}, "not defined: there is no training text to copy")


@pytest.mark.parametrize("seed", range(20))
def test_longest_shared_equals_a_naive_search(seed: int) -> None:
    texts, others = random_sentences(seed, 12, "abcx" if seed else "xyz"), random_sentences(seed + 100, 8)
    spaced = [f" {other} " for other in others]

    def naive(words: list[str]) -> int:
        spans = [(i, j) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
        inside = [j - i for i, j in spans if any(f" {' '.join(words[i:j])} " in other for other in spaced)]
        return max(inside, default=0)

    longest, lengths = longest_shared(texts, others, str.split)
    assert longest.tolist() == [naive(text.split()) for text in texts]
    assert lengths.tolist() == [len(text.split()) for text in texts]


def test_lengths_are_as_by_hand() -> None:
    """Lengths 1 and 3 against two of 3: one sentence of two is two words short."""
    found = measure(Lengths, Subject(["a", "a b c"], references=CORPUS.test))
    assert found.values == pytest.approx({"length": 2, "length_deviation": 1, "length_distance": 1})
    assert found.protocol == "2 sentences and 2 real ones"
    assert "length_distance" not in measure(Lengths, Subject(["a"])).values


@pytest.mark.parametrize("seed", range(5))
def test_transport_between_samples_of_equal_size_pairs_them_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 30, 40), rng.integers(5, 20, 40)
    assert transport(one, other) == pytest.approx(np.abs(np.sort(one) - np.sort(other)).mean())
    assert transport(one, np.repeat(other, 3)) == pytest.approx(transport(one, other))
