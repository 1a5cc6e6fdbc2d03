"""Distances between the features of the subject's sentences and of real sentences; an encoder computes the features."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganlm_core.data.corpus import spread
from ganlm_core.metrics.encoders import Features
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject

MOST = 5_000
"""Sentences of each set that MAUVE compares at most: as many as in its paper."""

PER_BUCKET = 10
VARIANCE = 0.9
SCALING = 5.0
MIXTURES = 25
ROUNDS = 30

NOTHING = Measured({}, "not defined: there is no real text to compare with")


class Frechet(Metric):
    """``frechet``: the squared Frechet distance between Gaussians fitted to both sets of features (Heusel et al. 2017).

    It is biased upwards, more with fewer sentences; the row of real text shows by how much.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        sizes = len(subject.texts), len(subject.references)
        if min(sizes) < 2:
            return Measured({}, "not defined: a covariance needs two sentences of each set") if min(sizes) else NOTHING
        both = (conditions.encode(tuple(texts)) for texts in (subject.texts, subject.references))
        protocol = f"{sizes[0]:,} sentences and {sizes[1]:,} real ones, encoded by {conditions.sentence_encoder.title}"
        return Measured({"frechet": frechet(*both)}, conditions.with_unit(protocol))


def frechet(one: Features, other: Features) -> float:
    """Return |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) of the means and covariances of features (N, F) and (M, F).

    Dowson & Landau 1982, eq. 4. The trace of the root is the sum of the roots of the eigenvalues of C^(1/2) C' C^(1/2).
    """
    means = one.mean(axis=0) - other.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (one, other))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return float(max(0.0, means @ means + np.trace(first) + np.trace(second) - 2 * shared))


class Mauve(Metric):
    """``mauve``: the area under the divergence curve of both distributions over clusters of features.

    Pillutla et al. 2021, eq. 1-3, with the settings of their section 4: k-means with a tenth as many clusters as
    sentences, on the principal components that keep nine tenths of the variance; scaling 5. Differs: the encoder
    is another, so only numbers of the same encoder are comparable; k-means starts once and ends after 30
    rounds, where the authors' code takes the best of five starts of 500 rounds.
    """

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        both = subject.texts, subject.references
        if not all(both):
            return NOTHING
        # Encode all sentences, although some may be dropped: Frechet needs the features of all, and they are cached.
        one, other = (_some(conditions.encode(tuple(texts))) for texts in both)
        clusters = max(2, round(min(len(one), len(other)) / PER_BUCKET))
        histograms = quantise(one, other, clusters, np.random.RandomState(conditions.seed))
        protocol = (
            f"{len(one):,} sentences and {len(other):,} real ones in {clusters:,} clusters, "
            f"encoded by {conditions.sentence_encoder.title}"
        )
        return Measured({"mauve": mauve(*histograms)}, conditions.with_unit(protocol))


def _some(features: Features) -> Features:
    return features[list(spread(range(len(features)), MOST))]


def mauve(p: Features, q: Features) -> float:
    """Return the area under the divergence curve of two distributions (K,): 1 if equal, near 0 if disjoint."""
    points = [(0.0, 1.0), *_curve(p, q), (1.0, 0.0)]
    x, y = np.array(points).T
    # The curve falls. The mean of the integrals along both axes treats p and q alike.
    return float((_area(x, y) + _area(y[::-1], x[::-1])) / 2)


def _curve(p: Features, q: Features) -> Iterator[tuple[float, float]]:
    for weight in np.linspace(1e-6, 1 - 1e-6, MIXTURES)[::-1]:
        mixture = weight * p + (1 - weight) * q
        yield np.exp(-SCALING * _divergence(q, mixture)), np.exp(-SCALING * _divergence(p, mixture))


def _divergence(p: Features, q: Features) -> float:
    """Return the Kullback-Leibler divergence in nats."""
    there = p > 0
    return float((p[there] * np.log(p[there] / q[there])).sum())


def _area(x: Features, y: Features) -> float:
    return float(np.trapezoid(y, x))


def quantise(one: Features, other: Features, clusters: int, rng: np.random.RandomState) -> tuple[Features, Features]:
    """Return the share of each set of features, (N, F) and (M, F), in each of the clusters (K,) of their union."""
    points = np.concatenate([one, other])
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    labels = k_means(_principal(points), clusters, rng)
    first, second = (np.bincount(part, minlength=clusters) for part in (labels[: len(one)], labels[len(one) :]))
    return first / len(one), second / len(other)


def _principal(points: Features) -> Features:
    """Project points (N, F) on the fewest principal components that keep VARIANCE of the variance."""
    centred = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    kept = int(np.searchsorted(np.cumsum(values), VARIANCE * values.sum())) + 1
    return centred @ vectors[:, :kept]


def k_means(points: NDArray[Any], clusters: int, rng: np.random.RandomState) -> NDArray[np.int64]:
    """Return the cluster (N,) of each point (N, F): Lloyd's algorithm from random points, for ROUNDS rounds at most."""
    points = points.astype(np.float32)  # nearly all of the time goes into their products with the centres
    centres = points[rng.choice(len(points), min(clusters, len(points)), replace=False)]
    labels = np.full(len(points), -1)
    for _ in range(ROUNDS):
        # Squared distances without the norms of the points, which are the same for every centre.
        nearest = ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        sizes = np.bincount(labels, minlength=len(centres))
        sums = np.stack([np.bincount(labels, column, len(centres)) for column in points.T], axis=1)
        means = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
        centres = np.where(sizes[:, None] > 0, means, centres)
    return labels
