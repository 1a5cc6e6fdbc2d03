"""Sentences as arrays of n-gram ids, so that millions of comparisons become a few sorts.

Shape letters: ``W`` tokens of all sentences, one sentence after the other; ``N`` sentences; ``G`` different n-grams.
The id -1 means that no n-gram, or an unknown n-gram, starts there.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ORDERS = 5
"""The longest n-grams that an :class:`Index` holds."""

Ints = NDArray[np.int64]
Split = Callable[[str], Sequence[str]]
"""Splits a sentence into its tokens."""


class Tokens(NamedTuple):
    """All sentences in a row: the id (W,) of each token, the sentence (W,) that it is in, and the lengths (N,)."""

    ids: Ints
    sentence: Ints
    lengths: Ints


class Counts(NamedTuple):
    """The n-gram ``gram[i]`` occurs ``times[i]`` times in ``sentence[i]``; sorted by n-gram, then by sentence."""

    gram: Ints
    sentence: Ints
    times: Ints


class Order(NamedTuple):
    """The n-grams of one length. Their ids are places in ``keys`` (G,), which are sorted.

    ``best`` (G,) is the highest count of each in any sentence, ``owner`` (G,) a sentence with that count, ``second``
    (G,) the highest count in any other sentence, 0 if no other sentence has it.
    """

    keys: Ints
    counts: Counts
    best: Ints
    owner: Ints
    second: Ints


class Index:
    """The n-grams of N sentences, to compare others with. Use :func:`index`, which caches the last few."""

    def __init__(self, texts: Iterable[str], split: Split) -> None:
        self._split = split
        self._words: dict[str, int] = {}
        rows = [split(text) for text in texts]
        words = (self._words.setdefault(word, len(self._words)) for word in chain.from_iterable(rows))
        tokens = _lay_out(rows, words)
        self.lengths = tokens.lengths
        self.orders: list[Order] = []
        ids = tokens.ids
        for n in range(1, ORDERS + 1):
            keys = ids if n == 1 else extend(ids, tokens, n, len(self._words))
            known, ids = unique_ids(keys)
            self.orders.append(_order(known, _count(ids, tokens)))

    def __len__(self) -> int:
        return len(self.lengths)

    def find(self, texts: Iterable[str]) -> tuple[list[Counts], Ints]:
        """Return, for each order, the n-grams of M other sentences that the index has, by its ids; and lengths (M,)."""
        rows = [self._split(text) for text in texts]
        tokens = _lay_out(rows, (self._words.get(word, -1) for word in chain.from_iterable(rows)))
        found, ids = [], tokens.ids
        for n, order in enumerate(self.orders, start=1):
            ids = _look_up(order.keys, ids if n == 1 else extend(ids, tokens, n, len(self._words)))
            found.append(_count(ids, tokens))
        return found, tokens.lengths


@lru_cache(maxsize=4)
def index(texts: tuple[str, ...], split: Split) -> Index:
    """Return the :class:`Index` of ``texts``; the last few are cached."""
    return Index(texts, split)


def lay_out(texts: Sequence[str], split: Split) -> Tokens:
    """Return sentences in a row; a token's id is its place in the order of first appearance."""
    rows, known = [split(text) for text in texts], dict[str, int]()
    return _lay_out(rows, (known.setdefault(word, len(known)) for word in chain.from_iterable(rows)))


def extend(ids: Ints, tokens: Tokens, n: int, words: int) -> Ints:
    """Turn the ids (W,) of the (n-1)-grams at each place into keys (W,) of the n-grams; ``words`` bounds the ids."""
    last, sentence = (np.append(row[n - 1 :], np.full(min(n - 1, len(row)), -1)) for row in tokens[:2])
    starts = (ids >= 0) & (last >= 0) & (sentence == tokens.sentence)
    return np.where(starts, ids * words + last, -1)


def unique_ids(keys: Ints) -> tuple[Ints, Ints]:
    """Return the different keys (G,), sorted and without -1, and the place (W,) of each key among them, or -1."""
    ids, starts = np.full(len(keys), -1), keys >= 0
    known, ids[starts] = np.unique(keys[starts], return_inverse=True)
    return known, ids


def _lay_out(rows: Sequence[Sequence[str]], ids: Iterable[int]) -> Tokens:
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    sentence = np.repeat(np.arange(len(rows)), lengths)
    return Tokens(np.fromiter(ids, dtype=np.int64, count=len(sentence)), sentence, lengths)


def _look_up(known: Ints, keys: Ints) -> Ints:
    if len(known) == 0:
        return np.full(len(keys), -1)
    places = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return np.where(known[places] == keys, places, -1)


def _count(ids: Ints, tokens: Tokens) -> Counts:
    known, rows = ids >= 0, max(1, len(tokens.lengths))
    pairs, counts = np.unique(ids[known] * rows + tokens.sentence[known], return_counts=True)
    return Counts(pairs // rows, pairs % rows, counts)


def _order(keys: Ints, counts: Counts) -> Order:
    gram, sentence, times = (column[np.lexsort((-counts.times, counts.gram))] for column in counts)
    first = np.flatnonzero(np.diff(gram, prepend=-1))
    others = np.diff(np.append(first, len(gram))) > 1
    second = np.where(others, times[np.minimum(first + 1, len(gram) - 1)], 0)
    return Order(keys, counts, times[first], sentence[first], second)
