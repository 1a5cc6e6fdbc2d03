"""Sentence encoders: components that turn sentences into the features between which distances are measured."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from ganlm_core.components import Options
from ganlm_core.errors import PluginError, UsageError
from ganlm_core.metrics.hashed_ngrams import bag, summed
from ganlm_core.metrics.ngrams import Split
from ganlm_core.metrics.options import HashedNgramsOptions, SentenceTransformersOptions
from ganlm_core.plugins.wording import blaming

Features = NDArray[np.float64]

BUCKETS = 2**15


class Encoder(ABC):
    """Called with N sentences and a function that splits a sentence into tokens; returns features (N, F).

    A row depends on its sentence alone, and the same sentence has the same features in every process.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def title(self) -> str:
        """The name that is shown beside distances."""
        return type(self).__name__

    @abstractmethod
    def __call__(self, texts: Sequence[str], split: Split) -> Features: ...


def problem_with_features(found: object, sentences: int) -> str:
    """Return the problem with the result of an encoder, worded to follow its name; "" if there is none."""
    if not isinstance(found, np.ndarray):
        return f"gives a value of type {type(found).__name__}; return an array of NumPy"
    if found.ndim != 2 or len(found) != sentences:
        return f"gives features of shape {found.shape} for {sentences} sentences; wanted (N, F)"
    if found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        return "gives features that are not finite; return finite numbers"
    return ""


def features_of(encoder: Encoder, texts: Sequence[str], split: Split) -> Features:
    """Encode sentences. Raises PluginError that names an encoder which fails or gives no features (N, F)."""
    title = f"encoder '{encoder.title}'"
    with blaming(title):
        found = encoder(texts, split)
        problem = problem_with_features(found, len(texts))
    if problem:
        raise PluginError(f"{title} {problem}")
    return found


class HashedNgrams(Encoder):
    """The sum of the vectors of a sentence's n-grams, divided by the square root of their number.

    Each n-gram has a random vector that its hash chooses: a random projection (Johnson & Lindenstrauss 1984) of the bag
    of n-grams after feature hashing (Weinberger et al. 2009). The encoder represents the words and short
    phrases of a sentence, but not their meaning.
    """

    options: HashedNgramsOptions
    title = "hashed n-grams"

    def __call__(self, texts: Sequence[str], split: Split) -> Features:
        bags = [bag(split(text), self.options.orders, BUCKETS) for text in texts]
        sums = summed(bags, torch.from_numpy(_vectors(self.options.dimensions)))
        sizes = torch.tensor([len(each) for each in bags])
        return (sums / sizes.clamp(min=1).double().sqrt()[:, None]).numpy()


@lru_cache(maxsize=2)
def _vectors(dimensions: int) -> Features:
    """Return the random vector of each bucket. NumPy promises that the numbers of ``RandomState`` never change."""
    return np.random.RandomState(0).standard_normal((BUCKETS, dimensions))


def plain_encoder() -> Encoder:
    """Return the default encoder."""
    return HashedNgrams(HashedNgramsOptions())


class SentenceTransformers(Encoder):
    """A trained model of the library sentence-transformers (Reimers & Gurevych 2019), by its name or folder.

    The first use of a name downloads the model. Raises UsageError if the library is not installed.
    """

    options: SentenceTransformersOptions

    @property
    def title(self) -> str:
        return self.options.model

    def __call__(self, texts: Sequence[str], split: Split) -> Features:
        return np.asarray(self._model.encode(list(texts), show_progress_bar=False), dtype=np.float64)

    @cached_property
    def _model(self):  # type: ignore[no-untyped-def]
        try:
            from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found]
        except ImportError:
            raise UsageError(
                "encoder 'sentence-transformers' needs the library of the same name; "
                "pip install 'ganlm[encoders]', or leave out --encoder"
            ) from None
        return SentenceTransformer(self.options.model, device="cpu")
