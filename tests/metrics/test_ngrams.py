"""N-grams as arrays: the counts of an index, by hand and against NLTK, and the cache."""

import random
from collections import Counter

import nltk
import pytest

from ganlm_core.metrics.ngrams import ORDERS, Index, extend, index, lay_out, unique_ids


def test_the_same_sentences_are_indexed_once() -> None:
    texts = ["a b", "b c"]
    assert index(tuple(texts), str.split) is index(tuple(texts), str.split)
    assert index(tuple(texts), str.split) is not index(tuple(texts), list)


@pytest.mark.parametrize("seed", range(10))
def test_an_index_counts_the_ngrams_of_nltk(seed: int) -> None:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices("abc", k=rng.randint(0, 8))) for _ in range(6)]
    found = Index(texts, str.split)
    assert len(found) == 6
    for n, order in enumerate(found.orders, start=1):
        counts = [Counter(nltk.ngrams(text.split(), n)) for text in texts]
        two_highest = [sorted(count[gram] for count in counts)[-2:] for gram in set().union(*counts)]
        assert sorted(zip(order.second, order.best, strict=True)) == sorted(map(tuple, two_highest))
        assert order.counts.times.sum() == sum(map(Counter.total, counts))
    assert len(found.orders) == ORDERS


def test_other_sentences_are_found_by_the_ids_of_the_index() -> None:
    """The index of "a b" finds in "b a b x" the words a (once) and b (twice), and the pair "a b"."""
    known = Index(["a b"], str.split)
    (words, pairs, *longer), lengths = known.find(["b a b x"])
    assert (words.gram.tolist(), words.times.tolist()) == ([0, 1], [1, 2])
    assert (pairs.gram.tolist(), pairs.times.tolist()) == ([0], [1])
    assert all(len(counts.gram) == 0 for counts in longer)
    assert lengths.tolist() == [4]


def test_no_ngram_crosses_the_end_of_a_sentence() -> None:
    tokens = lay_out(["a b", "a b c"], str.split)
    pairs = extend(tokens.ids, tokens, 2, 3)
    assert pairs.tolist() == [1, -1, 1, 5, -1]
    known, ids = unique_ids(pairs)
    assert (known.tolist(), ids.tolist()) == ([1, 5], [0, -1, 0, 1, -1])
