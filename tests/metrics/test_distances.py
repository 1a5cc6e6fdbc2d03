"""Frechet distance, MAUVE, the sentence encoders and the language model that judges: worked examples and other ways."""

import math
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ganlm_core.components import NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.errors import UsageError
from ganlm_core.metrics.distances import Frechet, Mauve, _curve, frechet, k_means, mauve, quantise
from ganlm_core.metrics.encoders import HashedNgrams, SentenceTransformers
from ganlm_core.metrics.language_model import KneserNey, LanguageModelScores
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject
from ganlm_core.metrics.options import HashedNgramsOptions, SentenceTransformersOptions

CORPUS = Corpus("letters", ["a b c d", "d c b a", "a a b"], ["b"], ["a b c", "b c d", "a b"])


def measure(kind: type[Metric], subject: Subject, corpus: Corpus = CORPUS) -> Measured:
    return kind(NoOptions())(subject, Conditions(corpus))


def test_frechet_in_one_dimension_is_that_of_means_and_deviations() -> None:
    """Means 2 and 5, variances 4/3 and 16/3."""
    one, other = np.array([[1.0], [2.0], [3.0], [2.0]]), np.array([[3.0], [5.0], [7.0], [5.0]])
    wanted = 3**2 + (math.sqrt(2 / 3) - math.sqrt(8 / 3)) ** 2
    assert frechet(one, other) == pytest.approx(wanted)


def test_frechet_is_that_of_the_eigenvalues_of_the_product() -> None:
    """The root of C C' by another way, its own eigenvalues, which need not be symmetric to have a trace."""
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(80, 6)) + 1
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(min=0)).sum()
    means = one.mean(axis=0) - other.mean(axis=0)
    wanted = means @ means + np.trace(first) + np.trace(second) - 2 * roots
    assert frechet(one, other) == pytest.approx(wanted) == frechet(other, one)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)


def test_a_point_of_the_divergence_curve_by_hand() -> None:
    """p = (1, 0) and q = (1/2, 1/2), whose mean is (3/4, 1/4): the middle one of the mixtures."""
    points = list(_curve(np.array([1.0, 0.0]), np.array([0.5, 0.5])))
    x, y = points[len(points) // 2]
    assert x == pytest.approx(math.exp(-5 * (math.log(2 / 3) + math.log(2)) / 2))
    assert y == pytest.approx(math.exp(-5 * math.log(4 / 3)))


def test_mauve_is_one_for_equals_and_for_strangers_what_integration_gives() -> None:
    """Of disjoint distributions the curve is x = (1 - w)^5, y = w^5, with the area 5 B(6, 5) below it."""
    assert mauve(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == pytest.approx(1)
    area = 5 * math.gamma(6) * math.gamma(5) / math.gamma(11)
    # The curve is made of 25 chords.
    assert mauve(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(area, rel=0.05)
    one, other = np.array([0.7, 0.2, 0.1]), np.array([0.4, 0.4, 0.2])
    assert area < mauve(one, other) < 1
    assert mauve(one, other) == pytest.approx(mauve(other, one))


def test_mauve_is_that_of_its_authors_library() -> None:
    """mauve-text 0.4.0 with faiss-cpu 1.15.1: ``compute_mauve(p_features=p, q_features=q, num_buckets=5, seed=1)``.

    p and q are the features below: five clusters far from each other, which both ways of clustering find.
    """
    rng = np.random.RandomState(0)
    shares = [40, 30, 20, 10, 0], [10, 20, 30, 20, 20]
    p, q = (np.repeat(np.eye(5, 8), times, axis=0) + rng.normal(size=(100, 8)) / 100 for times in shares)
    found = quantise(p, q, 5, np.random.RandomState(1))
    assert sorted(zip(*found, strict=True)) == [(0.0, 0.2), (0.1, 0.2), (0.2, 0.3), (0.3, 0.2), (0.4, 0.1)]
    assert mauve(*found) == pytest.approx(0.5227584260412119, rel=1e-12)


def test_clusters_are_found_and_counted() -> None:
    rng = np.random.RandomState(0)
    centres = np.array([[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 10.0]])
    one, other = (np.repeat(centres, times, axis=0) for times in ([6, 2, 2], [1, 1, 8]))
    labels = k_means(np.concatenate([one, other]) + rng.normal(size=(20, 3)) / 10, 3, rng)
    groups = [labels[:6].tolist() + labels[10:11].tolist(), labels[6:8].tolist(), labels[12:].tolist()]
    assert all(len(set(group)) == 1 for group in groups[1:])
    p, q = quantise(one, other, 3, np.random.RandomState(1))
    assert p.sum() == q.sum() == 1
    assert {tuple(pair) for pair in np.stack([p, q], axis=1)} == {(0.6, 0.1), (0.2, 0.1), (0.2, 0.8)}


def test_distances_are_small_between_halves_of_one_text_and_large_to_another() -> None:
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


def test_distances_that_do_not_exist_say_why() -> None:
    nothing = Measured({}, "not defined: there is no real text to compare with")
    assert measure(Frechet, Subject(["a"])) == measure(Mauve, Subject(["a"])) == nothing
    one = measure(Frechet, Subject(["a"], references=["a", "b"]))
    assert one == Measured({}, "not defined: a covariance takes two sentences of each")


def hashed(*texts: str, **options: int) -> Any:
    return HashedNgrams(HashedNgramsOptions(**options))(texts, str.split)


def test_hashed_ngrams_are_sums_over_the_root_of_their_number() -> None:
    """ "a b" has three n-grams, two of which are those of "a" and "b"."""
    both, one, other = hashed("a b", "a", "b", orders=1)
    assert both == pytest.approx((one + other) / math.sqrt(2))
    assert not np.allclose(hashed("a b")[0] * math.sqrt(3), one + other)
    assert hashed("").tolist() == [[0.0] * 128]
    assert hashed("a b", "b a", dimensions=5).shape == (2, 5)


def test_hashed_ngrams_are_the_same_everywhere() -> None:
    """The first numbers that this sentence ever had."""
    assert hashed("the cat sleeps .")[0, :3] == pytest.approx([0.423208, -1.352371, 1.266354], abs=1e-6)


def test_a_trained_encoder_is_asked_of_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self, name: str, device: str) -> None:
            self.name = name

        def encode(self, texts: Sequence[str], show_progress_bar: bool) -> list[list[float]]:
            return [[len(self.name), len(text)] for text in texts]

    encoder = SentenceTransformers(SentenceTransformersOptions(model="tiny"))
    assert encoder.title == "tiny"
    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=Fake))
    assert encoder(["a", "abc"], str.split).tolist() == [[4.0, 1.0], [4.0, 3.0]]
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UsageError) as caught:
        SentenceTransformers(SentenceTransformersOptions())(["a"], str.split)
    assert str(caught.value) == (
        "encoder 'sentence-transformers' needs the library of that name; pip install 'ganlm[encoders]', or leave out "
        "--encoder"
    )


LETTERS = frozenset("abc")


def test_kneser_ney_by_hand() -> None:
    """Of "a b" and "a c", by pairs.

    Pairs: (<s>, a) twice, the other four once, so a discount of 4 / (4 + 2). Words by what they follow: </s> two,
    a, b and c one, so a discount of 3 / (3 + 2), and p(b) = (1 - 0.6) / 5 + 0.6 * 4/5 * 1/5 = 0.176.
    """
    model = KneserNey([["a", "b"], ["a", "c"]], LETTERS, order=2)
    assert model.probability("b", ["a"]) == pytest.approx((1 - 2 / 3) / 2 + 2 / 3 * 0.176)
    probabilities = [2 / 3 + 2 / 3 / 2 * 0.176, 1 / 6 + 2 / 3 * 0.176, 1 / 3 + 2 / 3 * 0.376]
    assert model.nll(["a", "b"]) == pytest.approx(-sum(map(math.log, probabilities)))


@pytest.mark.parametrize("context", [["<s>", "<s>", "<s>"], ["<s>", "<s>", "a"], ["a", "b", "c"], ["c", "c", "c"]])
def test_kneser_ney_gives_a_distribution_after_every_context(context: list[str]) -> None:
    model = KneserNey([["a", "b", "c"], ["a", "b"], ["b", "b", "a", "x"]], LETTERS)
    total = sum(model.probability(word, context) for word in model.vocabulary)
    assert len(model.vocabulary) == 5
    assert total == pytest.approx(1)
    assert model.nll(["x"]) == model.nll(["y"])


def test_a_language_model_of_real_text_judges_samples_and_the_reverse() -> None:
    corpus = Corpus("letters", ["a b c", "a b d", "b c a"] * 20, [], ["a b c", "a b d"])
    good, bad = (
        measure(LanguageModelScores, Subject(texts, references=corpus.test), corpus)
        for texts in (["a b c", "a b d"] * 5, ["c b a", "d d d"] * 5)
    )
    assert good.values["lm_score"] < bad.values["lm_score"]
    assert good.values["reverse_lm_score"] < bad.values["reverse_lm_score"]
    assert good.protocol == ("a Kneser-Ney model of 4 words, of 60 real sentences for 10; of 10 for 2 real ones")
    model = KneserNey([text.split() for text in corpus.train], frozenset("abcd"))
    tokens = [text.split() for text in ["a b c", "a b d"]]
    assert good.values["lm_score"] == pytest.approx(sum(map(model.nll, tokens)) / 8)
    nothing = measure(LanguageModelScores, Subject(["a"]), corpus)
    assert nothing == Measured({}, "not defined: there is no real text to compare with")
