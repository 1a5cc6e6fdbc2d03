"""The sentence encoders: sums by hand, features that never change, and the library of trained models."""

import math
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ganlm_core.data.corpus import Corpus
from ganlm_core.errors import PluginError, UsageError
from ganlm_core.metrics.encoders import Encoder, HashedNgrams, SentenceTransformers
from ganlm_core.metrics.metric import Conditions
from ganlm_core.metrics.ngrams import Split
from ganlm_core.metrics.options import HashedNgramsOptions, SentenceTransformersOptions


def hashed(*texts: str, **options: int) -> Any:
    return HashedNgrams(HashedNgramsOptions(**options))(texts, str.split)


def test_hashed_ngrams_are_sums_divided_by_the_root_of_their_number() -> None:
    """ "a b" has three n-grams, two of which are those of "a" and "b"."""
    both, one, other = hashed("a b", "a", "b", orders=1)
    assert both == pytest.approx((one + other) / math.sqrt(2))
    assert not np.allclose(hashed("a b")[0] * math.sqrt(3), one + other)
    assert hashed("").tolist() == [[0.0] * 128]
    assert hashed("a b", "b a", dimensions=5).shape == (2, 5)


def test_hashed_ngrams_never_change() -> None:
    """The numbers that the first version gave to this sentence."""
    assert hashed("the cat sleeps .")[0, :3] == pytest.approx([0.423208, -1.352371, 1.266354], abs=1e-6)


def test_a_trained_encoder_comes_from_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
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
        "encoder 'sentence-transformers' needs the library of the same name; pip install 'ganlm[encoders]', or leave "
        "out --encoder"
    )


class Odd(Encoder):
    def __init__(self, features: Callable[[int], Any]) -> None:
        self.features = features

    def __call__(self, texts: Sequence[str], split: Split) -> Any:
        return self.features(len(texts))


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        (lambda n: [[1.0]] * n, "gives a value of type list; return an array of NumPy"),
        (lambda n: np.ones(n), "gives features of shape (2,) for 2 sentences; wanted (N, F)"),
        (lambda n: np.ones((1, 3)), "gives features of shape (1, 3) for 2 sentences; wanted (N, F)"),
        (lambda n: np.full((n, 3), np.nan), "gives features that are not finite; return finite numbers"),
        (lambda n: n / 0, "failed: ZeroDivisionError: division by zero; --debug shows where"),
    ],
)
def test_an_encoder_that_breaks_its_contract_is_named(features: Callable[[int], Any], problem: str) -> None:
    conditions = Conditions(Corpus("", ["a b"], [], ["a b"]), encoder=Odd(features))
    with pytest.raises(PluginError) as caught:
        conditions.encode(("a b", "b"))
    assert str(caught.value) == f"encoder 'Odd' {problem}"
