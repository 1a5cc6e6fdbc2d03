"""Metrics of collapse and memorisation: the variety of sentences, their lengths, and the spans that are copied."""

from collections.abc import Sequence

import numpy as np

from ganlm_core.data.corpus import SAMPLE, spread
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject
from ganlm_core.metrics.ngrams import Index, Ints, Split, extend, index, lay_out, unique_ids

DISTINCT_ORDERS = 4


class DistinctNgrams(Metric):
    """``distinct1`` to ``distinct4``: different n-grams as a share of all n-grams.

    It falls with more and with longer sentences: compare it only for equal numbers of sentences. Differs: Li et al.
    2016 divide by the number of tokens, which gives lower values for n > 1.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        found = index(tuple(subject.texts), conditions.split)
        shares = {f"distinct{n}": _distinct(found, n) for n in range(1, DISTINCT_ORDERS + 1)}
        values = {name: share for name, share in shares.items() if share is not None}
        return Measured(values, conditions.with_unit(f"{len(subject.texts):,} sentences"))


def _distinct(sentences: Index, n: int) -> float | None:
    total = np.maximum(sentences.lengths - n + 1, 0).sum()
    return float(len(sentences.orders[n - 1].keys) / total) if total else None


class CopiedSpans(Metric):
    """``copied_span``: the mean number of words in the longest span of a sentence that a training sentence has too.

    ``copied_span_share``: the same as a share of the sentence.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        texts, train = subject.unseen, tuple(spread(conditions.corpus.train, SAMPLE))
        if not train:
            return Measured({}, "not defined: there is no training text to copy")
        spans, lengths = longest_shared(texts, train, conditions.split)
        values = {
            "copied_span": float(spans.mean()),
            "copied_span_share": float((spans / np.maximum(lengths, 1)).mean()),
        }
        return Measured(values, conditions.with_unit(f"{len(texts):,} sentences, {len(train):,} to copy"))


def longest_shared(texts: Sequence[str], others: Sequence[str], split: Split) -> tuple[Ints, Ints]:
    """Return the lengths (N,) of the longest n-grams that ``texts`` (N) share with any of ``others``, and of the texts.

    An n-gram is shared only if the (n-1)-gram at the same place is, so few places are left after a few orders.
    """
    tokens = lay_out([*texts, *others], split)
    own, words = tokens.sentence < len(texts), 1 + len(tokens.ids)
    longest = np.zeros(len(texts), dtype=np.int64)
    keys, n = tokens.ids, 1
    while True:
        known, ids = unique_ids(keys)
        shared = np.zeros(len(known) + 1, dtype=bool)  # the last place is for -1
        shared[ids[~own & (ids >= 0)]] = True
        ids = np.where(shared[ids], ids, -1)
        found = tokens.sentence[own & (ids >= 0)]
        if len(found) == 0:
            return longest, tokens.lengths[: len(texts)]
        longest[found] = n
        n += 1
        keys = extend(ids, tokens, n, words)


class Lengths(Metric):
    """``length`` and ``length_deviation``: mean and standard deviation of the words in a sentence.

    ``length_distance``: the Wasserstein-1 distance between the distributions of the lengths of these and of real
    sentences: the mean number of words to add or remove per sentence to get the lengths of real text.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        lengths = _lengths(subject.texts, conditions.split)
        values = {"length": float(lengths.mean()), "length_deviation": float(lengths.std())}
        protocol = f"{len(lengths):,} sentences"
        if subject.references:
            real = _lengths(subject.references, conditions.split)
            values["length_distance"] = transport(lengths, real)
            protocol += f" and {len(real):,} real ones"
        return Measured(values, conditions.with_unit(protocol))


def _lengths(texts: Sequence[str], split: Split) -> Ints:
    return np.array([len(split(text)) for text in texts], dtype=np.int64)


def transport(one: Ints, other: Ints) -> float:
    """Return the Wasserstein-1 distance of two samples of integers: the area between their distribution functions."""
    steps = np.arange(min(one.min(), other.min()), max(one.max(), other.max()) + 1)
    below = [np.searchsorted(np.sort(sample), steps, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(below[0] - below[1]).sum())
