"""Bags of hashed n-grams, and the sums of their vectors."""

import zlib

import torch

from ganlm_core.metrics.hashed_ngrams import bag, summed


def test_a_bag_has_a_bucket_for_each_ngram() -> None:
    wanted = [zlib.crc32(ngram.encode()) % 10 for ngram in ("a", "b", "a", "a\0b", "b\0a")]
    assert bag(["a", "b", "a"], 2, 10) == wanted
    assert bag([], 3, 10) == []


def test_the_vectors_of_a_bag_are_added() -> None:
    vectors = torch.tensor([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
    assert summed([[0, 2, 2], [], [1]], vectors).tolist() == [[201.0, 402.0], [0.0, 0.0], [10.0, 20.0]]


def test_the_gradient_may_be_sparse() -> None:
    vectors = torch.zeros(3, 2, requires_grad=True)
    summed([[0], [2]], vectors, sparse=True).sum().backward()
    assert vectors.grad is not None and vectors.grad.is_sparse
    assert vectors.grad.to_dense().tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
