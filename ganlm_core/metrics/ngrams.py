"""Sentences as arrays of n-gram ids, so that millions of comparisons become a few sorts.

Shape letters: ``W`` tokens, those of all sentences one after the other; ``N`` sentences; ``G`` different n-grams.
An id of -1 stands where no n-gram starts, or none that is known.
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
"""A sentence to its tokens."""


class Tokens(NamedTuple):
    """Sentences laid out in a row: the id (W,) of each token, the sentence (W,) it stands in, and lengths (N,)."""

    ids: Ints
    sentence: Ints
    lengths: Ints


class Counts(NamedTuple):
    """The n-gram ``gram[i]`` stands ``times[i]`` times in ``sentence[i]``; sorted by n-gram, then by sentence."""

    gram: Ints
    sentence: Ints
    times: Ints


class Order(NamedTuple):
    """The n-grams of one length. Their ids are places in ``keys`` (G,), which are sorted.

    ``best`` (G,) is the highest count of each in any sentence, ``owner`` (G,) a sentence that has so many, ``second``
    (G,) the highest count in any other sentence, 0 if there is none.
    """

    keys: Ints
    counts: Counts
    best: Ints
    owner: Ints
    second: Ints


class Index:
    """The n-grams of N sentences, to be compared with others. Use :func:`index`, which keeps the last few."""

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
        """For each order those n-grams of other sentences (M) that are here too, by their ids here; lengths (M,)."""
        rows = [self._split(text) for text in texts]
        tokens = _lay_out(rows, (self._words.get(word, -1) for word in chain.from_iterable(rows)))
        found, ids = [], tokens.ids
        for n, order in enumerate(self.orders, start=1):
            ids = _look_up(order.keys, ids if n == 1 else extend(ids, tokens, n, len(self._words)))
            found.append(_count(ids, tokens))
        return found, tokens.lengths


@lru_cache(maxsize=4)
def index(texts: tuple[str, ...], split: Split) -> Index:
    """The :class:`Index` of ``texts``; asked again for the same sentences, the same one."""
    return Index(texts, split)


def lay_out(texts: Sequence[str], split: Split) -> Tokens:
    """Sentences with the ids of their words in the order in which these appear."""
    rows, known = [split(text) for text in texts], dict[str, int]()
    return _lay_out(rows, (known.setdefault(word, len(known)) for word in chain.from_iterable(rows)))


def extend(ids: Ints, tokens: Tokens, n: int, words: int) -> Ints:
    """Ids (W,) of the (n-1)-grams that start at each place to keys (W,) of the n-grams there; ``words`` bounds ids."""
    last, sentence = (np.append(row[n - 1 :], np.full(min(n - 1, len(row)), -1)) for row in tokens[:2])
    starts = (ids >= 0) & (last >= 0) & (sentence == tokens.sentence)
    return np.where(starts, ids * words + last, -1)


def unique_ids(keys: Ints) -> tuple[Ints, Ints]:
    """Keys (W,) to the different ones (G,), sorted and without -1, and the place (W,) of each among them, or -1."""
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
