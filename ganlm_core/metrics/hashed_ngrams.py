"""Bags of hashed n-grams: feature hashing (Weinberger et al. 2009)."""

import zlib
from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F


def bag(units: Sequence[str], orders: int, buckets: int) -> list[int]:
    """Return the bucket of each n-gram of the units of a sentence, for n from 1 to ``orders``."""
    return [zlib.crc32("\0".join(ngram).encode()) % buckets for ngram in _ngrams(units, orders)]


def _ngrams(units: Sequence[str], orders: int) -> Iterator[Sequence[str]]:
    for n in range(1, orders + 1):
        for start in range(len(units) - n + 1):
            yield units[start : start + n]


def summed(bags: Sequence[Sequence[int]], vectors: Tensor, sparse: bool = False) -> Tensor:
    """Return the sums (N, F) of the vectors (buckets, F) of N bags. ``sparse``: the gradient of the vectors is."""
    sizes = torch.tensor([len(each) for each in bags])
    buckets = torch.tensor(list(chain.from_iterable(bags)), dtype=torch.int64)
    return F.embedding_bag(buckets, vectors, sizes.cumsum(0) - sizes, mode="sum", sparse=sparse)
