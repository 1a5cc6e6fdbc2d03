"""What a metric is: a number, or a few, about sentences, measured in the same way for a model and for real text.

``docs/metrics.md`` defines each with its protocol and its known traps.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal

from ganlm_core.components import Options
from ganlm_core.data.corpus import Corpus

if TYPE_CHECKING:
    from ganlm_core.metrics.encoders import Encoder, Features


@dataclass(frozen=True)
class Likelihood:
    """The negative log-likelihood of some sentences, ``nll_per_token`` in nats, the ``<eos>`` of each among the tokens.

    ``draws`` of the noise make it an upper bound; 0 says that it is exact.
    """

    nll_per_token: float
    tokens: int
    sentences: int
    draws: int = 0

    @property
    def nll_per_sentence(self) -> float:
        return self.nll_per_token * self.tokens / self.sentences

    def __str__(self) -> str:
        kind = f"upper bound from {self.draws} draws of the noise" if self.draws else "exact"
        return f"{self.sentences:,} sentences of the test part, {self.tokens:,} tokens; {kind}"


@dataclass(frozen=True)
class Subject:
    """Whoever wrote the ``texts``: a generator, or the people behind real text.

    ``likelihood`` gives that of other texts under the subject; it is None where there is none to speak of.
    ``references`` are the real sentences that the texts are compared with: the test part, so that real text has
    training sentences as its texts. Where it would tell that these were trained on, ``unseen`` stands for them.
    """

    texts: Sequence[str]
    likelihood: Callable[[tuple[str, ...]], Likelihood] | None = None
    references: Sequence[str] = ()
    held_out: Sequence[str] = ()

    @property
    def unseen(self) -> Sequence[str]:
        return self.held_out or self.texts


@dataclass(frozen=True)
class Conditions:
    """What is the same for every subject: the corpus, the ``seed`` of whatever a metric draws, the sentence encoder.

    Without an ``encoder``, ``sentence_encoder`` is the plain one.
    """

    corpus: Corpus
    seed: int = 0
    encoder: "Encoder | None" = None

    @cached_property
    def unit(self) -> Literal["word", "character"]:
        """What n-grams are made of: characters where real sentences have fewer than two words on average."""
        texts = self.corpus.test or self.corpus.train
        return "word" if sum(len(text.split()) for text in texts) >= 2 * len(texts) else "character"

    @property
    def split(self) -> Callable[[str], Sequence[str]]:
        """A sentence to its units."""
        return str.split if self.unit == "word" else list

    @property
    def join(self) -> Callable[[Sequence[str]], str]:
        """Units to a sentence."""
        return " ".join if self.unit == "word" else "".join

    @cached_property
    def sentence_encoder(self) -> "Encoder":
        from ganlm_core.metrics.encoders import plain_encoder

        return self.encoder or plain_encoder()

    @cached_property
    def encode(self) -> "Callable[[tuple[str, ...]], Features]":
        """Sentences (N) to their features (N, F); those that were asked for last are remembered."""
        return lru_cache(maxsize=4)(lambda texts: self.sentence_encoder(texts, self.split))

    @cached_property
    def process_entropy(self) -> float | None:
        """The process's entropy in nats per sentence, the NLL of a perfect generator; None if nobody can compute it."""
        entropy = getattr(self.corpus.process, "entropy", None)
        return entropy() if entropy is not None else None

    def with_unit(self, protocol: str) -> str:
        return protocol if self.unit == "word" else f"{protocol}, by {self.unit}s"


@dataclass(frozen=True)
class Measured:
    """Numbers by the name of their measure, and in words what they were measured with: how many against how many.

    Without numbers, ``protocol`` may say why there are none.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    protocol: str = ""


class Metric(ABC):
    """Called with a subject and the conditions; a value that does not exist there is left out, never made up.

    The component that registers it declares what it measures: :class:`ganlm_core.components.Measure`.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def __call__(self, subject: Subject, conditions: Conditions) -> Measured: ...


def problem_with(found: object) -> str:
    """What is wrong with what a metric gave, as it goes on from its name; nothing if all of it are finite numbers."""
    if not isinstance(found, Measured):
        return f"gives {found!r}; wanted a ganlm_core.metrics.metric.Measured"
    for name, value in found.values.items():
        if isinstance(value, bool) or not isinstance(value, float | int):
            return f"gives {value!r} for {name}; wanted a float"
        if not math.isfinite(value):
            return f"gives {value!r} for {name}; leave out a value that does not exist"
    return ""
