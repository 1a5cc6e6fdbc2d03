"""BLEU of sentences against many references, exactly as NLTK's ``sentence_bleu`` has it and thousands of times faster.

BLEU-k (Papineni et al. 2002, section 2.3) of a sentence is its brevity penalty times the geometric mean of its modified
precisions of orders 1 to k. A precision of zero counts as 0.1 over its denominator (Chen & Cherry 2014, smoothing
method 1), and a sentence that shares no word with any reference scores 0.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject
from ganlm_core.metrics.ngrams import ORDERS, Counts, Index, Ints, Order, index

EPSILON = 0.1
Floats = NDArray[np.float64]


def bleu(hypotheses: Sequence[str], references: Index) -> Floats:
    """BLEU-1 to BLEU-5 (N, 5) of each sentence against all references."""
    found, lengths = references.find(hypotheses)
    matches = [
        _matches(counts, order.best[counts.gram], len(lengths))
        for counts, order in zip(found, references.orders, strict=True)
    ]
    return _scores(matches, lengths, _closest(lengths, np.unique(references.lengths)))


def self_bleu(sentences: Index) -> Floats:
    """BLEU-1 to BLEU-5 (N, 5) of each of N > 1 sentences against the N - 1 others: never against itself.

    An equal sentence elsewhere among them is another one.
    """
    matches = [_matches(order.counts, _best_elsewhere(order), len(sentences)) for order in sentences.orders]
    return _scores(matches, sentences.lengths, _closest_other(sentences.lengths))


def _best_elsewhere(order: Order) -> Ints:
    """For each of the order's counts, the highest count of that n-gram in the other sentences."""
    gram, sentence, _ = order.counts
    return np.where(order.owner[gram] == sentence, order.second[gram], order.best[gram])


def _matches(counts: Counts, most: Ints, sentences: int) -> Floats:
    """The n-grams of each sentence (N,) that are matched: each as often as in the reference that has it most often."""
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
    """For each length the closest of ``known`` (sorted), the shorter of two that are as close."""
    above = np.searchsorted(known, lengths).clip(max=len(known) - 1)
    below = np.maximum(above - 1, 0)
    return np.where(lengths - known[below] <= known[above] - lengths, known[below], known[above])


def _closest_other(lengths: Ints) -> Floats:
    """For each length the closest that another sentence has, the shorter of two that are as close."""
    known, place, times = np.unique(lengths.astype(np.float64), return_inverse=True, return_counts=True)
    below, above = np.append(-np.inf, known[:-1]), np.append(known[1:], np.inf)
    nearest = np.where(known - below <= above - known, below, above)
    return np.where(times > 1, known, nearest)[place]


class Bleu(Metric):
    """``bleu2`` to ``bleu5``: the mean BLEU of the sentences, each against all references at once."""

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return _forward("bleu", subject.texts, subject.references, conditions)


class BackwardBleu(Metric):
    """``backward_bleu2`` to ``backward_bleu5``: the mean BLEU of real sentences against its own (Shi et al. 2018).

    It falls when the subject leaves out what real text has.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        return _forward("backward_bleu", subject.references, subject.texts, conditions)


class SelfBleu(Metric):
    """``self_bleu2`` to ``self_bleu5``: the mean BLEU of each sentence against all the others (Zhu et al. 2018).

    Differs: a sentence is never among its own references, as it is in the code of the paper.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if len(subject.texts) < 2:
            return Measured({}, "not defined: one sentence has no others to be compared with")
        scores = self_bleu(index(tuple(subject.texts), conditions.split))
        protocol = f"each of {len(subject.texts):,} sentences against the {len(subject.texts) - 1:,} others"
        return Measured(_means("self_bleu", scores), conditions.with_unit(protocol))


def _forward(name: str, hypotheses: Sequence[str], references: Sequence[str], conditions: Conditions) -> Measured:
    if not hypotheses or not references:
        return Measured({}, "not defined: there is no real text to compare with")
    scores = bleu(hypotheses, index(tuple(references), conditions.split))
    protocol = f"{len(hypotheses):,} hypotheses, {len(references):,} references"
    return Measured(_means(name, scores), conditions.with_unit(protocol))


def _means(name: str, scores: Floats) -> dict[str, float]:
    return {f"{name}{n}": float(scores[:, n - 1].mean()) for n in range(2, ORDERS + 1)}
