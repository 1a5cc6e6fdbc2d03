"""BLEU of sentences against many references: the values of NLTK's ``sentence_bleu``, thousands of times faster.

The BLEU-k of a sentence (Papineni et al. 2002, section 2.3) is its brevity penalty times the geometric mean of its
modified precisions of orders 1 to k. A precision of zero counts as 0.1 over its denominator (Chen & Cherry 2014,
smoothing method 1). A sentence that shares no word with any reference, such as an empty one, scores 0.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject, standard_error
from ganlm_core.metrics.ngrams import ORDERS, Counts, Index, Ints, Order, index

EPSILON = 0.1
Floats = NDArray[np.float64]


def bleu(hypotheses: Sequence[str], references: Index) -> Floats:
    """Return BLEU-1 to BLEU-5 (N, 5) of each hypothesis against all references."""
    found, lengths = references.find(hypotheses)
    matches = [
        _matches(counts, order.best[counts.gram], len(lengths))
        for counts, order in zip(found, references.orders, strict=True)
    ]
    return _scores(matches, lengths, _closest(lengths, np.unique(references.lengths)))


def self_bleu(sentences: Index) -> Floats:
    """Return BLEU-1 to BLEU-5 (N, 5) of each of N > 1 sentences against the N - 1 other sentences.

    A sentence is never its own reference, but an equal sentence at another place is.
    """
    matches = [_matches(order.counts, _best_elsewhere(order), len(sentences)) for order in sentences.orders]
    return _scores(matches, sentences.lengths, _closest_other(sentences.lengths))


def _best_elsewhere(order: Order) -> Ints:
    """Return, for each of the order's counts, the highest count of the same n-gram in the other sentences."""
    gram, sentence, _ = order.counts
    return np.where(order.owner[gram] == sentence, order.second[gram], order.best[gram])


def _matches(counts: Counts, most: Ints, sentences: int) -> Floats:
    """Return the matched n-grams of each sentence (N,), each clipped at its highest count in a reference, ``most``."""
    matched = np.minimum(counts.times, most).astype(np.float64)
    return np.bincount(counts.sentence, weights=matched, minlength=sentences).astype(np.float64)


def _scores(matches: Sequence[Floats], lengths: Ints, closest: Ints | Floats) -> Floats:
    logs = []
    for n, matched in enumerate(matches, start=1):
        logs.append(np.log(np.where(matched > 0, matched, EPSILON) / np.maximum(lengths - n + 1, 1)))
    means = np.cumsum(logs, axis=0) / np.arange(1, ORDERS + 1)[:, None]
    brevity = np.minimum(0, 1 - closest / np.maximum(lengths, 1))
    return np.where(matches[0] > 0, np.exp(means + brevity), 0.0).T


def _closest(lengths: Ints, known: Ints) -> Ints:
    """Return, for each length, the closest of ``known`` (sorted); the shorter length if two are equally close."""
    above = np.searchsorted(known, lengths).clip(max=len(known) - 1)
    below = np.maximum(above - 1, 0)
    return np.where(lengths - known[below] <= known[above] - lengths, known[below], known[above])


def _closest_other(lengths: Ints) -> Floats:
    """Return, for each length, the closest length of another sentence; the shorter length if two are equally close."""
    known, place, times = np.unique(lengths.astype(np.float64), return_inverse=True, return_counts=True)
    below, above = np.append(-np.inf, known[:-1]), np.append(known[1:], np.inf)
    nearest = np.where(known - below <= above - known, below, above)
    return np.where(times > 1, known, nearest)[place]


class Bleu(Metric):
    """``bleu2`` to ``bleu5``: the mean BLEU of the sentences, each against all references at once."""

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return _forward("bleu", subject.texts, subject.references, conditions)


class BackwardBleu(Metric):
    """``backward_bleu2`` to ``backward_bleu5``: the mean BLEU of real sentences against the subject's sentences.

    Shi et al. 2018. It is low if the subject leaves out a part of real text.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return _forward("backward_bleu", subject.references, subject.texts, conditions)


class SelfBleu(Metric):
    """``self_bleu2`` to ``self_bleu5``: the mean BLEU of each sentence against all other sentences (Zhu et al. 2018).

    A sentence is never among its own references. Differs: all sentences are compared; the authors' code takes the first
    500 by default.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if len(subject.texts) < 2:
            return Measured({}, "not defined: a single sentence cannot be compared with others")
        scores = self_bleu(index(tuple(subject.texts), conditions.split))
        protocol = f"each of {len(subject.texts):,} sentences against the {len(subject.texts) - 1:,} others"
        return _means("self_bleu", scores, conditions.with_unit(protocol))


def _forward(name: str, hypotheses: Sequence[str], references: Sequence[str], conditions: Conditions) -> Measured:
    if not hypotheses or not references:
        return Measured({}, "not defined: there is no real text to compare with")
    scores = bleu(hypotheses, index(tuple(references), conditions.split))
    protocol = f"{len(hypotheses):,} hypotheses, {len(references):,} references"
    return _means(name, scores, conditions.with_unit(protocol))


def _means(name: str, scores: Floats, protocol: str) -> Measured:
    columns = {f"{name}{n}": scores[:, n - 1] for n in range(2, ORDERS + 1)}
    values = {key: float(column.mean()) for key, column in columns.items()}
    return Measured(values, protocol, {key: standard_error(column.tolist()) for key, column in columns.items()})
