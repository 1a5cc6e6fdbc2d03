"""Frechet distance and MAUVE: worked examples, other ways of computing them, and the library of MAUVE's authors."""

import math

import numpy as np
import pytest

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.distances import Frechet, Mauve, _curve, frechet, k_means, mauve, quantise
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject

CORPUS = Corpus("letters", ["a b c d", "d c b a", "a a b"], ["b"], ["a b c", "b c d", "a b"])


def measure(kind: type[Metric], subject: Subject, corpus: Corpus = CORPUS) -> Measured:
    return kind(NoOptions())(subject, Conditions(corpus))


def test_frechet_in_one_dimension_follows_from_means_and_deviations() -> None:
    """Means 2 and 5, variances 4/3 and 16/3."""
    one, other = np.array([[1.0], [2.0], [3.0], [2.0]]), np.array([[3.0], [5.0], [7.0], [5.0]])
    wanted = 3**2 + (math.sqrt(2 / 3) - math.sqrt(8 / 3)) ** 2
    assert frechet(one, other) == pytest.approx(wanted)


def test_frechet_equals_the_formula_with_the_eigenvalues_of_the_product() -> None:
    """The trace of the root of C C' by another way: the roots of its eigenvalues, although it is not symmetric."""
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(80, 6)) + 1
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(min=0)).sum()
    means = one.mean(axis=0) - other.mean(axis=0)
    wanted = means @ means + np.trace(first) + np.trace(second) - 2 * roots
    assert frechet(one, other) == pytest.approx(wanted) == frechet(other, one)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)


def test_the_middle_of_the_divergence_curve_is_as_computed_by_hand() -> None:
    """p = (1, 0) and q = (1/2, 1/2), whose mean is (3/4, 1/4): the middle one of the mixtures."""
    points = list(_curve(np.array([1.0, 0.0]), np.array([0.5, 0.5])))
    x, y = points[len(points) // 2]
    assert x == pytest.approx(math.exp(-5 * (math.log(2 / 3) + math.log(2)) / 2))
    assert y == pytest.approx(math.exp(-5 * math.log(4 / 3)))


def test_mauve_is_one_for_equal_and_the_exact_integral_for_disjoint_distributions() -> None:
    """The curve of disjoint distributions is x = (1 - w)^5, y = w^5, with the area 5 B(6, 5) below it."""
    assert mauve(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == pytest.approx(1)
    area = 5 * math.gamma(6) * math.gamma(5) / math.gamma(11)
    # The curve is made of 25 chords.
    assert mauve(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(area, rel=0.05)
    one, other = np.array([0.7, 0.2, 0.1]), np.array([0.4, 0.4, 0.2])
    assert area < mauve(one, other) < 1
    assert mauve(one, other) == pytest.approx(mauve(other, one))


def test_mauve_equals_the_library_of_its_authors() -> None:
    """mauve-text 0.4.0 with faiss-cpu 1.15.1: ``compute_mauve(p_features=p, q_features=q, num_buckets=5, seed=1)``.

    p and q are the features below: five clusters far apart, which both clusterings find.
    """
    rng = np.random.RandomState(0)
    shares = [40, 30, 20, 10, 0], [10, 20, 30, 20, 20]
    p, q = (np.repeat(np.eye(5, 8), times, axis=0) + rng.normal(size=(100, 8)) / 100 for times in shares)
    found = quantise(p, q, 5, np.random.RandomState(1))
    assert sorted(zip(*found, strict=True)) == [(0.0, 0.2), (0.1, 0.2), (0.2, 0.3), (0.3, 0.2), (0.4, 0.1)]
    assert mauve(*found) == pytest.approx(0.5227584260412119, rel=1e-12)


def test_k_means_finds_the_clusters_and_quantise_counts_them() -> None:
    rng = np.random.RandomState(0)
    centres = np.array([[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 10.0]])
    one, other = (np.repeat(centres, times, axis=0) for times in ([6, 2, 2], [1, 1, 8]))
    labels = k_means(np.concatenate([one, other]) + rng.normal(size=(20, 3)) / 10, 3, rng)
    groups = [labels[:6].tolist() + labels[10:11].tolist(), labels[6:8].tolist(), labels[12:].tolist()]
    assert all(len(set(group)) == 1 for group in groups[1:])
    p, q = quantise(one, other, 3, np.random.RandomState(1))
    assert p.sum() == q.sum() == 1
    assert {tuple(pair) for pair in np.stack([p, q], axis=1)} == {(0.6, 0.1), (0.2, 0.1), (0.2, 0.8)}


def test_distances_are_smaller_between_halves_of_one_text_than_to_another_text() -> None:
    rng = np.random.RandomState(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), size=5)) for _ in range(400)]
    near = Subject(texts[:200], references=texts[200:])
    far = Subject([text.replace("a", "x").replace("b", "y") for text in texts[:200]], references=texts[200:])
    values = [measure(Frechet, each).values["frechet"] for each in (near, far)]
    assert values[0] < values[1] / 2
    areas = [measure(Mauve, each).values["mauve"] for each in (near, far)]
    assert areas[0] > areas[1] + 0.1
    found = measure(Mauve, near)
    assert found == measure(Mauve, near)
    assert found.protocol == "200 sentences and 200 real ones in 20 clusters, encoded by hashed n-grams"


def test_a_distance_that_does_not_exist_has_a_reason() -> None:
    nothing = Measured({}, "not defined: there is no real text to compare with")
    assert measure(Frechet, Subject(["a"])) == measure(Mauve, Subject(["a"])) == nothing
    one = measure(Frechet, Subject(["a"], references=["a", "b"]))
    assert one == Measured({}, "not defined: a covariance needs two sentences of each set")
